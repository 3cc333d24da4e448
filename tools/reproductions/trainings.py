"""Trainings that a result needs: resumable, several at a time, each on one thread."""

import hashlib
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reproductions.tables import ROOT

if TYPE_CHECKING:
    from sim2real.runs import Run

Cells = dict[tuple[str, str], float]
"""Scores by row and column of a table."""


def sim2real(*words: str) -> None:
    """Run one command of the toolkit."""
    print("+ sim2real", *words, flush=True)
    subprocess.run([sys.executable, "-m", "sim2real.cli", *words], check=True)


@dataclass(frozen=True)
class Training:
    """One seed of a spec.

    Attributes:
        group: Folder of its run in runs.
        spec: The file in assets/specs, without its suffix, such as `sac/hopper`.
        seed: The run's seed.
        label: What it is called among those of its group; by default the file's stem.
        overrides: What differs from the file, as `sim2real train --set` takes it.
    """

    group: str
    spec: str
    seed: int
    label: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The label, or the file's stem."""
        return self.label or Path(self.spec).name

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return ROOT / "runs" / self.group / f"{self.name}-s{self.seed}"

    @property
    def file(self) -> Path:
        """The spec file."""
        return ROOT / "assets" / "specs" / f"{self.spec}.yaml"

    @property
    def settings(self) -> tuple[str, ...]:
        """All overrides, the seed among them."""
        return *self.overrides, f"train.seed={self.seed}"

    def digest(self) -> str:
        """Return twelve digits that change with anything that the training depends on but code.

        That is the spec as it is after overrides, and the algorithm's settings with its defaults: seeds
        trained before a default changed and after it do not belong into one table.

        Raises:
            SpecError: If the spec is wrong.
        """
        import yaml

        from sim2real.session import CATALOG
        from sim2real.spec import load

        bundle = load(self.file, CATALOG, self.settings)
        spec = yaml.safe_load(bundle.spec.text)
        config = (CATALOG.agents or {})[bundle.spec.train.algorithm].model_validate(bundle.spec.train.agent)
        spec["train"] = bundle.spec.train.model_dump() | {"agent": config.model_dump()}
        if not bundle.spec.train.validate_on:
            del spec["train"]["validate_on"]  # which is how all trained before there was such a thing
        text = json.dumps(spec, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def run(self) -> None:
        """Train, or go on with it; nothing is left to do for a finished one.

        Raises:
            RunError: If the folder holds a run of other settings.
            Interrupted: After SIGINT or SIGTERM; everything is saved.
        """
        from sim2real.runs import open_run
        from sim2real.train import is_finished, start

        self.refuse_another()
        if is_finished(self.folder):
            return
        begin = time.process_time()
        try:
            if (self.folder / "meta.json").exists():
                run = open_run(self.folder)
            else:
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                run = start(self.file, self.settings, self.folder)
                (self.folder / "digest").write_text(self.digest())
            self.train(run)
        finally:
            if self.folder.exists():
                with (self.folder / "core_seconds").open("a") as file:
                    file.write(f"{time.process_time() - begin:.3f}\n")

    def train(self, run: "Run") -> None:
        """Train a run until it has all its steps."""
        from sim2real.progress import Progress
        from sim2real.train import train

        train(run, Progress.silent())

    def refuse_another(self) -> None:
        """Refuse a folder whose run has other settings than this training.

        Raises:
            RunError: If it has.
        """
        from sim2real.runs import RunError

        said = self.folder / "digest"
        if said.exists() and said.read_text() != self.digest():
            raise RunError(
                f"{self.folder}: was trained with other settings than {self.file} and the defaults now say; "
                f"remove it to train it anew"
            )

    @property
    def core_seconds(self) -> float:
        """Processor time of all its threads so far [s], over all interruptions."""
        file = self.folder / "core_seconds"
        return sum(map(float, file.read_text().split())) if file.exists() else 0.0


@dataclass(frozen=True)
class Taught(Training):
    """A training of a student: it depends on how its teachers are trained, and so does its digest.

    Attributes:
        teachers: Trainings of its teachers.
    """

    teachers: tuple[Training, ...] = ()

    def digest(self) -> str:
        """Return twelve digits that change with its own settings or with those of a teacher."""
        every = " ".join([super().digest(), *(teacher.digest() for teacher in self.teachers)])
        return hashlib.sha256(every.encode()).hexdigest()[:12]


class Outcome(NamedTuple):
    """What came of a job.

    Attributes:
        digest: Of the training.
        steps: Environment steps trained.
        train_seconds: Processor time of training [s].
        measure_seconds: Processor time of evaluating, and adapting if that is measured [s].
        cells: What was measured.
    """

    digest: str
    steps: int
    train_seconds: float
    measure_seconds: float
    cells: Cells


@dataclass(frozen=True)
class Job:
    """A training, and what is measured of it.

    Attributes:
        training: It is finished first.
        measure: Scores the run; a function of a module, so that another process can call it.
        needs: Trainings that must be finished before, such as a student's teachers.
    """

    training: Training
    measure: "Callable[[Run], Cells]"
    needs: tuple[Training, ...] = ()

    def carry_out(self) -> Outcome:
        """Train, or go on with it, and measure."""
        import torch

        from sim2real.runs import open_run

        torch.set_num_threads(1)
        self.training.run()
        run, begin = open_run(self.training.folder), time.process_time()
        cells = self.measure(run)
        spent = time.process_time() - begin
        steps = int(run.policy.load()["step"])
        return Outcome(self.training.digest(), steps, self.training.core_seconds, spent, cells)


def carry_out(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Do jobs, so many at a time, and yield each as it is done.

    Args:
        jobs: In the order in which they are begun; those that another needs must be among them before it,
            or be trained.
        processes: How many at a time, each in a process of its own; 1 uses this one.
    """
    if processes == 1:
        yield from ((job, job.carry_out()) for job in jobs)
        return
    waiting, running = list(jobs), dict[Future[Outcome], Job]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _leave_interrupts_to_training) as pool:
        while waiting or running:
            for job in ready(waiting, running.values())[: processes - len(running)]:
                waiting.remove(job)
                print(f"+ {job.training.group}: {job.training.name}, seed {job.training.seed}", flush=True)
                running[pool.submit(job.carry_out)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def ready(waiting: Iterable[Job], running: Iterable[Job]) -> list[Job]:
    """Return the waiting jobs that need nothing which is still to be trained."""
    waiting = list(waiting)
    unfinished = {job.training for job in (*waiting, *running)}
    return [job for job in waiting if not unfinished.intersection(job.needs)]


def _leave_interrupts_to_training() -> None:
    """Let a process just end on Ctrl-C, unless it trains: then it saves first."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
