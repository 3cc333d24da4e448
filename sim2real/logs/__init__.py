"""Logs of real robots: files of several formats in, one form out, and what is wrong with them."""

from sim2real.logs.checks import check
from sim2real.logs.formats import FORMATS, read
from sim2real.logs.log import Finding, Log, LogError
from sim2real.logs.matching import UNITS, Joints, Reading, matched
from sim2real.logs.resample import commands_at, cut, positions_at, resample
from sim2real.logs.tables import write_csv

__all__ = [
    "FORMATS",
    "UNITS",
    "Finding",
    "Joints",
    "Log",
    "LogError",
    "Reading",
    "check",
    "commands_at",
    "cut",
    "matched",
    "positions_at",
    "read",
    "resample",
    "write_csv",
]
