"""The training loop: act, learn from the past while the worlds step, observe, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from sim2real.agents.base import Agent, RandomAgent, Transitions
from sim2real.agents.collect import Collector, Episode

Sift = Callable[[Transitions, Sequence[Episode]], Transitions]
"""Given a vector step and the episodes that it ended, returns what the agent is given in its place."""


class Loop:
    """Trains an agent in a vector environment, one vector step at a time.

    While the worlds take a step the agent does the updates that earlier steps earned it, so that with two
    processors neither waits for the other. What is computed does not depend on whether they really run at
    the same time.

    Args:
        agent: The learner.
        env: The environment it learns in.
        seed: Seed of the environment's first reset and of the warm-up's random actions.
        overlap: Whether the worlds step in a thread of their own. Not for environments that draw pictures:
            OpenGL belongs to one thread.
        sift: What stands between the worlds and the agent; None passes every step on.
    """

    def __init__(
        self,
        agent: Agent,
        env: VectorEnv[Any, Any, Any],
        seed: int,
        overlap: bool = False,
        sift: Sift | None = None,
    ) -> None:
        self.agent, self._sift = agent, sift
        self._physics = ThreadPoolExecutor(1, "physics") if overlap else None
        self.collector = Collector(env, seed)
        self._random = RandomAgent(agent.action_space, seed)
        self._episodes: list[Episode] = []
        self._mark = (time.perf_counter(), 0, 0)

    @property
    def steps(self) -> int:
        """Environment steps taken, all worlds together."""
        return self.collector.steps

    def step(self) -> Transitions:
        """Take one step in every world, and meanwhile learn from the steps before."""
        warm = self.steps >= self.agent.learning_starts
        actor = self.agent if warm else self._random
        action = actor.act(self.collector.obs)
        if self._physics is None:
            self.agent.update()
            transitions = self.collector.step(action)
        else:
            under_way = self._physics.submit(self.collector.step, action)
            try:
                self.agent.update()
            finally:
                transitions = under_way.result()
        sifted = transitions if self._sift is None else self._sift(transitions, self.collector.ended)
        self.agent.observe(sifted)
        return transitions

    def run_until(self, step: int) -> None:
        """Train until at least `step` environment steps have been taken.

        Worlds step together, so the count may pass `step` by up to one less than their number.
        """
        while self.steps < step:
            self.step()

    def metrics(self) -> dict[str, float]:
        """Summarize what happened since the last call; NaN where nothing did.

        Returns:
            `step` (environment steps so far), `episodes`, `return`, `length`, `success` (means
            over finished episodes, failed simulations left out), `failed` (steps), `steps_per_s`,
            and the agent's own curves. Of an environment with `groups` of worlds, by name, also
            `return/NAME` of each.
        """
        episodes = self.collector.pop_episodes()
        sound = [episode for episode in episodes if not episode.failed]
        successes = [float(e.success) for e in sound if e.success is not None]
        now, then = time.perf_counter(), self._mark
        self._mark = (now, self.steps, self.collector.failures)
        return {
            "step": float(self.steps),
            "episodes": float(len(episodes)),
            "return": _mean([episode.reward for episode in sound]),
            "length": _mean([float(episode.length) for episode in sound]),
            "success": _mean(successes),
            "failed": float(self.collector.failures - then[2]),
            "steps_per_s": (self.steps - then[1]) / max(now - then[0], 1e-9),
            **self._by_group(sound),
            **self.agent.metrics(),
        }

    def _by_group(self, episodes: Sequence[Episode]) -> dict[str, float]:
        groups: Mapping[str, range] = getattr(self.collector.env.unwrapped, "groups", {})
        return {
            f"return/{name}": _mean([episode.reward for episode in episodes if episode.world in own])
            for name, own in groups.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Return agent, collector and warm-up; the environment's state must be saved beside it."""
        return {
            "agent": self.agent.state_dict(),
            "collector": self.collector.state_dict(),
            "random": self._random.state_dict(),
            "failures_reported": self._mark[2],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        To continue bit for bit, make the loop first (which resets the environment), then restore
        the environment, then call this, which neither steps nor resets it.
        """
        self.agent.load_state_dict(state["agent"])
        self.collector.load_state_dict(state["collector"])
        self._random.load_state_dict(state["random"])
        self._mark = (time.perf_counter(), self.steps, state["failures_reported"])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
