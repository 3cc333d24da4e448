"""Row 5: training time to the same evaluated return, every learner with its own default settings.

Everyone learns in worlds of the same spec's source (`assets/specs/bench/`), alone on one core, on one thread,
and is evaluated in the same 20 worlds. The clock is processor time, without the time of evaluating. A busy
machine falsifies it less than it does the clock on the wall, but takes its share of the caches: with three
processes on a core everyone did about a fifth fewer updates in a second. The table says how busy it was.
Everyone has the same budget, after which policies are compared. A peer that has not got there by then trains
on until it does, or until it has had a tenth more than the bar's multiple of our own time; one that never
does counts with the time it was given: the ratio is then a lower bound, and says so. Curves that exist are
not measured again, so that an interrupted run goes on.
"""

import csv
import json
import os
import queue
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

from benches import venv
from benches.contest import OURS
from benches.figures import Bar, Figure, Mode, Outcome, Table
from benches.worker import SCRIPTS

SEEDS = range(5)


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        env: The environment; its spec is `assets/specs/bench/<name>.yaml`.
        wanted: The mean return that counts as learned, fixed beforehand.
        budget: Processor time [s] that everyone gets.
    """

    env: str
    wanted: float
    budget: float


TASKS = {
    "cheetah": Task("HalfCheetah-v5", 3000.0, 240.0),
    "hopper": Task("Hopper-v5", 2000.0, 300.0),
    "pusher": Task("Pusher-v5", -45.0, 60.0),
}
PEERS = {"SB3": "stable_baselines3", "SBX": "sbx"}
BARS = {"SB3": Bar(">=", 8.0), "SBX": Bar(">=", 6.0)}
EXAMS = 100
"""Evaluations within a budget."""
PATIENCE = 1.1
"""A peer is stopped after so many times the bar's multiple of our own time."""


def learning(mode: Mode) -> Outcome:
    """Train everyone on every task, with paired seeds, and compare."""
    folder = venv.ROOT / ("runs/bench-quick/learning" if mode.quick else "assets/results/bench/learning")
    share, seeds = (0.03, SEEDS[:1]) if mode.quick else (1.0, SEEDS)
    missing = {
        name: reason for name, group in (("SB3", "sb3"), ("SBX", "sbx")) if (reason := venv.missing(group))
    }
    learners = [OURS, *(name for name in PEERS if name not in missing)]
    jobs = [Job(folder, *job, share) for job in product(TASKS, learners, seeds)]
    if not mode.tables:
        undone = [job for job in jobs if not job.file.exists()]
        # Ours first: how long a peer is given depends on them.
        run_all([job for job in undone if job.learner == OURS])
        run_all([job for job in undone if job.learner != OURS])
    curves = {(job.task, job.learner, job.seed): job.curve() for job in jobs if job.file.exists()}
    figures = [
        figure
        for task, peer in product(TASKS, PEERS)
        for figure in (
            [
                Figure(
                    f"{task}: time to {TASKS[task].wanted:g} against {peer}",
                    bar=BARS[peer],
                    missing=missing[peer],
                )
            ]
            if peer in missing
            else compare(curves, task, peer, seeds)
        )
    ]
    return Outcome(figures, summary(curves))


Curve = list[dict[str, float]]


@dataclass(frozen=True)
class Job:
    """One training: a learner on a task with a seed.

    Attributes:
        folder: Where its curve goes.
        task: Name in `TASKS`.
        learner: One of `PEERS`, `sim2real`, or a name for ours with other settings.
        seed: Seed of the learner.
        share: Of the task's budget.
        overrides: Settings of ours that differ, as on the command line.
    """

    folder: Path
    task: str
    learner: str
    seed: int
    share: float = 1.0
    overrides: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Where its curve is, once it is complete."""
        return self.folder / f"{self.task}-{self.learner.lower()}-s{self.seed}.csv"

    @property
    def patience(self) -> float:
        """Processor time after which it is stopped, wherever it is [s]."""
        budget = TASKS[self.task].budget * self.share
        if self.learner not in PEERS:
            return budget
        ours = replace(self, learner=OURS).curve()
        return max(
            budget, PATIENCE * BARS[self.learner].limit * (reached(ours, TASKS[self.task].wanted) or 0.0)
        )

    def run(self, core: int) -> None:
        """Train on one core."""
        task = TASKS[self.task]
        course = {
            "task": task.env,
            "spec": str(venv.ROOT / f"assets/specs/bench/{self.task}.yaml"),
            "seed": self.seed,
            "core": core,
            "budget": task.budget * self.share,
            "patience": self.patience,
            "wanted": task.wanted,
            "every": task.budget / EXAMS,
            "out": str(self.file),
        }
        library = PEERS.get(self.learner)
        given = {
            "course": course,
            "env": f"sim2real/{task.env}",
            "library": library,
            "overrides": self.overrides,
        }
        python, script = (sys.executable, "learn_ours.py") if library is None else (venv.PYTHON, "learn.py")
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        print(f"  {self.file.stem} on core {core}", flush=True)
        command = [str(python), str(SCRIPTS / script), json.dumps(given)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{self.file.stem}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")

    @cache  # noqa: B019  (jobs are few, and live as long as the process)
    def curve(self) -> Curve:
        """Return what it wrote."""
        with self.file.open() as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def run_all(jobs: list[Job]) -> None:
    """Run trainings, as many at a time as there are cores, each on a core of its own."""
    cores: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def run(job: Job) -> None:
        core = cores.get()
        try:
            job.run(core)
        finally:
            cores.put(core)

    # Seed by seed: an interrupted run leaves whole pairs.
    ordered = sorted(jobs, key=lambda job: job.seed)
    with ThreadPoolExecutor(cores.qsize()) as pool:
        list(pool.map(run, ordered))


def reached(curve: Curve, wanted: float) -> float | None:
    """Return when a curve first shows the wanted return [s], or None."""
    return next((row["seconds"] for row in curve if row["return"] >= wanted), None)


Curves = dict[tuple[str, str, int], Curve]


def compare(curves: Curves, task: str, peer: str, seeds: range) -> Iterator[Figure]:
    """Yield how many times as long a peer takes as we do, and who is ahead when the time is up."""
    wanted, budget = TASKS[task].wanted, TASKS[task].budget
    paired = [seed for seed in seeds if {(task, OURS, seed), (task, peer, seed)} <= set(curves)]
    ratios, short, ahead = [], list[float](), []
    for seed in paired:
        ours, theirs = curves[task, OURS, seed], curves[task, peer, seed]
        mine, other = reached(ours, wanted), reached(theirs, wanted)
        short += [theirs[-1]["seconds"]] if other is None else []
        # Where we do not get there, the ratio is as small as it can be.
        ratios.append(
            (other or theirs[-1]["seconds"]) / mine if mine else (other or 0.0) / ours[-1]["seconds"]
        )
        ahead.append(final(ours, budget) - final(theirs, budget))
    note = f"{len(paired)} of {len(seeds)} seeds so far. " if len(paired) < len(seeds) else ""
    note += f"{peer} did not get there within {min(short):.0f} s in {len(short)} of them." if short else ""
    what = f"{task}: time to {wanted:g} against {peer}{' (lower bound)' if short else ''}"
    if not paired:
        yield Figure(what, bar=BARS[peer], missing="no seed yet")
        return
    yield Figure(what, *spread(ratios), "x", BARS[peer], note.strip())
    what = f"{task}: our return after {budget:g} s less that of {peer}"
    yield Figure(what, *spread(ahead), "", Bar(">=", 0.0))


def final(curve: Curve, budget: float) -> float:
    """Return the mean of the last five evaluations: one alone says more of its moment than of the policy."""
    within = [row["return"] for row in curve if row["seconds"] <= budget * (1 + 1 / EXAMS)]
    return statistics.fmean(within[-5:])


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return median, least and greatest."""
    return statistics.median(values), min(values), max(values)


def summary(curves: Curves) -> Table:
    """Return a line for each training."""
    return [
        {
            "task": task,
            "learner": learner,
            "seed": str(seed),
            "wanted": f"{TASKS[task].wanted:g}",
            "reached after [s]": ""
            if (when := reached(curve, TASKS[task].wanted)) is None
            else f"{when:.1f}",
            "return at the budget": f"{final(curve, TASKS[task].budget):.1f}",
            "trained [s]": f"{curve[-1]['seconds']:.0f}",
            "env steps": f"{curve[-1]['env_steps']:.0f}",
            "updates": f"{curve[-1]['updates']:.0f}",
            "clock against processor time": f"{curve[-1]['wall_seconds'] / curve[-1]['seconds']:.2f}",
        }
        for (task, learner, seed), curve in sorted(curves.items())
    ]
