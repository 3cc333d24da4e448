"""Logs in short pieces, each of which a simulation begins anew from what was measured (multiple shooting)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim2real.logs import Log

_AROUND = 3
"""Rows on either side of a start from which position and velocity there are read, on a parabola."""
_SETTLING = 0.3
"""Time at a piece's beginning that does not count: an error of its start, or a late command, dies out [s]."""


@dataclass(frozen=True)
class Segment:
    """A piece of a log.

    Attributes:
        log: It, as a log that begins at its start.
        counted: Which of its rows count (n,).
    """

    log: Log
    counted: NDArray[np.bool_]


def segments(logs: Sequence[Log], seconds: float, count: int) -> list[Segment]:
    """Cut logs into pieces, and take as many as wanted, spread evenly from the slowest to the fastest.

    How fast a piece is says its commands' root mean square speed. Friction shows in slow pieces, limits of
    speed and acceleration only in the fastest, of which a long log may have few.

    Args:
        logs: Matched to one model.
        seconds: Length of a piece [s].
        count: How many to take, at most.

    Raises:
        ValueError: If no log is long enough for a piece.
    """
    ends = [(log, part) for log in logs for part in _parts(log, seconds)]
    if not ends:
        longest = max((log.time[-1] - log.time[0] for log in logs), default=0.0)
        raise ValueError(
            f"no log has {seconds:g} s, the length of a piece; the longest has {longest:.3g} s: "
            "give a shorter --piece"
        )
    order = np.argsort([_speed(log.rows(part)) for log, part in ends], kind="stable")
    taken = order[np.linspace(0, len(ends) - 1, min(count, len(ends))).round().astype(int)]
    return [_begun(*ends[i]) for i in np.unique(taken)]


def _speed(log: Log) -> float:
    """Return the root mean square of how fast commands change, [rad/s] or [m/s]."""
    rate = np.diff(log.command, axis=0) / np.diff(log.time)[:, None]
    return float(np.sqrt(np.mean(rate**2)))


def _parts(log: Log, seconds: float) -> list[slice]:
    """Return the rows of each whole piece; it begins at a measurement."""
    known = np.flatnonzero(log.seen)
    since = log.time[known] - log.time[known[0]]
    whole = int((since[-1] + 1e-9 + np.median(np.diff(log.time))) / seconds)
    starts = known[np.searchsorted(since, seconds * np.arange(whole) - 1e-9)]
    stops = np.searchsorted(log.time, log.time[starts] + seconds - 1e-9)
    return [slice(a, b) for a, b in zip(starts, stops, strict=True) if b - a > 2 * _AROUND]


def _begun(log: Log, rows: slice) -> Segment:
    part = log.rows(rows)
    if rows.start > 0:
        # A start from the middle of a motion: where it was going is read from the rows around it.
        near = slice(max(rows.start - _AROUND, 0), rows.start + _AROUND + 1)
        time, seen = log.time[near] - log.time[rows.start], log.seen[near]
        _, slope, place = np.polyfit(time[seen], log.position[near][seen], 2)
        first = np.arange(len(part)) == 0
        velocity = np.where(first[:, None], slope, np.nan)
        position = np.where(first[:, None], place, part.position)
        part = replace(part, position=position, velocity=velocity)
    settled = part.time - part.time[0] >= _SETTLING * (rows.start > 0)
    counted = settled & part.seen & (np.arange(len(part)) > 0)
    return Segment(part, counted)
