"""Logs on other times: commands hold, measurements lie on straight lines."""

from dataclasses import replace

import numpy as np

from sim2real.logs.log import Floats, Log, LogError


def commands_at(log: Log, time: Floats) -> Floats:
    """Return the command in force at times (m,): (m, j); before the first row, that of the first."""
    return log.command[np.maximum(np.searchsorted(log.time, time, "right") - 1, 0)]


def positions_at(log: Log, time: Floats) -> Floats:
    """Return measured positions at times (m,), on straight lines through what was measured: (m, j)."""
    return _along(log.time, log.position, time)


def resample(log: Log, period: float) -> Log:
    """Return a log with a row every `period` [s], from its first row to its last."""
    count = int(np.floor((log.time[-1] - log.time[0]) / period * (1 + 1e-12))) + 1
    time = log.time[0] + period * np.arange(count)
    optional = {
        key: None if (x := getattr(log, key)) is None else _along(log.time, x, time)
        for key in ("velocity", "current")
    }
    return replace(
        log, time=time, position=positions_at(log, time), command=commands_at(log, time), **optional
    )


def cut(log: Log, start: float, stop: float) -> Log:
    """Return what lies from `start` to `stop` [s], counted from the first row, begun at a measurement.

    Raises:
        LogError: If fewer than two rows do.
    """
    since = log.time - log.time[0]
    chosen = np.flatnonzero((since >= start) & (since <= stop) & log.seen)
    if len(chosen) < 2:
        raise LogError(
            f"{log.source}: {log.name} has no rows from {start:g} to {stop:g} s; it is {since[-1]:g} s"
        )
    return log.rows(slice(chosen[0], chosen[-1] + 1))


def _along(own: Floats, values: Floats, time: Floats) -> Floats:
    finite = np.isfinite(values)
    columns = [np.interp(time, own[ok], column[ok]) for column, ok in zip(values.T, finite.T, strict=True)]
    return np.stack(columns, axis=1)
