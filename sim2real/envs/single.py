"""One world as a plain `gymnasium.Env`, for libraries that know no vector environments."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from sim2real.envs.task import GoalTask
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
        domain = {"domain": self.applied} if self.vector.program.d else {}
        return _only(observation), _only(infos) | domain

    @property
    def applied(self) -> Any:
        """The world's domain (d,) as applied; see `TaskVectorEnv.applied`."""
        return self.vector.applied[0]

    def picture(self, width: int = 480, height: int = 480, camera: Any = None) -> Any:
        """Return a picture (height, width, 3); see `TaskVectorEnv.picture`."""
        return self.vector.picture(0, width, height, camera)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one control step; see `TaskVectorEnv.step`."""
        observation, reward, terminated, truncated, infos = self.vector.step(np.asarray(action)[None])
        ends = bool(terminated[0]), bool(truncated[0])
        return _only(observation), float(reward[0]), *ends, _only(infos)

    @property
    def compute_reward(self) -> Callable[..., Any]:
        """`TaskVectorEnv.compute_reward`; an attribute only where the task has goals, as libraries expect.

        Raises:
            AttributeError: If the task has no goals.
        """
        if not isinstance(self.vector.task, GoalTask):
            raise AttributeError("this task has no goals")
        return self.vector.compute_reward

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
