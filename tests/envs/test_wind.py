"""The wind: a force is a velocity, who knows it stays at the goal, and the way there is no end in itself."""

import numpy as np
import pytest

from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.envs.tasks.wind import GOAL, RADIUS, START
from sim2real.session import CATALOG
from sim2real.spec import load

SPEC = "assets/specs/recurrent/wind.yaml"


def worlds(winds, **options):
    bundle = load(SPEC, CATALOG)
    return make_worlds(
        "PointWind-v0", {}, bundle.program, len(winds), fixed(np.array(winds)), 0, 1, **options
    )


def to_goal(position, wind):
    return np.clip(GOAL - position - 0.1 * wind, -1.0, 1.0)


def run(winds, known):
    """Returns, and how often the point was at the goal."""
    winds = np.array(winds, float)
    env = worlds(winds)
    position, _ = env.reset(seed=0)
    assert np.allclose(position, START)
    total, there = np.zeros(len(winds)), np.zeros(len(winds))
    for _ in range(75):
        position, reward, _, truncated, infos = env.step(to_goal(position, winds if known else 0.0 * winds))
        total += reward
        there += infos.get("final_info", infos)["is_success"]
    assert truncated.all()
    return total, there


def test_a_force_is_a_tenth_of_a_metre_each_second_for_every_newton():
    env = worlds([[8.0, 0.0], [0.0, -5.0], [0.0, 0.0]])
    env.reset(seed=0)
    first = env.step(np.zeros((3, 2)))[0]
    second = env.step(np.zeros((3, 2)))[0]
    np.testing.assert_allclose(second - first, [[0.8, 0.0], [0.0, -0.5], [0.0, 0.0]], atol=1e-3)


def test_who_knows_the_wind_stays_at_the_goal_and_who_does_not_is_off_by_it():
    winds = [[6.0, 4.0], [-8.0, 8.0], [0.0, 0.0]]
    total, there = run(winds, known=True)
    assert (there >= 75 - 30).all()
    # Ten metres of way are worth 1, however they were made.
    np.testing.assert_allclose(total, there + 0.1 * 10.0, atol=0.1 * RADIUS)
    assert run(winds, known=False)[1][:2].tolist() == [0, 0]


def test_the_goal_is_marked():
    from sim2real.envs import make_task

    site = make_task("PointWind-v0").compile().site("goal")
    assert site.pos[:2].tolist() == GOAL.tolist() and site.size[0] == pytest.approx(RADIUS)
