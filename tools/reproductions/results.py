"""What the seeds of a result scored, in two small files, and its statistics: seeds are resampled."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reproductions.tables import read, write
from reproductions.trainings import Job, Outcome, Training
from sim2real.evaluation.statistics import RESAMPLES, iqm, iqm_interval

Floats = NDArray[np.float64]
SEEDS = 5
"""Seeds that a finished result has."""


class Results:
    """Scores of trained seeds by row and column of a table, and what each training cost.

    `cells.csv` holds a score a line, `trainings.csv` a training: environment steps, processor time of
    training and of measuring [s], and the digest of its settings.

    Args:
        folder: Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trainings = {_key(line): line for line in read(folder / "trainings.csv")}
        self._cells = {
            (*_key(line), line["row"], line["column"]): line for line in read(folder / "cells.csv")
        }

    def has(self, training: Training) -> bool:
        """Whether a training has been measured, with the very settings that it would have now."""
        line = self._trainings.get((training.name, training.seed))
        return line is not None and line["digest"] == training.digest()

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that are not measured, and those whose trainings they need here."""
        from sim2real.train import is_finished

        wanted = [job for job in jobs if not self.has(job.training)]
        needed = {one for job in wanted for one in job.needs if not is_finished(one.folder)}
        return [job for job in jobs if job in wanted or job.training in needed]

    def add(self, training: Training, outcome: Outcome) -> None:
        """Put a training's scores in place of those it had."""
        name, seed = key = training.name, training.seed
        self._trainings[key] = {
            "training": name,
            "seed": str(seed),
            "steps": str(outcome.steps),
            "train_seconds": f"{outcome.train_seconds:.3f}",
            "measure_seconds": f"{outcome.measure_seconds:.3f}",
            "digest": outcome.digest,
        }
        self._cells = {at: line for at, line in self._cells.items() if at[:2] != key}
        for (row, column), score in outcome.cells.items():
            own = {"training": name, "seed": str(seed), "row": row, "column": column}
            self._cells[(*key, row, column)] = {**own, "score": f"{score:.6g}"}

    def save(self) -> None:
        """Write both files, lines in order."""
        write(self.folder / "trainings.csv", [self._trainings[key] for key in sorted(self._trainings)])
        write(self.folder / "cells.csv", [self._cells[key] for key in sorted(self._cells)])

    def scores(self, row: str, column: str) -> Floats:
        """Return the scores of one cell (seeds,), by rising seed; empty if there are none."""
        found = {seed: line for (_, seed, *at), line in self._cells.items() if at == [row, column]}
        return np.array([float(found[seed]["score"]) for seed in sorted(found)])

    def table(self, row: str, columns: Sequence[str], seeds: Sequence[int] | None = None) -> Floats:
        """Return the scores of a row (seeds, columns), of the seeds that have all of them, by rising seed."""
        by_seed: dict[int, dict[str, float]] = {}
        for (_, seed, own, column), line in self._cells.items():
            if own == row and column in columns and (seeds is None or seed in seeds):
                by_seed.setdefault(seed, {})[column] = float(line["score"])
        whole = [by_seed[seed] for seed in sorted(by_seed) if len(by_seed[seed]) == len(columns)]
        return np.array([[scores[column] for column in columns] for scores in whole]).reshape(
            -1, len(columns)
        )

    @property
    def core_minutes(self) -> float:
        """Processor time of all trainings and measurements [min]."""
        columns = ("train_seconds", "measure_seconds")
        return sum(float(line[column]) for line in self._trainings.values() for column in columns) / 60

    def minutes(self, name: str) -> float:
        """Return the processor time of a training, the mean over its seeds [min]; NaN if there is none."""
        found = [float(line["train_seconds"]) for (own, _), line in self._trainings.items() if own == name]
        return sum(found) / len(found) / 60 if found else math.nan

    def standing(self, names: Sequence[str], command: str) -> str:
        """Say how many seeds there are, what they cost, and with which command to go on.

        Args:
            names: Trainings of which each seed has one.
            command: The command.
        """
        each = [sum(name == own for own, _ in self._trainings) for name in names]
        said = f"{self.core_minutes:.0f} core-minutes, from `{command}`."
        if min(each) >= SEEDS:
            return f"{min(each)} seeds; {said}"
        return (
            f"**Unfinished**: seeds so far {min(each)} of {SEEDS}; {said} The same command goes on with it."
        )


def _key(line: dict[str, str]) -> tuple[str, int]:
    return line["training"], int(line["seed"])


def cell(scores: Floats, digits: int = 4) -> str:
    """Return an interquartile mean over seeds with its bootstrap 95 % interval, as text.

    Args:
        scores: One a seed (seeds,); of one seed there is no interval, of none no text.
        digits: Significant ones.
    """
    if len(scores) == 0:
        return ""
    middle = f"{float(iqm(scores)):.{digits}g}"
    if len(scores) == 1:
        return middle
    low, high = iqm_interval(scores)
    return f"{middle} [{low:.{digits}g}, {high:.{digits}g}]"


def estimate(
    statistic: Callable[..., float], *samples: Floats, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Return a statistic of several rows with its percentile-bootstrap interval (value, low, high).

    The seeds of each row are resampled on their own: seed 3 of one training has nothing to do with seed 3 of
    another.

    Args:
        statistic: Of arrays like the samples.
        samples: Scores of each row (seeds, ...).
        level: Of the interval.
        seed: Of the resampling.

    Returns:
        The value and the ends of its interval, which are NaN if a row has no more than one seed.
    """
    if min(map(len, samples)) < 2:
        return float(statistic(*samples)), math.nan, math.nan
    random = np.random.default_rng(seed)
    drawn = [
        statistic(*(sample[random.integers(0, len(sample), len(sample))] for sample in samples))
        for _ in range(RESAMPLES)
    ]
    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(statistic(*samples)), float(low), float(high)


def number(value: float, low: float, high: float, form: str = ".3g") -> str:
    """Return an estimate with its interval, if it has one, as text."""
    return f"{value:{form}}" + ("" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def percent(value: float, low: float, high: float) -> str:
    """Return a share with its interval, if it has one, as text."""
    return number(value, low, high, ".0%")


def verdict(reached: bool | None) -> str:
    """Return the word for a gate that is reached, or missed; None where an interval is missing."""
    if reached is None:
        return "undecided: one seed has no interval"
    return "reached" if reached else "**missed**"


def decided(reached: bool, end: float) -> bool | None:
    """Return whether a gate on an end of an interval is reached, or None if there is no interval."""
    return None if math.isnan(end) else reached
