"""A vector environment of somebody else's, to be named as `tests.foreign:CountingVectorEnv`."""

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class CountingVectorEnv(VectorEnv):
    """Observes how many steps an episode has had; each lasts ten."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int = 1) -> None:
        self.num_envs = num_envs
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.count = np.zeros(num_envs)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count[:] = 0
        return self.count[:, None].copy(), {}

    def step(self, actions):
        ended = self.count >= 10
        self.count = np.where(ended, 0, self.count + 1)
        truncated = self.count >= 10
        never = np.zeros(self.num_envs, bool)
        return self.count[:, None].copy(), np.ones(self.num_envs), never, truncated, {}
