"""Each native task equals the Gymnasium environment it is named after."""

from functools import cache

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest

from sim2real.envs import NATIVE
from sim2real.envs.compat import patch_gymnasium_robotics
from sim2real.envs.vector import TaskVectorEnv  # noqa: F401  (keeps MuJoCo from writing its log file)

gym.register_envs(gymnasium_robotics)
patch_gymnasium_robotics()

each_task = pytest.mark.parametrize("name", NATIVE)
each_fetch = pytest.mark.parametrize("name", [name for name in NATIVE if "Fetch" in name])
quiet = pytest.mark.filterwarnings("ignore:.*settotalmass", "ignore:.*is out of date", "ignore:.*Deprecat")
pytestmark = quiet

# Sums of a few dozen float64 terms in another order; the worst error seen is 3e-17.
TOLERANCE = 1e-9


@cache
def original(name):
    return gym.make(name)


def ours(name, n=1, **options):
    return gym.make_vec(f"sim2real/{name}", num_envs=n, autoreset=False, **options)


def copy_start(env, reference):
    """Put world 0 into the reference environment's own starting state."""
    data, worlds, one = reference.unwrapped.data, env.worlds, np.arange(1)
    worlds.reset(one)
    worlds.bind("qpos")[0], worlds.bind("qvel")[0], worlds.bind("time")[0] = data.qpos, data.qvel, data.time
    if hasattr(reference.unwrapped, "goal"):
        env.goal[0] = reference.unwrapped.goal
    worlds.forward()
    env.signals.reset(one)
    env.steps[:] = 0


def close(observation, expected):
    if isinstance(expected, dict):
        assert observation.keys() == expected.keys()
        return all(np.allclose(observation[k][0], expected[k], rtol=0, atol=TOLERANCE) for k in expected)
    return np.allclose(observation[0], expected, rtol=0, atol=TOLERANCE)


@each_task
def test_500_random_steps_are_those_of_gymnasium(name):
    reference, env = original(name), ours(name)
    expected, _ = reference.reset(seed=3)
    env.reset(seed=0)
    reference.action_space.seed(0)
    copy_start(env, reference)
    episodes = 1
    for _ in range(500):
        action = reference.action_space.sample()
        expected, reward, terminated, truncated, info = reference.step(action)
        observation, rewards, terminateds, truncateds, infos = env.step(action[None])
        assert close(observation, expected)
        assert abs(rewards[0] - reward) < TOLERANCE
        assert (terminateds[0], truncateds[0]) == (terminated, truncated)
        assert not env.worlds.failed.any()
        if "is_success" in info:
            assert infos["is_success"][0] == bool(info["is_success"])
        if terminated or truncated:
            reference.reset()
            env.reset()
            copy_start(env, reference)
            episodes += 1
    assert episodes > 1 or name.startswith("HalfCheetah")


@each_task
def test_the_first_observation_is_gymnasiums(name):
    reference, env = original(name), ours(name)
    expected, _ = reference.reset(seed=5)
    env.reset(seed=0)
    copy_start(env, reference)
    assert close(env._observation(), expected)


@each_task
def test_spaces_and_episode_length_are_gymnasiums(name):
    reference, env = original(name), ours(name, 2)
    assert env.single_action_space == reference.action_space
    assert env.single_observation_space == reference.observation_space
    assert env.task.max_episode_steps == gym.spec(name).max_episode_steps
    assert env.metadata["render_fps"] == reference.metadata["render_fps"]


@each_fetch
def test_hindsight_rewards_are_gymnasiums(name):
    reference, env = original(name), ours(name)
    rng = np.random.default_rng(0)
    achieved, desired = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    desired[:25] = achieved[:25] + rng.uniform(-0.05, 0.05, (25, 3))
    expected = reference.unwrapped.compute_reward(achieved, desired, {})
    np.testing.assert_allclose(env.compute_reward(achieved, desired, {}), expected, rtol=1e-12)
    one = env.compute_reward(achieved[0], desired[0], {})
    assert np.shape(one) == () and one == expected[0]


@each_task
def test_starting_states_are_distributed_as_gymnasiums(name):
    n = 300 if "Fetch" not in name else 100
    reference, env = original(name), ours(name, n)
    env.reset(seed=0)
    mine = np.concatenate([env.worlds.bind("qpos"), env.worlds.bind("qvel"), env.goal], 1)
    theirs = []
    for k in range(n):
        reference.reset(seed=k)
        data = reference.unwrapped.data
        theirs.append(np.concatenate([data.qpos, data.qvel, getattr(reference.unwrapped, "goal", [])]))
    theirs = np.array(theirs)
    spread = theirs.std(axis=0)
    moving = spread > 1e-9
    np.testing.assert_allclose(
        mine[:, ~moving], np.broadcast_to(theirs[0, ~moving], mine[:, ~moving].shape), atol=1e-9
    )
    # Five standard errors for means, and the spreads of samples of this size.
    assert (np.abs(mine.mean(0) - theirs.mean(0))[moving] < 5 * spread[moving] * np.sqrt(2 / n)).all()
    np.testing.assert_allclose(mine.std(axis=0)[moving], spread[moving], rtol=5 * np.sqrt(1 / n))
    wide = theirs.max(0) - theirs.min(0)
    assert (mine.max(0) < theirs.max(0) + 0.35 * wide)[moving].all()
    assert (mine.min(0) > theirs.min(0) - 0.35 * wide)[moving].all()


@pytest.mark.parametrize("name", ["FetchPush-v4", "Pusher-v5"])
def test_rejected_starts_are_rejected_here_too(name):
    env = ours(name, 400)
    env.reset(seed=1)
    if name == "Pusher-v5":
        assert (np.hypot(*env.worlds.bind("qpos")[:, -4:-2].T) > 0.17).all()
    else:
        box = env.worlds.bind("qpos")[:, env.task._free : env.task._free + 2]
        assert (np.hypot(*(box - env.task.home[:2]).T) >= 0.1).all()
        assert (env.goal[:, 2] == env.task.table_height).all()
