"""What a robot logged: the one form that every file is read into, and what may be wrong with it."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from randomizers.words import listing

Floats = NDArray[np.float64]
Sure = Literal["certain", "likely", "possible"]
_SLOWEST = 1.0
"""Time between rows above which time is surely not in seconds [s]."""


class LogError(ValueError):
    """A log that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Finding:
    """Something about a log that whoever uses it should know: a report, never a correction.

    Attributes:
        what: Its kind, such as `gap`, `unit` or `reversed`.
        where: The log, and its joint or column.
        says: What was seen.
        sure: How sure it is.
        todo: What to do about it.
    """

    what: str
    where: str
    says: str
    sure: Sure
    todo: str

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.where}: {self.what} ({self.sure}): {self.says}; {self.todo}"


@dataclass(frozen=True)
class Log:
    """One motion: what was asked of the joints, and where they were.

    Attributes:
        name: Of the motion.
        source: The file it came from, for messages.
        time: When each row was taken, increasing (n,) [s].
        joints: Their names (j,).
        position: Measured (n, j) [rad], or [m] for slides; NaN where nothing was measured.
        command: The position asked for, which holds until the next row (n, j).
        velocity: Measured (n, j) [rad/s], or None.
        current: Of the motors (n, j) [A], or None.
    """

    name: str
    source: str
    time: Floats
    joints: tuple[str, ...]
    position: Floats
    command: Floats
    velocity: Floats | None = None
    current: Floats | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Rows in which every joint was measured (n,)."""
        return np.logical_and.reduce(np.isfinite(self.position), axis=1)

    def rows(self, chosen: Any) -> "Log":
        """Return a log of some of the rows, by mask or slice."""
        optional = {key: None if (x := getattr(self, key)) is None else x[chosen] for key in _OPTIONAL}
        return replace(
            self,
            time=self.time[chosen],
            position=self.position[chosen],
            command=self.command[chosen],
            **optional,
        )


_OPTIONAL = ("velocity", "current")


def tidy(log: Log) -> Log:
    """Check a log as it was read, and make it one whose every row has a command.

    A row without a command keeps the last one; rows before the first command or measurement are dropped.

    Raises:
        LogError: If shapes do not fit, time does not increase or is not in seconds, or nothing is left.
    """
    shape = (log.time.size, len(log.joints))
    if log.time.ndim != 1:
        raise LogError(f"{log.source}: time is {log.time.shape}; one number for each row is wanted")
    if len(set(log.joints)) < len(log.joints):
        raise LogError(f"{log.source}: two joints have one name: {listing(log.joints)}")
    for what in ("position", "command", *_OPTIONAL):
        array = getattr(log, what)
        if array is not None and array.shape != shape:
            raise LogError(f"{log.source}: {what} is {array.shape}, but time and joints make {shape}")
    _check_time(log)
    given = np.isfinite(log.command)
    last = np.maximum.accumulate(np.where(given, np.arange(shape[0])[:, None], -1), axis=0)
    log = replace(log, command=np.take_along_axis(log.command, np.maximum(last, 0), axis=0))
    known = np.flatnonzero((last >= 0).all(axis=1) & log.seen)
    if len(known) < 2:
        raise LogError(f"{log.source}: {log.name} has fewer than two rows with a position and a command")
    return log.rows(slice(known[0], None))


def _check_time(log: Log) -> None:
    if len(log.time) < 2:
        raise LogError(f"{log.source}: {log.name} has {len(log.time)} rows; two are the least")
    steps = np.diff(log.time)
    wrong = np.flatnonzero(~(steps > 0))
    if len(wrong):
        row = int(wrong[0]) + 1
        raise LogError(
            f"{log.source}: time does not increase at row {row + 1} of the data: "
            f"{log.time[row]:g} after {log.time[row - 1]:g}"
        )
    if np.median(steps) > _SLOWEST:
        raise LogError(
            f"{log.source}: rows are {np.median(steps):g} apart, and time is in seconds; "
            "are these milliseconds or nanoseconds?"
        )
