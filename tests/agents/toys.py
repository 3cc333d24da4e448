"""Small deterministic worlds whose every transition is known by heart."""

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from sim2real.agents import SACConfig, Transitions

MODES = list(AutoresetMode)
UNIT = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


def box(size):
    return gym.spaces.Box(-np.inf, np.inf, (size,), np.float64)


class Counting(gym.Env):
    """Shows (world, episode, t); its reward is t; world w runs w + 2 steps and odd worlds terminate.

    In episode 1 of world 2 the simulation "fails" at t = 1 without ending the episode.
    """

    def __init__(self, world, goals=False):
        self.world, self.goals, self.episode, self.t = world, goals, -1, 0
        self.action_space = UNIT
        self.observation_space = box(3)
        if goals:
            keys = {"observation": box(3), "achieved_goal": box(1), "desired_goal": box(1)}
            self.observation_space = gym.spaces.Dict(keys)

    def _obs(self):
        obs = np.array([self.world, self.episode, self.t], float)
        if not self.goals:
            return obs
        return {"observation": obs, "achieved_goal": obs[2:], "desired_goal": np.array([9.0])}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return self._obs(), {"is_success": True, "failed": False}

    def step(self, action):
        failed = (self.world, self.episode, self.t) == (2, 1, 1)
        reward, self.t = float(self.t), self.t + 1
        done, odd = self.t == self.world + 2, self.world % 2 == 1
        info = {"is_success": self.episode % 2 == 1, "failed": failed}
        return self._obs(), reward, done and odd, done and not odd, info


def counting(mode, worlds=3, goals=False):
    return SyncVectorEnv([lambda w=w: Counting(w, goals) for w in range(worlds)], autoreset_mode=mode)


class Identity(VectorEnv):
    """Shows a point and rewards an action near it; every episode has one step."""

    def __init__(self, worlds=8, size=2):
        self.num_envs, self.size = worlds, size
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (size,), np.float64)
        self.single_action_space = gym.spaces.Box(-2.0, 1.0, (size,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.obs = self.rng.uniform(-1, 1, (self.num_envs, self.size))
        return self.obs, {}

    def step(self, actions):
        reward = -np.square(actions - self.obs).sum(-1)
        final = self.obs
        self.obs = self.rng.uniform(-1, 1, (self.num_envs, self.size))
        done = np.ones(self.num_envs, bool)
        return self.obs, reward, done, ~done, {"final_obs": final}


def transitions(obs, next_obs, *, action=None, reward=None, terminated=False, started=False):
    """A step of usable rows, with scalars spread over the worlds."""
    first = obs["observation"] if isinstance(obs, dict) else obs
    n = len(first)

    def spread(value):
        return np.broadcast_to(np.asarray(value, bool), (n,)).copy()

    return Transitions(
        obs=obs,
        action=np.zeros((n, 1), np.float32) if action is None else action,
        reward=np.zeros(n) if reward is None else np.asarray(reward, float),
        next_obs=next_obs,
        terminated=spread(terminated),
        truncated=spread(False),
        started=spread(started),
        valid=spread(True),
        failed=spread(False),
    )


SMALL = {
    "actor_hidden": (16, 16),
    "critic_hidden": (16, 16),
    "batch_size": 32,
    "learning_starts": 40,
    "replay_capacity": 500,
    "updates_per_step": 1.0,
}
"""Settings that learn in a second."""


def small(**changes):
    """A configuration of SAC that learns in a second."""
    return SACConfig.model_validate({**SMALL, **changes})
