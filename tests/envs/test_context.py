"""Worlds that show their context: what of the domain and of the past, at every kind of end of an episode."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from sim2real.envs.context import ContextEnv
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.envs.wants import Wants
from sim2real.session import CATALOG
from sim2real.spec import load_text

SPEC = """
env: PointGoals-v0
randomize:
  mass: {type: mass, select: point, scale: [0.5, 2.5]}
  pull: {type: external_force, select: point, axes: x, add: {normal: [1, 2]}}
  still: {type: damping, select: x, add: 0.5}
targets:
  heavy: {mass: 4.5}
"""
OBS, ACT, H = 2, 2, 3


@pytest.fixture(scope="module")
def bundle():
    return load_text(SPEC, "spec.yaml", CATALOG)


def made(bundle, n=4, history=H, domains=None, **options):
    return make_worlds("PointGoals-v0", {}, bundle.program, n, domains, 3, 1, wants=Wants(history), **options)


def walk(env, steps, seed=0):
    """What was shown, done and ended in some steps of random actions; the first showing is of the reset."""
    random = np.random.default_rng(seed)
    shown, done, ends = [env.reset(seed=3)[0]], [], []
    for _ in range(steps):
        done.append(random.uniform(-1, 1, (env.num_envs, ACT)))
        observation, _, terminated, truncated, infos = env.step(done[-1])
        shown.append(observation)
        ends.append((terminated | truncated, infos))
    return shown, done, ends


def pairs(shown, done, world, first, last):
    """The pairs of observation and action of some steps of a world, flat."""
    own = [np.concatenate([shown[t]["observation"][world], done[t][world]]) for t in range(first, last)]
    return np.concatenate([np.zeros((H - len(own)) * (OBS + ACT)), *own])


def test_the_history_is_the_last_pairs_and_begins_empty(bundle):
    shown, done, ends = walk(made(bundle), 40)
    began = np.zeros(4, int)
    assert not shown[0]["history"].any()
    for t in range(1, 41):
        ended = ends[t - 1][0]
        for world in range(4):
            if ended[world]:
                final = ends[t - 1][1]["final_obs"][world]
                assert np.array_equal(
                    final["history"], pairs(shown, done, world, max(t - H, began[world]), t)
                )
                began[world] = t
            expected = pairs(shown, done, world, max(t - H, began[world]), t)
            assert np.array_equal(shown[t]["history"][world], expected)
    assert began.all()


def test_actions_in_the_history_are_between_their_bounds():
    bundle = load_text("env: Pusher-v5", "spec.yaml", CATALOG)
    env = make_worlds("Pusher-v5", {}, bundle.program, 2, threads=1, wants=Wants(1))
    env.reset(seed=0)
    space = env.single_action_space
    shown, *_ = env.step(np.stack([space.high, space.low]))
    assert np.allclose(shown["history"][:, -len(space.high) :], [[1.0], [-1.0]])


def test_the_domain_is_on_a_scale_on_which_the_source_reaches_from_minus_one_to_one(bundle):
    ends = bundle.program.values(np.array([[0.0, 0.01, 0.5], [0.5, 0.5, 0.5], [1 - 1e-12, 0.99, 0.5]]))
    env = made(bundle, 3, domains=fixed(ends))
    shown, _ = env.reset(seed=0)
    # A normal distribution has no ends: its quantiles 0.01 and 0.99 are taken for those of a uniform one.
    np.testing.assert_allclose(shown["domain"], [[-1, -0.98, 0], [0, 0, 0], [1, 0.98, 0]], atol=1e-6)
    outside = made(bundle, 1, domains=fixed(bundle.targets["heavy"].v))
    # 4.5 is as far beyond 1.5 as three times the half-width of the source.
    assert outside.reset(seed=0)[0]["domain"][0, 0] == pytest.approx(3.0)


def test_an_ended_episode_shows_the_domain_that_it_was_in(bundle):
    shown, _, ends = walk(made(bundle), 31)
    before, after = shown[-2]["domain"], shown[-1]["domain"]
    (t,) = [t for t, (ended, _) in enumerate(ends) if ended[0]]
    assert np.array_equal(ends[t][1]["final_obs"][0]["domain"], shown[t]["domain"][0])
    assert not np.array_equal(shown[t]["domain"][0], shown[t + 1]["domain"][0])
    assert before.shape == after.shape == (4, 3)


def test_without_a_history_only_the_domain_is_added(bundle):
    env = made(bundle, history=0)
    assert list(env.single_observation_space.spaces) == ["domain", "observation"]
    assert set(env.reset(seed=0)[0]) == {"domain", "observation"}


def test_what_worlds_show_besides_and_return_is_what_they_would_without(bundle):
    plain = make_worlds("PointGoals-v0", {}, bundle.program, 4, None, 3, 1)
    env, random = made(bundle), np.random.default_rng(1)
    seen, wide = plain.reset(seed=5)[0], env.reset(seed=5)[0]
    for _ in range(35):
        assert np.array_equal(seen, wide["observation"])
        action = random.uniform(-1, 1, (4, ACT))
        seen, reward, *_ = plain.step(action)
        wide, own, *_ = env.step(action)
        assert np.array_equal(reward, own)


def test_foreign_environments_show_the_same_as_native_ones():
    """In both ways of starting the next episode; the domain is drawn by the same keys."""
    text, found = "randomize: {cart: {type: mass, select: cart, scale: [0.5, 2]}}", []
    for name in ("InvertedPendulum-v5", "gymnasium.envs.mujoco.inverted_pendulum_v5:InvertedPendulumEnv"):
        bundle = load_text(f"env: {name}\n{text}", "spec.yaml", CATALOG)
        for same_step in (True, False):
            env = make_worlds(name, {}, bundle.program, 2, threads=1, same_step=same_step, wants=Wants(2))
            env.reset(seed=0)
            steps = [env.step(np.full((2, 1), 0.5))[0] for _ in range(4)]
            found.append((steps[0]["domain"], np.stack([one["history"][:, [4, 9]] for one in steps])))
    for domain, actions in found[1:]:
        np.testing.assert_allclose(domain, found[0][0])
        assert np.array_equal(actions, found[0][1])


def test_the_step_that_only_resets_leaves_no_pair():
    """A foreign vector environment of ten steps, which shows its first observation a step later."""
    env = make_worlds("tests.foreign:CountingVectorEnv", {}, _nothing(), 2, wants=Wants(2))
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    for _ in range(10):
        shown, *_ = env.step(np.ones((2, 1)))
    assert shown["history"][0].tolist() == [8.0, 1.0, 9.0, 1.0]
    shown, *_ = env.step(np.ones((2, 1)))
    assert not shown["history"].any()
    shown, *_ = env.step(np.ones((2, 1)))
    assert shown["history"][0].tolist() == [0.0, 0.0, 0.0, 1.0]


def _nothing():
    return load_text("env: tests.foreign:CountingVectorEnv", "spec.yaml", CATALOG).program


def test_goals_stay_what_they_are():
    bundle = load_text("env: FetchReach-v4", "spec.yaml", CATALOG)
    env = make_worlds("FetchReach-v4", {}, bundle.program, 2, threads=1, wants=Wants(1))
    shown, _ = env.reset(seed=0)
    assert set(shown) == {"observation", "achieved_goal", "desired_goal", "history", "domain"}
    assert shown["history"].shape == (2, 14) and shown["domain"].shape == (2, 0)


def test_pictures_have_no_context():
    env = VectorEnv()
    env.num_envs, env.single_action_space = 1, gym.spaces.Discrete(2)
    env.single_observation_space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="flat observations"):
        ContextEnv(env, _nothing())


def test_it_goes_on_bit_for_bit(bundle):
    env = made(bundle)
    walk(env, 12)
    saved, again = env.state_dict(), made(bundle)
    again.reset(seed=99)
    again.load_state_dict(saved)
    for t in range(30):
        action = np.full((4, ACT), np.sin(t))
        one, two = env.step(action)[0], again.step(action)[0]
        assert all(np.array_equal(one[key], two[key]) for key in one)
