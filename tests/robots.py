"""Environments that stand in for robots: they count what is done to them, and can fail on purpose."""

from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np

EVENTS: Counter[str] = Counter()
"""How often robots were made, reset, stepped and closed."""
FAILS_AT: dict[str, int | None] = {"step": None}
"""The step, of all that are ever taken, in which a robot breaks."""
ASKED: list[Any] = []
"""Episodes that `reluctant` was asked about."""
WILLING = {"episodes": 10**9}
"""How many episodes `reluctant` lets begin."""


class Robot(gym.Wrapper[Any, Any, Any, Any]):
    """A pendulum that is heavier than in training, as Gymnasium simulates it."""

    def __init__(self, mass: float = 1.5, **options: Any) -> None:
        super().__init__(gym.make("InvertedPendulum-v5", max_episode_steps=60, **options))
        self.unwrapped.model.body_mass[:] *= mass  # type: ignore[attr-defined]
        EVENTS["made"] += 1

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Count it."""
        EVENTS["reset"] += 1
        return self.env.reset(**options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count it, and break if it is time."""
        EVENTS["step"] += 1
        if EVENTS["step"] == FAILS_AT["step"]:
            raise OSError("a servo does not answer")
        return self.env.step(action)

    def close(self) -> None:
        """Count it."""
        EVENTS["closed"] += 1
        self.env.close()


class Plain:
    """What has no more than a robot must have: it knows no seeds, options or pictures."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (4,))
    action_space = gym.spaces.Box(-5.0, 5.0, (1,))

    def reset(self) -> tuple[list[float], dict[str, Any]]:
        """Begin at zero."""
        self.steps = 0
        return [0.0] * 4, {}

    def step(self, action: Any) -> tuple[list[float], float, bool, bool, dict[str, Any]]:
        """Show the number of steps; a success is to have taken many."""
        self.steps += 1
        return [float(self.steps)] * 4, 1.0, False, False, {"is_success": self.steps > 3}


class Narrow(Plain):
    """It takes smaller actions than the policy's."""

    action_space = gym.spaces.Box(-1.0, 1.0, (1,))


class Wide(Plain):
    """It shows more than the policy has seen."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (5,))


class Spaceless:
    """It does not say what it shows."""

    def reset(self) -> tuple[Any, dict[str, Any]]:
        """Begin."""
        return np.zeros(4), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Show zeros."""
        return np.zeros(4), 0.0, False, False, {}


class Broken(Plain):
    """Its sensor fails."""

    def step(self, action: Any) -> tuple[list[float], float, bool, bool, dict[str, Any]]:
        """Show what is no number."""
        return [0.0, float("nan"), 0.0, 0.0], 0.0, False, False, {}


def reluctant(upcoming: Any) -> bool:
    """Let so many episodes begin as `WILLING` says."""
    ASKED.append(upcoming)
    WILLING["episodes"] -= 1
    return WILLING["episodes"] >= 0


def forget() -> None:
    """Begin to count anew, whole and willing."""
    EVENTS.clear()
    ASKED.clear()
    FAILS_AT["step"], WILLING["episodes"] = None, 10**9
