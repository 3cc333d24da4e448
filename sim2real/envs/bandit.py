"""A bandit, named in a spec as `sim2real.envs.bandit:BernoulliBandit`: where learning is the task."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray


class BernoulliBandit(VectorEnv):
    """Arms that pay 1 or nothing, with probabilities drawn uniformly for each episode and never shown.

    The task of RL² (Duan et al. 2016, section 3.1) and of Wang et al. (2016): an episode is a trial. The arm
    that is pulled is that of the action's largest entry. Nothing is observed but a zero.

    Args:
        num_envs: N.
        arms: k.
        pulls: Steps of an episode, which then terminates: there is nothing after it.

    Raises:
        ValueError: If there are not at least two arms, and a pull.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int = 1, arms: int = 5, pulls: int = 10) -> None:
        if not (isinstance(arms, int) and arms >= 2 and isinstance(pulls, int) and pulls >= 1):
            raise ValueError(f"a bandit has arms from 2 and pulls from 1 on, given {arms!r} and {pulls!r}")
        self.num_envs, self.arms, self.pulls = num_envs, arms, pulls
        self.single_observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float64)
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (arms,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.chances = np.zeros((num_envs, arms))
        self.pulled = np.zeros(num_envs, np.int64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Draw new arms for all worlds."""
        super().reset(seed=seed)
        self._draw(np.ones(self.num_envs, bool))
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Pull an arm in every world."""
        arm = np.asarray(actions).argmax(-1)
        chance = self.chances[np.arange(self.num_envs), arm]
        reward = (self.np_random.random(self.num_envs) < chance).astype(float)
        self.pulled += 1
        over = self.pulled >= self.pulls
        infos: dict[str, Any] = {}
        if over.any():
            final, shown = np.full(self.num_envs, None, dtype=object), self._observation()
            for world in np.flatnonzero(over):
                final[world] = shown[world]
            infos = {"final_obs": final, "_final_obs": over, "final_info": {}, "_final_info": over}
            self._draw(over)
        return self._observation(), reward, over, np.zeros_like(over), infos

    def _draw(self, worlds: NDArray[np.bool_]) -> None:
        self.chances[worlds] = self.np_random.random((int(worlds.sum()), self.arms))
        self.pulled[worlds] = 0

    def _observation(self) -> NDArray[np.float64]:
        return np.zeros((self.num_envs, 1))
