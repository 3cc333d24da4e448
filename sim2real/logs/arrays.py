"""NPZ: arrays `time` (n,), `joints` (j,), `position`, `command` (n, j); `velocity`, `current` if known."""

import zipfile
from pathlib import Path

import numpy as np

from randomizers.words import did_you_mean
from sim2real.logs.log import Log, LogError, tidy
from sim2real.logs.matching import Reading

_NEEDED, _OPTIONAL = ("time", "joints", "position", "command"), ("velocity", "current")


def read_npz(path: Path, reading: Reading) -> list[Log]:
    """Read one motion; nothing in the file is ever unpickled.

    Raises:
        LogError: If an array is missing or is not of numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise LogError(f"{path}: {error}") from None
    for key in _NEEDED:
        if key not in found:
            raise LogError(f"{path}: there is no array '{key}'{did_you_mean(key, found)}")
    joints = tuple(str(name) for name in np.atleast_1d(found["joints"]))
    numbers = {}
    for key in ("time", "position", "command", *(key for key in _OPTIONAL if key in found)):
        if not np.issubdtype(found[key].dtype, np.number):
            raise LogError(f"{path}: '{key}' is of {found[key].dtype}, not of numbers")
        numbers[key] = found[key].astype(np.float64)
    return [tidy(Log(path.stem, str(path), joints=joints, **numbers))]
