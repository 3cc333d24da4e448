"""Stable-Baselines3, unchanged, on wrapped environments and on native ones."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from wrapped import made

import sim2real

HOPPER = """\
env: Hopper-v5
randomize:
  torso: {type: mass, select: torso, scale: [0.6, 1.4]}
  late:  {type: action_latency, set: [0 ms, 20 ms]}
  noise: {type: observation_noise, set: 0.01}
"""
REACH = """\
env: FetchReach-v4
randomize:
  hand: {type: mass, select: "robot0:gripper_link", scale: [0.6, 1.4]}
  late: {type: action_latency, set: [0 ms, 40 ms]}
"""


def small():
    return {"policy_kwargs": {"net_arch": [16]}, "seed": 0, "batch_size": 16}


@pytest.fixture(autouse=True)
def alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages' own: old versions, float64 observations
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def maker(tmp_path):
    """Make an environment, wrapped or native, whose spec is in a file: also in another process."""

    def make(text, native=False, seed=0):
        name = text.split()[1]
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        if native:
            return lambda: gym.make(f"sim2real/{name}", spec=path)
        return lambda: sim2real.randomize(made(name), path, seed=seed)

    return make


@pytest.mark.parametrize(
    ("text", "native"),
    [(HOPPER, False), (REACH, False), (HOPPER, True), (REACH, True)],
)
def test_its_checker_passes(maker, text, native):
    env = maker(text, native)()
    # It asks for compute_reward at the outermost, where gym.make's own wrappers have none.
    check_env(env.unwrapped if native else env, skip_render_check=True)


@pytest.mark.parametrize("native", [False, True])
def test_ppo_and_sac_learn(maker, native):
    make = maker(HOPPER, native)
    ppo = PPO("MlpPolicy", make(), n_steps=64, n_epochs=1, **small()).learn(128)
    sac = SAC("MlpPolicy", make(), learning_starts=50, **small()).learn(150)
    assert ppo.num_timesteps == 128 and sac._n_updates == 100


@pytest.mark.parametrize("native", [False, True])
def test_sac_learns_with_hindsight(maker, native):
    """Hindsight asks the environment itself for rewards, through the wrapper."""
    agent = SAC(
        "MultiInputPolicy",
        maker(REACH, native)(),
        learning_starts=60,
        replay_buffer_class=HerReplayBuffer,
        **small(),
    )
    agent.learn(200)
    assert agent.num_timesteps == 200 and agent._n_updates == 140


def test_several_in_one_process_and_in_workers_are_the_same(maker):
    """A factory goes to a worker process by cloudpickle; what it makes there draws the same domains."""
    makers = [maker(HOPPER, seed=world) for world in range(2)]
    here, there = DummyVecEnv(makers), SubprocVecEnv(makers, start_method="spawn")
    try:
        for env in (here, there):
            env.seed(5)
            env.action_space.seed(0)
        np.testing.assert_array_equal(here.reset(), there.reset())
        np.testing.assert_array_equal(
            [i["domain"] for i in here.reset_infos], [i["domain"] for i in there.reset_infos]
        )
        for _ in range(30):
            actions = np.array([here.action_space.sample() for _ in range(2)])
            a, b = here.step(actions), there.step(actions)
            np.testing.assert_array_equal(a[0], b[0])
            np.testing.assert_array_equal(a[1], np.float32(b[1]))
            np.testing.assert_array_equal(a[2], b[2])
        domains = np.array(there.get_attr("applied"))
        assert domains[0, 0] != domains[1, 0]
        PPO("MlpPolicy", there, n_steps=32, n_epochs=1, **small()).learn(64)
    finally:
        there.close()
        here.close()
