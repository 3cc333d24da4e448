"""The point that is not shown its goal: an ideal servo, a goal in its joints, and minus the distance."""

import numpy as np
import pytest

from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.session import CATALOG
from sim2real.spec import load_text

NAME = "PointNavigation-v0"
SPEC = f"""
env: {NAME}
randomize:
  goal: {{type: joint_offset, select: "x|y", add: [-0.5, 0.5]}}
"""
GOALS = np.random.default_rng(77).uniform(-0.5, 0.5, (4000, 2))


def worlds(goals, spec=SPEC):
    """Worlds with given goals (n, 2), at their start."""
    program = load_text(spec, "spec.yaml", CATALOG).program
    env = make_worlds(NAME, {}, program, len(goals), fixed(goals), 0, 1, same_step=False)
    return env, env.reset(seed=0)[0]


def returns(policy):
    """Returns (n,) of a policy of goals and places."""
    env, seen = worlds(GOALS)
    total, running = np.zeros(len(GOALS)), np.ones(len(GOALS), bool)
    for _ in range(100):
        seen, reward, terminated, truncated, _ = env.step(policy(GOALS, seen))
        total += reward * running
        running &= ~(terminated | truncated)
    assert not running.any()
    return total


def test_standing_still_scores_what_the_papers_first_column_says():
    """100 steps at the mean distance of a point of the square from its middle, (√2 + asinh 1) / 6."""
    found = returns(lambda goals, seen: 0.0 * seen)
    away = np.linalg.norm(GOALS, axis=1)
    np.testing.assert_allclose(found, -np.where(away < 0.01, 1, 100) * away, rtol=1e-9)
    assert found.mean() == pytest.approx(-100 * (np.sqrt(2) + np.arcsinh(1)) / 6, abs=0.7)
    assert found.mean() == pytest.approx(-38.28, abs=0.7)


def test_going_straight_there_scores_nearly_nothing():
    found = returns(lambda goals, seen: np.clip((goals - seen) / 0.1, -1, 1))
    assert found.mean() == pytest.approx(-0.51, abs=0.02)


def test_a_step_goes_as_far_as_it_is_told_whatever_was_before_and_whatever_the_mass():
    spec = SPEC + "  mass: {type: mass, select: point, scale: [0.5, 2]}\n"
    env, seen = worlds(np.array([[0.3, -0.2, 0.5], [0.3, -0.2, 2.0]]), spec)
    assert not seen.any()
    for action, place in (
        ([1.0, -0.5], [0.1, -0.05]),
        ([-1.0, 0.0], [0.0, -0.05]),
        ([0.0, 0.0], [0.0, -0.05]),
    ):
        seen, reward, *_ = env.step(np.tile(action, (2, 1)))
        np.testing.assert_allclose(seen, [place, place], atol=1e-5)
        np.testing.assert_allclose(reward, -np.linalg.norm(np.array(place) - [0.3, -0.2]), atol=1e-5)


def test_the_goal_ends_the_episode_and_only_the_goal():
    env, _ = worlds(np.array([[0.1, 0.0], [0.1, 0.009], [0.1, 0.011]]))
    _, _, terminated, truncated, infos = env.step(np.tile([1.0, 0.0], (3, 1)))
    assert terminated.tolist() == infos["is_success"].tolist() == [True, True, False]
    assert not truncated.any()


def test_nothing_that_is_seen_tells_the_goal_and_nothing_stops_the_point():
    env, _ = worlds(np.array([[0.5, 0.5], [-0.5, 0.2]]))
    for _ in range(99):
        seen, _, _, truncated, _ = env.step(np.ones((2, 2)))
        assert np.array_equal(seen[0], seen[1]) and not truncated.any()
    *_, truncated, _ = env.step(np.ones((2, 2)))
    assert truncated.all()
    np.testing.assert_allclose(seen, 9.9, rtol=1e-4)
