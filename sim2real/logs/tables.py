"""Tidy CSV: `time` [s], `command.J`, `position.J` [rad] of joints J; `velocity.J`, `current.J` if known."""

import csv
import io
from pathlib import Path

import numpy as np

from randomizers.words import did_you_mean, listing
from sim2real.logs.log import Floats, Log, LogError, tidy
from sim2real.logs.matching import Reading
from sim2real.runs import write_atomically

_NEEDED, _OPTIONAL = ("position", "command"), ("velocity", "current")


def read_csv(path: Path, reading: Reading) -> list[Log]:
    """Read one motion; an empty cell is a number that is missing, other columns are passed over.

    Raises:
        LogError: If it is no such table; names line and column.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LogError(f"{path}: {error}") from None
    head = [name.strip() for name in rows[0]] if rows else []
    joints = _joints(path, head)
    columns = {
        kind: [head.index(f"{kind}.{joint}") for joint in joints]
        for kind in (*_NEEDED, *_OPTIONAL)
        if kind in _NEEDED or all(f"{kind}.{joint}" in head for joint in joints)
    }
    wanted = [head.index("time"), *(place for places in columns.values() for place in places)]
    table = _numbers(path, head, rows[1:], wanted)
    at = np.cumsum([1, *(len(places) for places in columns.values())])
    read = {kind: table[:, a:b] for kind, a, b in zip(columns, at, at[1:], strict=False)}
    return [tidy(Log(path.stem, str(path), table[:, 0], joints, **read))]


def write_csv(log: Log, path: Path) -> None:
    """Write one motion as `read_csv` reads it, to the last bit."""
    kinds = [kind for kind in (*_NEEDED, *_OPTIONAL) if getattr(log, kind) is not None]
    table = np.concatenate([log.time[:, None], *(getattr(log, kind) for kind in kinds)], axis=1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *(f"{kind}.{joint}" for kind in kinds for joint in log.joints)])
    writer.writerows([["" if np.isnan(x) else repr(float(x)) for x in row] for row in table])
    write_atomically(path, text.getvalue().encode())


def _joints(path: Path, head: list[str]) -> tuple[str, ...]:
    """Return the joints that a table is of, in its order."""
    named = {
        kind: [name.partition(".")[2] for name in head if name.startswith(f"{kind}.")] for kind in _NEEDED
    }
    if "time" not in head:
        raise LogError(f"{path}:1: there is no column 'time'{did_you_mean('time', head)}")
    for kind, joints in named.items():
        if not joints:
            raise LogError(f"{path}:1: no column is called '{kind}.JOINT'; there are: {listing(head)}")
    for kind, other in (_NEEDED, _NEEDED[::-1]):
        for joint in named[kind]:
            if joint not in named[other]:
                hint = did_you_mean(f"{other}.{joint}", head)
                raise LogError(f"{path}:1: '{kind}.{joint}' has no '{other}.{joint}'{hint}")
    return tuple(named["position"])


def _numbers(path: Path, head: list[str], rows: list[list[str]], wanted: list[int]) -> Floats:
    """Return the wanted columns (n, k)."""
    for line, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise LogError(f"{path}:{line}: {len(row)} cells, but the head has {len(head)}")
    try:
        return np.array([[float(row[i]) for i in wanted] for row in rows]).reshape(-1, len(wanted))
    except ValueError:  # a cell is empty, or wrong
        return np.array(
            [[_number(path, line, head[i], row[i]) for i in wanted] for line, row in enumerate(rows, 2)]
        )


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        return float(cell.strip() or "nan")
    except ValueError:
        raise LogError(f"{path}:{line}: {column}: '{cell}' is no number") from None
