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

OWN = {name for name in NATIVE if name.startswith(("Point", "Planar", "SO101"))}
each_task = pytest.mark.parametrize("name", [name for name in NATIVE if name not in OWN])
each_fetch = pytest.mark.parametrize("name", [name for name in NATIVE if "Fetch" in name])
quiet = pytest.mark.filterwarnings("ignore:.*settotalmass", "ignore:.*is out of date", "ignore:.*Deprecat")
pytestmark = quiet

# Nothing but the time limit ends these; of all others the end is met too.
ENDLESS = ("HalfCheetah-v5", "Swimmer-v5")

# Sums of float64 terms in another order. The worst error seen is of Humanoid's contact forces of some kN.
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
    if env._goal_size:
        env.goal[0] = reference.unwrapped.goal
    if "Adroit" in reference.spec.id:
        worlds.bind("mocap_pos")[0, env.task.frame] = door(reference)
    worlds.forward()
    env.steps[:] = 0


def door(reference):
    return reference.unwrapped.model.body("frame").pos


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
    episodes, steps = 1, 0
    while steps < 500 or (episodes == 1 and name not in ENDLESS):
        steps += 1
        action = reference.action_space.sample()
        expected, reward, terminated, truncated, info = reference.step(action)
        observation, rewards, terminateds, truncateds, infos = env.step(action[None])
        assert close(observation, expected)
        assert abs(rewards[0] - reward) < TOLERANCE
        assert (terminateds[0], truncateds[0]) == (terminated, truncated)
        assert not env.worlds.failed.any()
        said = [info[key] for key in ("is_success", "success") if key in info]
        assert [bool(x) for x in said] == [bool(x[0]) for key, x in infos.items() if key == "is_success"]
        if terminated or truncated:
            reference.reset()
            env.reset()
            copy_start(env, reference)
            episodes += 1


@each_task
def test_the_first_observation_is_gymnasiums(name):
    reference, env = original(name), ours(name)
    expected, _ = reference.reset(seed=5)
    env.reset(seed=0)
    copy_start(env, reference)
    observation = env.task.observe(env.state)
    if isinstance(expected, dict):
        goals = {"achieved_goal": env.task.achieved(env.state), "desired_goal": env.goal}
        observation = {"observation": observation, **goals}
    assert close(observation, expected)


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
    doors = env.worlds.bind("mocap_pos")[:, env.task.frame] if "Adroit" in name else np.zeros((n, 0))
    mine = np.concatenate([env.worlds.bind("qpos"), env.worlds.bind("qvel"), env.goal, doors], 1)
    theirs = []
    for k in range(n):
        reference.reset(seed=k)
        data = reference.unwrapped.data
        goal = reference.unwrapped.goal if env._goal_size else []
        place = door(reference) if "Adroit" in name else []
        theirs.append(np.concatenate([data.qpos, data.qvel, goal, place]))
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


@pytest.mark.parametrize(
    "name", ["FetchPush-v4", "FetchSlide-v4", "FetchPickAndPlace-v4", "Pusher-v5", "Reacher-v5"]
)
def test_rejected_starts_are_rejected_here_too(name):
    env = ours(name, 400)
    env.reset(seed=1)
    qpos = env.worlds.bind("qpos")
    if name == "Pusher-v5":
        assert (np.hypot(*qpos[:, -4:-2].T) > 0.17).all()
    elif name == "Reacher-v5":
        assert (np.hypot(*qpos[:, -2:].T) < 0.2).all()
    else:
        box = qpos[:, env.task._free : env.task._free + 2]
        assert (np.hypot(*(box - env.task.home[:2]).T) >= 0.1).all()
        lifted = env.goal[:, 2] > env.task.table_height
        assert (env.goal[~lifted, 2] == env.task.table_height).all()
        assert 150 < lifted.sum() < 250 if name == "FetchPickAndPlace-v4" else not lifted.any()


def follow(name, policy, steps, seed=3):
    """Step the original and ours by a policy of the original's observation; return the observations."""
    reference, env = original(name), ours(name)
    seen, _ = reference.reset(seed=seed)
    env.reset(seed=0)
    copy_start(env, reference)
    path = []
    for step in range(steps):
        action = policy(seen, step).astype(np.float32)
        seen, reward, *_ = reference.step(action)
        observation, rewards, *_ = env.step(action[None])
        assert close(observation, seen) and abs(rewards[0] - reward) < TOLERANCE
        path.append(seen)
    return path


def test_a_box_is_picked_up_as_in_the_original():
    def carry(seen, step):
        to_box = seen["observation"][6:9]
        if step < 18:
            above = np.array([0, 0, 0.1 if step < 9 else 0])
            return np.append(10 * (to_box + above), 1.0)
        return np.array([0, 0, 0.0 if step < 25 else 0.5, -1.0])

    path = follow("FetchPickAndPlace-v4", carry, 45)
    assert path[-1]["achieved_goal"][2] > 0.5


def test_a_hand_meets_the_door_as_in_the_original():
    def reach(seen, step):
        action = np.zeros(28)
        action[0], action[1], action[2] = 1.0, *np.random.default_rng(step // 20).uniform(-1, 1, 2)
        return action

    latch = [seen[27] for seen in follow("AdroitHandDoor-v1", reach, 190)]
    assert min(latch) < -0.01  # it never moves by itself
