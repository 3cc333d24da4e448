"""A LeRobot dataset on disk: the episodes' `observation.state` and `action`; layout v3, and v2's files too.

`meta/info.json` names what the numbers of each feature are, and `data/chunk-000/file-000.parquet` and so on
hold a row for each frame of each episode (huggingface/lerobot, `src/lerobot/datasets/utils.py`). What LeRobot
writes for its arms is in degrees or −100 to 100, grippers 0 to 100: nothing in the dataset says which.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from randomizers.words import did_you_mean
from sim2real.logs.log import Floats, Log, LogError, tidy
from sim2real.logs.matching import Reading

_STATE, _ACTION = "observation.state", "action"


def is_lerobot(path: Path) -> bool:
    """Whether a folder is such a dataset."""
    return (path / "meta/info.json").is_file()


def read_lerobot(path: Path, reading: Reading) -> list[Log]:
    """Read a dataset: a motion for each episode. Pictures are not touched.

    Raises:
        LogError: If it has no joint positions as states, or pyarrow is not installed.
    """
    try:
        features = json.loads((path / "meta/info.json").read_text())["features"]
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise LogError(f"{path}/meta/info.json: no description of a dataset ({error})") from None
    joints, asked = (_names(path, features, key) for key in (_STATE, _ACTION))
    if set(joints) != set(asked):
        odd = sorted(set(joints) ^ set(asked))[0]
        has, lacks = (_STATE, _ACTION) if odd in joints else (_ACTION, _STATE)
        raise LogError(f"{path}/meta/info.json: '{odd}' is in {has}, but not in {lacks}")
    frames = _frames(path)
    command = frames[_ACTION][:, [asked.index(name) for name in joints]]
    logs: list[Log] = []
    for episode in np.unique(frames["episode_index"]):
        rows = np.flatnonzero(frames["episode_index"] == episode)
        name, time = f"{path.name}/{int(episode)}", frames["timestamp"][rows]
        logs.append(
            tidy(
                Log(
                    name,
                    f"{path} (episode {int(episode)})",
                    time,
                    joints,
                    frames[_STATE][rows],
                    command[rows],
                )
            )
        )
    return logs


def _names(path: Path, features: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return which joints a feature is of; by number where the dataset does not say."""
    if key not in features:
        raise LogError(f"{path}/meta/info.json: features has no '{key}'{did_you_mean(key, features)}")
    names = features[key].get("names")
    if isinstance(names, dict):  # v2 groups them
        names = [name for group in names.values() for name in group]
    names = names or [str(i) for i in range(features[key]["shape"][0])]
    return tuple(str(name).removesuffix(".pos") for name in names)


def _frames(path: Path) -> dict[str, Floats]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise LogError(f"{path}: LeRobot datasets need pyarrow: pip install 'sim2real[lerobot]'") from None
    files = sorted((path / "data").glob("*/*.parquet"))
    if not files:
        raise LogError(f"{path}: there is no data/chunk-…/….parquet; was it downloaded?")
    wanted = ["episode_index", "timestamp", _STATE, _ACTION]
    found: dict[str, list[Floats]] = {key: [] for key in wanted}
    for file in files:
        try:
            table = parquet.read_table(file, columns=wanted)
        except (arrow.ArrowException, OSError) as error:
            raise LogError(f"{file}: {error}") from None
        for key in wanted:
            if key not in table.column_names:
                raise LogError(f"{file}: there is no column '{key}'{did_you_mean(key, table.column_names)}")
            found[key].append(np.array(table.column(key).to_pylist(), dtype=np.float64))
    return {key: np.concatenate(parts) for key, parts in found.items()}
