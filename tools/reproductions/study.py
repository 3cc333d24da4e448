"""A result that is a table over training seeds: which jobs it takes, and what is said of their scores."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from reproductions.pages import refresh
from reproductions.results import SEEDS, Results
from reproductions.tables import RESULTS, insert
from reproductions.trainings import Job, carry_out


@dataclass(frozen=True)
class Study:
    """A table over seeds.

    Attributes:
        name: Of its folder in assets/results, the markers of its table, and `tools/reproduce NAME`.
        jobs: Returns what one seed takes, in order.
        report: Returns the section of what there is; may draw pictures into the results' folder.
    """

    name: str
    jobs: Callable[[int], list[Job]]
    report: Callable[[Results], str]

    def __call__(self, arguments: argparse.Namespace) -> None:
        """Do what is missing, job by job, and write table and pictures; also when stopped on the way.

        Args:
            arguments: `seeds`, `jobs`, `only` (a training's name) and `tables` (whether to train nothing).
        """
        results = Results(RESULTS / self.name)
        try:
            if not arguments.tables:
                self._go_on(results, arguments)
        finally:
            text = self.report(results)
            insert(self.name, text)
            refresh()
            print(text)

    def _go_on(self, results: Results, arguments: argparse.Namespace) -> None:
        seeds = range(arguments.seeds or SEEDS)
        jobs = [job for seed in seeds for job in self.jobs(seed)]
        if arguments.only:
            needed = {one for job in jobs if job.training.name == arguments.only for one in job.needs}
            jobs = [j for j in jobs if j.training.name == arguments.only or j.training in needed]
        for job, outcome in carry_out(results.missing(jobs), arguments.jobs):
            results.add(job.training, outcome)
            results.save()
            minutes = (outcome.train_seconds + outcome.measure_seconds) / 60
            print(f"  {job.training.name}, seed {job.training.seed}: {minutes:.1f} core-minutes", flush=True)
