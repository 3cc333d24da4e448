"""What worlds of a set show beside their observations: which task is done in them, and by which robot."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Label

Floats = NDArray[np.float64]


class LabelEnv(VectorWrapper):
    """Tells a policy of several environments where it is.

    Observations become dictionaries: beside `observation` (and goals) there are the one-hots `task` (k,) and,
    if there is more than one, `robot` (m,). Where a task says which of its observation's columns are the
    robot's own, they are taken out of `observation` and shown as `proprioception`.

    Args:
        env: N worlds, whose observations may already be dictionaries.
        label: Which task and robot they are of.

    Raises:
        ValueError: If what they show as observation is no flat box.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], label: Label) -> None:
        super().__init__(env)
        inner = env.single_observation_space
        self._is_dict = isinstance(inner, gym.spaces.Dict)
        spaces = dict(inner.spaces) if isinstance(inner, gym.spaces.Dict) else {"observation": inner}
        seen = spaces["observation"]
        if not isinstance(seen, gym.spaces.Box) or len(seen.shape) != 1:
            raise ValueError(f"a set takes environments with flat observations, given {inner}")
        self._parts = _parts(env, seen.shape[0])
        self._labels = {
            key: np.eye(count)[index]
            for key, (index, count) in (("task", label.task), ("robot", label.robot))
            if key == "task" or count > 1
        }
        boxes = {
            key: gym.spaces.Box(seen.low[own], seen.high[own], dtype=np.float64)
            for key, own in self._parts.items()
        }
        hots = {key: gym.spaces.Box(0.0, 1.0, one.shape, np.float64) for key, one in self._labels.items()}
        self.single_observation_space = gym.spaces.Dict({**spaces, **boxes, **hots})
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes; see the environment's own `reset`."""
        observation, infos = self.env.reset(seed=seed, options=options)
        return self._labelled(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": self._final(infos["final_obs"])}
        return self._labelled(observation), reward, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on; of native worlds only."""
        inner: Any = self.env
        return inner.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit."""
        inner: Any = self.env
        inner.load_state_dict(saved)

    def _labelled(self, observation: Any) -> dict[str, Any]:
        """Return observations (n, ...), or a single one (...), with what is added."""
        shown = dict(observation) if self._is_dict else {"observation": observation}
        seen = shown["observation"]
        parts = {key: seen[..., own] for key, own in self._parts.items()}
        hots = {key: np.broadcast_to(one, (*seen.shape[:-1], len(one))) for key, one in self._labels.items()}
        return {**shown, **parts, **hots}

    def _final(self, final: NDArray[Any]) -> NDArray[Any]:
        """Return the last observations (n,) of ended worlds, labelled too."""
        found = np.full(len(final), None, dtype=object)
        for world, shown in enumerate(final):
            found[world] = None if shown is None else self._labelled(shown)
        return found


def _parts(env: VectorEnv[Any, Any, Any], size: int) -> dict[str, NDArray[np.int64]]:
    """Return the columns of the robot's own part of the observation and of the rest, if the task says so."""
    native = env.unwrapped
    own = native.task.proprioception if isinstance(native, TaskVectorEnv) else None
    if own is None:
        return {}
    columns = np.arange(size)
    return {"observation": np.delete(columns, own), "proprioception": columns[own]}
