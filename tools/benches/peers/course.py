"""One training under the clock, the same for everyone: evaluates the policy, keeps the curve."""

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sim2real.envs.make import make_vector

EPISODES, EXAM_SEED = 20, 10_000
COLUMNS: tuple[str, ...] = ("seconds", "wall_seconds", "env_steps", "updates", "return")


class Course:
    """Processor time of one training on one core, without the time that evaluating takes.

    Processor time is what the wall clock would show on a core that nobody else uses.

    Args:
        task: The environment.
        spec: The spec file whose source is trained on.
        seed: Seed of the learner.
        core: The core that it has to itself.
        budget: When it ends [s], if what is wanted has been reached.
        patience: When it ends at the latest [s].
        wanted: The mean return that is waited for after the budget.
        every: Time between evaluations [s].
        out: Where the curve goes; it appears when it is complete.
    """

    def __init__(
        self,
        task: str,
        spec: str,
        seed: int,
        core: int,
        budget: float,
        patience: float,
        wanted: float,
        every: float,
        out: str,
    ) -> None:
        os.sched_setaffinity(0, {core})
        self.spec, self.seed, self.out = spec, seed, Path(out)
        self._budget, self._patience, self._wanted, self._every = budget, patience, wanted, every
        self._exam: Any = make_vector(task, EPISODES, spec, seed=EXAM_SEED, threads=1)
        self._rows: list[dict[str, float]] = []
        self._due, self._examining = 0.0, np.zeros(2)
        self._began = self._now()

    @staticmethod
    def _now() -> Any:
        return np.array([time.process_time(), time.perf_counter()])

    def goes_on(self, policy: Callable[[Any], Any], env_steps: int, updates: int) -> bool:
        """Evaluate if it is time, and say whether training goes on.

        Args:
            policy: Observations (n, o) to deterministic actions (n, a).
            env_steps: Environment steps so far.
            updates: Gradient updates so far.
        """
        now = self._now()
        seconds, wall = now - self._began - self._examining
        if seconds < self._due:
            return True
        self._due = seconds + self._every
        self._rows.append(
            dict(zip(COLUMNS, (seconds, wall, env_steps, updates, self._examine(policy)), strict=True))
        )
        self._examining += self._now() - now
        reached = max(row["return"] for row in self._rows) >= self._wanted
        if seconds < (self._budget if reached else self._patience):
            return True
        self._write()
        return False

    def _examine(self, policy: Callable[[Any], Any]) -> float:
        """Return the mean return of the first episodes in 20 worlds of the source, the same for everyone."""
        obs, _ = self._exam.reset(seed=EXAM_SEED)
        returns, running = np.zeros(EPISODES), np.ones(EPISODES, dtype=bool)
        while running.any():
            obs, reward, terminated, truncated, _ = self._exam.step(policy(obs))
            returns[running] += reward[running]
            running &= ~(terminated | truncated)
        return float(returns.mean())

    def _write(self) -> None:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        partial = self.out.with_suffix(".part")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in self._rows)
        partial.replace(self.out)
