"""What came of a motion: how long, how regular, and why it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

Reason = Literal[
    "done", "terminated", "truncated", "interrupted", "hung", "stale", "late", "not finite", "failed"
]
"""Why it ended: all steps were taken; the robot said so (twice); a signal; a call that did not return; an old
observation; deadlines missed one after the other; a number that is none; an error."""


class Spread(NamedTuple):
    """Times [s].

    Attributes:
        median: Their median.
        p99: Their 99th percentile.
        most: The largest.
    """

    median: float
    p99: float
    most: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Spread":
        """Sum up some times; NaN where there are none."""
        found = np.percentile(times, [50, 99, 100]) if len(times) else np.full(3, np.nan)
        return cls(*(float(one) for one in found))

    def __str__(self) -> str:
        """Return it in milliseconds."""
        return "median {:.2f} ms, 99th percentile {:.2f} ms, most {:.2f} ms".format(*(1e3 * x for x in self))


@dataclass(frozen=True)
class Report:
    """A motion.

    Attributes:
        reason: Why it ended.
        says: The same in words.
        stopped: Whether the robot was told to stop, and took it.
        how: How it was told, or why it could not be.
        steps: Actions that were sent.
        seconds: From the first to the last [s].
        period: What was wanted between them [s].
        jitter: By how much the periods differed from that.
        inference: How long the policy took.
        misses: Deadlines that passed before the work was done.
        stale: Periods in which no new observation had come.
        limits: Actions that the limits changed.
        rate: Actions that the rate limit changed.
        log: The log, or None.
    """

    reason: Reason
    says: str
    stopped: bool
    how: str
    steps: int
    seconds: float
    period: float
    jitter: Spread
    inference: Spread
    misses: int
    stale: int
    limits: int
    rate: int
    log: Path | None

    def __str__(self) -> str:
        """Return it in a few lines."""
        counts = f"{self.misses} deadlines missed, {self.stale} observations stale"
        lines = [
            f"ended: {self.reason} ({self.says})",
            f"stop:  {self.how}" if self.stopped else f"stop:  NOT CONFIRMED: {self.how}",
            f"steps: {self.steps} in {self.seconds:.2f} s, one each {1e3 * self.period:g} ms; {counts}",
            f"period off by: {self.jitter}",
            f"inference:     {self.inference}",
            f"changed: {self.limits} actions by limits, {self.rate} by the rate limit",
        ]
        return "\n".join([*lines, *([f"log: {self.log}"] if self.log else [])])
