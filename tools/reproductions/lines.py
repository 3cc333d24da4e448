"""Composition of soft Q-functions (Haarnoja et al. 2018): the sum of two does both tasks without a step.

One Q-function wants a point on a line x = a, another on y = b; their sum wants (a, b).
"""

from typing import TYPE_CHECKING

import numpy as np

from reproductions.results import Floats, Results, cell, estimate, percent, verdict
from reproductions.rollouts import ends
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.agents.soft_q import SoftQ
    from sim2real.runs import Run

AT, TOLERANCE = 4.0, 0.5
"""Where the lines are, and how near counts as on them [m]."""

SUMMED, ALONE = 0.8, 0.25
"""The gate: shares of rollouts that end on both lines, at least of the sum and at most of either alone."""

SAMPLER_UPDATES = 2_000
"""That the sum learns its sampler with, at states that the two have seen."""

SUM = "sum of both"
ROWS = {"x": "asked for x", "y": "asked for y", "both": "trained on both"}
COLUMNS = (f"x = {AT:g}", f"y = {AT:g}", "both")


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: each task, and both at once; with them their sum is measured."""
    x, y, both = (_training(axis, seed) for axis in ROWS)
    return [Job(x, measure), Job(y, measure), Job(both, measure_with_sum, needs=(x, y))]


def _training(axis: str, seed: int) -> Training:
    settings = (f"env_options.axis={axis}", f"env_options.at={AT}")
    return Training("lines", "soft_q/line", seed, axis, settings)


def measure(run: "Run") -> Cells:
    """Return the shares of rollouts that a run's policy ends on each line, and on both."""
    from sim2real.session import reload, trained_agent

    return cells(ROWS[reload(run).spec.env_options["axis"]], trained_agent(run)[0])


def measure_with_sum(run: "Run") -> Cells:
    """Return what `measure` does of a policy trained on both lines, and of the sum of two that are on one.

    The sum of both soft Q-functions learns to sample from what the two have seen, without a step in an
    environment.
    """
    from sim2real.agents.compose import Composed
    from sim2real.session import reload

    seed = reload(run).spec.train.seed
    both = Composed([_soft(_training(axis, seed)) for axis in ("x", "y")], seed=seed)
    both.learn_sampler(SAMPLER_UPDATES)
    return measure(run) | cells(SUM, both)


def _soft(training: Training) -> "SoftQ":
    from sim2real.agents.soft_q import SoftQ
    from sim2real.runs import open_run
    from sim2real.session import trained_agent

    agent = trained_agent(open_run(training.folder))[0]
    assert isinstance(agent, SoftQ)
    return agent


def cells(row: str, agent: "Agent") -> Cells:
    """Return a row: the shares of an agent's rollouts that end on each line, and on both."""
    places, _ = ends(agent, "PointLine-v0", {"axis": "both", "at": AT})
    return {(row, column): share for column, share in zip(COLUMNS, shares(places), strict=True)}


def shares(places: Floats) -> list[float]:
    """Return the shares of places (n, 2) [m] on the line x = 4, on y = 4, and on both."""
    on = abs(places - AT) < TOLERANCE
    return [float(share) for share in (*on.mean(0), on.all(1).mean())]


def report(results: Results) -> str:
    """Return the table of where rollouts end, what was wanted, and how far it is."""
    found = {row: results.table(row, COLUMNS) for row in (ROWS["x"], ROWS["y"], SUM, ROWS["both"])}
    lines = [
        [row, *(cell(np.round(column, 9), 3) for column in scores.T), str(len(scores))]
        for row, scores in found.items()
        if len(scores)
    ]
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce lines")
    if not lines:
        return standing
    table = markdown(["share of rollouts that end at", *COLUMNS, "seeds"], lines)
    return "\n\n".join([table, *gates(found), standing])


def gates(found: dict[str, Floats]) -> list[str]:
    """Say how often the sum and either task alone end on both lines; nothing without seeds.

    Args:
        found: Scores (seeds, 3) by row.
    """
    if not all(len(scores) for scores in found.values()):
        return []
    x, y, both, ceiling = (
        estimate(lambda sample: float(iqm(sample)), found[row][:, 2])
        for row in (ROWS["x"], ROWS["y"], SUM, ROWS["both"])
    )
    alone = max(x, y)
    return [
        f"- The sum ends on both lines in {percent(*both)} of the rollouts (wanted: {SUMMED:.0%}) — "
        f"{verdict(both[0] >= SUMMED)}; a policy trained there does in {percent(*ceiling)}.\n"
        f"- Either alone does in at most {percent(*alone)} (wanted: no more than {ALONE:.0%}) — "
        f"{verdict(alone[0] <= ALONE)}."
    ]


lines = Study("lines", jobs, report)
