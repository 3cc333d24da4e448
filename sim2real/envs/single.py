"""One world as a plain `gymnasium.Env`, for libraries that know no vector environments."""

from typing import Any

import gymnasium as gym
import numpy as np

from sim2real.envs.vector import TaskVectorEnv


class TaskEnv(gym.Env[Any, Any]):
    """The only world of a `TaskVectorEnv` without autoreset.

    Args:
        vector: The vector environment, with `num_envs` 1 and `autoreset` False.
    """

    def __init__(self, vector: TaskVectorEnv) -> None:
        self.vector = vector
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self.render_mode = vector.render_mode
        self.metadata = {k: v for k, v in vector.metadata.items() if k != "autoreset_mode"}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode; see `TaskVectorEnv.reset`."""
        super().reset(seed=seed)
        observation, infos = self.vector.reset(seed=seed)
        return _only(observation), _only(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one control step; see `TaskVectorEnv.step`."""
        observation, reward, terminated, truncated, infos = self.vector.step(np.asarray(action)[None])
        ends = bool(terminated[0]), bool(truncated[0])
        return _only(observation), float(reward[0]), *ends, _only(infos)

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Return the reward of goals; see `TaskVectorEnv.compute_reward`."""
        return self.vector.compute_reward(achieved_goal, desired_goal, info)

    def render(self) -> Any:
        """Return a picture (480, 480, 3), or None without a render mode."""
        pictures = self.vector.render()
        return None if pictures is None else pictures[0]

    def close(self) -> None:
        """Free the renderer."""
        self.vector.close()


def _only(batched: Any) -> Any:
    if isinstance(batched, dict):
        return {key: _only(value) for key, value in batched.items() if not key.startswith("_")}
    return batched[0].item() if batched.ndim == 1 else batched[0]
