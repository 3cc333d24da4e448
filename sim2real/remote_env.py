"""A robot in another process or on another machine as a Gymnasium environment, in its own time.

`sim2real.simulated_robot` is one to connect to; as a target of a spec it is
`{env: sim2real.remote_env:RemoteEnv, options: {port: 7777}}`.
"""

import time
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from sim2real.deploy.remote import RemoteRobot

Floats = NDArray[np.float64]


class RemoteEnv(gym.Env[Floats, NDArray[np.float32]]):
    """A robot at an address: a step sends an action, waits for the end of the control period, and looks.

    Args:
        port: Its port.
        host: Its name or address.
        timeout: Time that a connection may take [s].

    Attributes:
        period: Control period, as the robot says [s].

    Raises:
        OSError: If nobody answers there.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 5.0) -> None:
        self.robot = RemoteRobot(host, port, timeout)
        about = self.robot.description
        self.period = float(about["period"])
        low, high = (np.array(about[end], np.float32) for end in ("low", "high"))
        self.action_space = gym.spaces.Box(low, high, dtype=np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (int(about["observation"]),), np.float64)
        self._due = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Bring it to where motions begin, and return what is seen there."""
        super().reset(seed=seed)
        seen = self.robot.reset(seed=seed, options=options)
        self._due = time.perf_counter()
        return seen

    def step(self, action: NDArray[Any]) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Send an action, and return what is seen a control period after the last look."""
        self.robot.step(action)
        now = time.perf_counter()
        self._due = max(self._due + self.period, now)  # what came too late is not caught up with
        time.sleep(max(0.0, self._due - now))
        observation, info = self.robot.observe()
        terminated, truncated = bool(info.get("terminated")), bool(info.get("truncated"))
        return observation, float(info.get("reward", 0.0)), terminated, truncated, info

    def close(self) -> None:
        """Let it hold where it is, and disconnect."""
        try:
            self.robot.stop()
        finally:
            self.robot.close()
