"""Scores policies on the source while they train, so that the best of them is the one that is kept."""

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from gymnasium.vector import VectorEnv

from sim2real.agents import Agent
from sim2real.rollout import run_episodes

SEED = 700_000
"""Seed of the episodes: none that a policy is trained, evaluated or adapted on begins like them."""

Score = Callable[[Agent], float]
"""Returns the mean return of an agent's deterministic policy."""


@runtime_checkable
class Validated(Protocol):
    """An agent that goes by scores itself; online distillation does."""

    def validate(self, score: Score) -> None:
        """Have policies scored, and choose the one that acts deterministically from now on."""
        ...


class Validation:
    """Validation episodes on the source: each time the same domains and the same starts, never a target's.

    Args:
        worlds: As many as there are episodes; not those that the policy trains in.

    Attributes:
        best: The highest score so far.
    """

    def __init__(self, worlds: VectorEnv[Any, Any, Any]) -> None:
        self._worlds, self.best, self._latest = worlds, -math.inf, math.nan

    def score(self, agent: Agent) -> float:
        """Return the mean return; an episode whose simulation failed counts with what it had."""
        return float(run_episodes(agent, self._worlds, SEED).returns.mean())

    def improved(self, agent: Agent) -> bool:
        """Score an agent, once it has chosen its policy, and return whether none was better before."""
        if isinstance(agent, Validated):
            agent.validate(self.score)
        self._latest = self.score(agent)
        improved = self._latest >= self.best
        self.best = max(self.best, self._latest)
        return improved

    def metrics(self) -> dict[str, float]:
        """Return the latest score (NaN before the first), for the curves."""
        return {"validation": self._latest}

    def state_dict(self) -> dict[str, float]:
        """Return both scores."""
        return {"best": self.best, "latest": self._latest}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore what `state_dict` returned."""
        self.best, self._latest = state["best"], state["latest"]

    def close(self) -> None:
        """Close the worlds."""
        self._worlds.close()
