"""Learners with a memory, where what to do was told long ago and nothing else tells it."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from sim2real.agents import Loop
from sim2real.envs.recall import RecallEnv
from sim2real.rollout import run_episodes
from sim2real.transfer.registry import METHODS


class Cue(VectorEnv):
    """Shows a sign in the first of an episode's steps, and rewards an action of that sign in the last.

    Args:
        worlds: How many.
        told: In which episodes of two the sign is shown; it is the same in both.
    """

    def __init__(self, worlds=16, told=(0, 1)):
        self.num_envs, self.told, self.length = worlds, told, 4
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float64)
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.t = -1, 0
        return self._begin(), {}

    def _begin(self):
        self.episode, self.t = self.episode + 1, 0
        if self.episode % 2 == 0:
            self.sign = self.np_random.choice([-1.0, 1.0], self.num_envs)
        return self._shown()

    def _shown(self):
        shown = np.zeros((self.num_envs, 2))
        shown[:, 1] = self.t / self.length
        if self.t == 0 and self.episode % 2 in self.told:
            shown[:, 0] = self.sign
        return shown

    def step(self, actions):
        self.t += 1
        over = self.t == self.length
        reward = actions[:, 0] * self.sign * over
        shown, infos = self._shown(), {}
        if over:
            infos, shown = {"final_obs": shown}, self._begin()
        done = np.full(self.num_envs, over)
        return shown, reward, done, ~np.ones(self.num_envs, bool), infos


def learned(name, steps, told, trial, **settings):
    """A trained agent, and worlds to score it in."""
    env = RecallEnv(Cue(16, told), trial)
    method = METHODS[name]
    config = method.config.model_validate({"trial": trial, **settings})
    spaces = env.single_observation_space, env.single_action_space
    agent = method.make(*spaces, config, 0, None, None)
    Loop(agent, env, 0).run_until(steps)
    return agent, RecallEnv(Cue(200, told), trial)


SETTINGS = {
    "rl2": (12_000, {"units": 16, "hidden": [16], "horizon": 16, "lr": 5e-3, "minibatches": 2}),
    "recurrent_sac": (
        3_000,
        {"units": 16, "actor_hidden": [32], "critic_hidden": [32], "actor_lr": 2e-3, "learning_starts": 500,
         "sequence": 8, "initial_temperature": 0.05, "updates_per_step": 0.25},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_cue_is_remembered_to_the_end_of_an_episode(name):
    steps, settings = SETTINGS[name]
    agent, env = learned(name, steps, (0, 1), 1, **settings)
    assert run_episodes(agent, env, 1).returns.mean() > 0.9
    zeroed = agent.clone({"memory": "zeroed"}, keep_replay=False)
    assert abs(run_episodes(zeroed, env, 1).returns.mean()) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_and_into_the_next_episode_of_its_trial(name):
    """Which shows no cue: that the first one's is remembered is all that helps."""
    steps, settings = SETTINGS[name]
    agent, env = learned(name, 2 * steps, (0,), 2, **settings)
    shown, _ = env.reset(seed=1)
    second = 0.0
    with agent.elsewhere():
        for _ in range(8):
            shown, reward, *_ = env.step(agent.act(shown, deterministic=True))
            second = reward
    assert second.mean() > 0.9


@pytest.mark.slow
def test_rl2_comes_near_to_what_a_bandit_of_two_arms_can_pay():
    """Of ten pulls 6.02 (by dynamic programming, see `tools/reproduce recurrent`); a single arm pays 5."""
    from sim2real.envs.bandit import BernoulliBandit

    env = RecallEnv(BernoulliBandit(200, arms=2))
    settings = {"choice": True, "horizon": 10, "lr": 3e-3, "units": 32, "minibatches": 2}
    spaces = env.single_observation_space, env.single_action_space
    agent = METHODS["rl2"].make(*spaces, METHODS["rl2"].config.model_validate(settings), 0, None, None)
    Loop(agent, env, 0).run_until(300_000)
    scored = RecallEnv(BernoulliBandit(5_000, arms=2))
    assert run_episodes(agent, scored, 1).returns.mean() > 5.85
