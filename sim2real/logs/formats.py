"""Formats of logs, by suffix or layout."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from randomizers.words import listing
from sim2real.logs.arrays import read_npz
from sim2real.logs.bags import read_mcap
from sim2real.logs.lerobot import is_lerobot, read_lerobot
from sim2real.logs.log import Log, LogError
from sim2real.logs.matching import Reading
from sim2real.logs.tables import read_csv


@dataclass(frozen=True)
class Format:
    """One kind of log.

    Attributes:
        about: What it is, in a line.
        fits: Whether a path is one.
        read: Reads the motions in it; raises LogError.
    """

    about: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, Reading], list[Log]]


def _suffix(suffix: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() == suffix and path.is_file()


FORMATS: dict[str, Format] = {
    "csv": Format("time, command.JOINT, position.JOINT", _suffix(".csv"), read_csv),
    "npz": Format("time, joints, command, position", _suffix(".npz"), read_npz),
    "mcap": Format("joint states and commands, as ROS 2 records them", _suffix(".mcap"), read_mcap),
    "lerobot": Format("a dataset's folder, a motion for each episode", is_lerobot, read_lerobot),
}
_ELSEWHERE = {
    ".db3": "`ros2 bag convert` makes an MCAP of it",
    ".bag": "`rosbags-convert` makes an MCAP of it",
    ".parquet": "give the folder of its dataset",
}


def read(path: Path, reading: Reading | None = None) -> list[Log]:
    """Read every motion in a file, or in a folder: a dataset, a bag, or one of logs.

    Numbers are as the file has them; `sim2real.logs.matched` brings them into SI units.

    Raises:
        LogError: If nothing can be read there.
    """
    reading = reading or Reading()
    for kind in FORMATS.values():
        if kind.fits(path):
            return kind.read(path, reading)
    if not path.exists():
        raise LogError(f"{path}: no such file or folder")
    if path.is_dir():
        inside = [
            file for file in sorted(path.iterdir()) if any(kind.fits(file) for kind in FORMATS.values())
        ]
        if inside:
            return [log for file in inside for log in read(file, reading)]
        raise LogError(f"{path}: no logs in this folder; there are formats: {listing(FORMATS)}")
    hint = _ELSEWHERE.get(path.suffix.lower(), f"there are formats: {listing(FORMATS)}")
    raise LogError(f"{path}: no log in a format that can be read; {hint}")
