"""Run folders: everything a run needs to be reproduced, continued and read by other programs.

Whatever is written here is written to a temporary name, synced, and renamed, so that a process killed at any
moment leaves either the old file or the new one.
"""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_FORMAT = "sim2real-checkpoint-1"
_PACKAGES = ("sim2real", "mujoco", "gymnasium", "gymnasium-robotics", "torch", "numpy")


class RunError(Exception):
    """A run folder, or a file in it, that cannot be used; the message says which and why."""


class Interrupted(Exception):
    """Long work was asked to stop, and has saved itself."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content: all of it, or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file; numbers that are not finite become null."""
    write_atomically(path, (json.dumps(_finite(data), indent=1) + "\n").encode())


@dataclass(frozen=True)
class Track:
    """One training in a run: its checkpoint and its curves.

    Attributes:
        path: Its folder.
        spec_sha256: Of the spec it belongs to; a checkpoint of another spec is refused.
    """

    path: Path
    spec_sha256: str

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "latest.pt"

    @property
    def best(self) -> Path:
        """The checkpoint that did best in validation, of a training that validates."""
        return self.checkpoint.with_name("best.pt")

    @property
    def metrics(self) -> Path:
        """The curves."""
        return self.path / "metrics.csv"

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; tensors, arrays and plain values only."""
        import torch

        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "spec_sha256": self.spec_sha256, **_to_tensors(state)}, buffer)
        write_atomically(self.checkpoint, buffer.getvalue())

    def keep(self) -> None:
        """Let the newest checkpoint be the best one, too."""
        temporary = self.best.with_name(f".{self.best.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            os.link(self.checkpoint, temporary)  # checkpoints are replaced, never changed: one file is enough
        except OSError:
            shutil.copyfile(self.checkpoint, temporary)
        os.replace(temporary, self.best)

    def load(self, best: bool = False) -> dict[str, Any]:
        """Read the newest checkpoint, or the best one if there is one.

        Raises:
            RunError: If there is none, it is damaged, or it is of something else.
        """
        import pickle
        import warnings

        import torch

        path = self.best if best and self.best.exists() else self.checkpoint
        if not path.exists():
            raise RunError(f"{path}: there is no checkpoint yet")
        try:
            with warnings.catch_warnings(action="ignore"):
                state = torch.load(path, weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(f"{path}: damaged, or not a checkpoint ({reason[:120]})") from None
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise RunError(f"{path}: not a checkpoint of this toolkit")
        if state["spec_sha256"] != self.spec_sha256:
            raise RunError(f"{path}: belongs to another spec than {self.path / 'spec.yaml'}")
        return state

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the curves; a last row cut short by a crash is left out."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="") as file:
            return [row for row in csv.DictReader(file) if None not in row.values() and None not in row]

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row to the curves; the first row decides the columns."""
        new = not self.metrics.exists()
        with self.metrics.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})

    def forget_after(self, step: int) -> None:
        """Drop the rows past a checkpoint's step, which training will write again."""
        rows = self.rows()
        kept = [row for row in rows if float(row["step"]) <= step]
        if not rows:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_atomically(self.metrics, text.getvalue().encode())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the track for one process.

        Raises:
            RunError: If another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{self.path}: another process is training here") from None
            yield


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def spec(self) -> Path:
        """The spec as it was used, overrides included."""
        return self.path / "spec.yaml"

    @property
    def spec_sha256(self) -> str:
        """Digest of the spec."""
        return hashlib.sha256(self.spec.read_bytes()).hexdigest()

    @property
    def policy(self) -> Track:
        """The training on the whole source."""
        return Track(self.path, self.spec_sha256)

    @property
    def baseline(self) -> Track:
        """The same training without randomization."""
        return Track(self.path / "baseline", self.spec_sha256)

    @property
    def evaluation(self) -> Path:
        """What `sim2real evaluate` found."""
        return self.path / "evaluation.json"

    def meta(self) -> dict[str, Any]:
        """Return how the run was made."""
        return json.loads((self.path / "meta.json").read_text())

    def results(self) -> dict[str, Any]:
        """Read the evaluation.

        Raises:
            RunError: If there is none.
        """
        if not self.evaluation.exists():
            raise RunError(f"{self.path}: not evaluated yet; run: sim2real evaluate {self.path}")
        return json.loads(self.evaluation.read_text())


def create_run(spec_name: str, text: str, seed: int, out: Path | None = None) -> Run:
    """Make a new run folder.

    Args:
        spec_name: The spec file's stem, which groups runs.
        text: The spec.
        seed: The run's seed.
        out: The folder; by default `runs/<spec>/<time>-s<seed>`.

    Raises:
        RunError: If `out` exists already: a run is never overwritten.
    """
    if out is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        out = Path("runs") / spec_name / f"{stamp}-s{seed}"
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise RunError(
            f"{out}: exists already, and a run is never overwritten; choose another --out"
        ) from None
    except OSError as error:
        raise RunError(f"{out}: cannot be made: {error.strerror}") from None
    run = Run(out)
    write_atomically(run.spec, text.encode())
    write_json(out / "meta.json", _meta(seed))
    return run


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises:
        RunError: If it is none.
    """
    run = Run(Path(path))
    for name in ("meta.json", "spec.yaml"):
        if not (run.path / name).is_file():
            raise RunError(f"{path}: not a run folder (it has no {name})")
    return run


def _meta(seed: int) -> dict[str, Any]:
    return {
        "command": ["sim2real", *sys.argv[1:]],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
        },
    }


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if abs(data) < float("inf") else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data


def _to_tensors(tree: Any) -> Any:
    import numpy as np
    import torch

    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree)
    if isinstance(tree, Mapping):
        return {key: _to_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_to_tensors(value) for value in tree]
    return tree


def to_arrays(tree: Any) -> Any:
    """Turn the tensors of a loaded tree back into NumPy arrays, for what is not a network."""
    import torch

    if isinstance(tree, torch.Tensor):
        return tree.numpy()
    if isinstance(tree, Mapping):
        return {key: to_arrays(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [to_arrays(value) for value in tree]
    return tree
