"""Trainings that a result needs: resumable, several at a time."""

import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reproductions.tables import ROOT


def sim2real(*words: str) -> None:
    """Run one command of the toolkit."""
    print("+ sim2real", *words, flush=True)
    subprocess.run([sys.executable, "-m", "sim2real.cli", *words], check=True)


@dataclass(frozen=True)
class Training:
    """One seed of a spec.

    Attributes:
        group: Folder of the spec in assets/specs, and of the run in runs.
        spec: Stem of the file.
        seed: The run's seed.
    """

    group: str
    spec: str
    seed: int

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return ROOT / "runs" / self.group / f"{self.spec}-s{self.seed}"

    def run(self) -> None:
        """Train, or go on with it; nothing is left to do for a finished one."""
        from sim2real.train import is_finished

        if is_finished(self.folder):
            return
        command = [sys.executable, "-m", "sim2real.cli", "train"]
        if (self.folder / "meta.json").exists():
            command += ["--resume", str(self.folder)]
        else:
            spec = ROOT / "assets" / "specs" / self.group / f"{self.spec}.yaml"
            command += [str(spec), "--seed", str(self.seed), "--out", str(self.folder)]
        print("+", " ".join(command[2:]), flush=True)
        begin, log = time.monotonic(), self.folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            subprocess.run(command, check=True, stdout=file, stderr=file)
        print(f"  {self.spec} seed {self.seed}: {(time.monotonic() - begin) / 60:.1f} min", flush=True)


def run_all(trainings: Iterable[Training], jobs: int) -> None:
    """Run trainings, so many at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(Training.run, trainings))
