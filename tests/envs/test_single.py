"""One world as a plain Gymnasium environment: for its checker and for Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from sim2real.envs import NATIVE

# The checker's remark on observation spaces without bounds, which are Gymnasium's own here.


@pytest.fixture(autouse=True)
def one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


unbounded = pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value is")
# And on Pusher's torques of ±2, which are Gymnasium's own too.
wide = pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric and normalized space")


@unbounded
@wide
@pytest.mark.parametrize("name", NATIVE)
def test_gymnasiums_checker_passes(name):
    check_env(gym.make(f"sim2real/{name}").unwrapped, skip_render_check=True)


@unbounded
@wide
def test_gymnasiums_checker_passes_with_rendering():
    env = gym.make("sim2real/Hopper-v5", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (480, 480, 3)
    env.close()
    assert gym.make("sim2real/Hopper-v5").render_mode is None


def test_infos_and_ends_are_plain_python():
    env = gym.make("sim2real/FetchPush-v4", max_episode_steps=None)
    observation, info = env.reset(seed=0)
    assert info == {} and observation in env.observation_space
    for step in range(50):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert [type(x) for x in (reward, terminated, truncated)] == [float, bool, bool]
        assert info == {"is_success": False} or info == {"is_success": True}
        assert truncated == (step == 49) and observation in env.observation_space


def test_a_reset_begins_the_next_episode_and_a_seed_the_first():
    env = gym.make("sim2real/Hopper-v5")
    first, second = env.reset(seed=0)[0], env.reset()[0]
    assert (first != second).any()
    np.testing.assert_array_equal(env.reset(seed=0)[0], first)
    np.testing.assert_array_equal(env.reset()[0], second)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_stable_baselines3_trains_sac_on_hopper():
    from stable_baselines3 import SAC

    env = gym.make("sim2real/Hopper-v5")
    agent = SAC("MlpPolicy", env, seed=0, learning_starts=50, batch_size=16, policy_kwargs={"net_arch": [16]})
    agent.learn(150)
    assert agent.num_timesteps == 150 and agent._n_updates > 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_stable_baselines3_trains_with_hindsight_on_fetch():
    from stable_baselines3 import SAC, HerReplayBuffer

    env = gym.make("sim2real/FetchReach-v4")
    agent = SAC(
        "MultiInputPolicy",
        env,
        seed=0,
        learning_starts=60,
        batch_size=16,
        replay_buffer_class=HerReplayBuffer,
        policy_kwargs={"net_arch": [16]},
    )
    agent.learn(100)
    assert agent.num_timesteps == 100 and agent._n_updates > 30
