"""Soft Q-learning's own experiment (Haarnoja et al. 2017, section 5.1): of goals as good, all are reached."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.results import Floats, Results, cell, verdict
from reproductions.rollouts import ends
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

ENV = "PointGoals-v0"
GOALS, ROTATED = (3, 4, 5), 0.4
"""Numbers of goals, and the angle of a second layout of each [rad]."""

LEAST, COMMITTED = 0.1, 0.9
"""The share of a policy's rollouts that each goal is to get, and that one goal gets of a control."""

SOFT, CONTROL = "soft Q", "deterministic"
COLUMNS = ("least visited", "most visited", "none")


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: soft Q-learning on every layout, and the control on some."""
    trained = [_training(layout, seed) for layout in LAYOUTS]
    control = [_training(layout, seed, CONTROL) for layout in LAYOUTS if not layout[1]]
    return [Job(training, measure) for training in trained + control]


LAYOUTS = [(goals, rotation) for rotation in (0.0, ROTATED) for goals in GOALS]


def _training(layout: tuple[int, float], seed: int, learner: str = SOFT) -> Training:
    goals, rotation = layout
    label = f"{'soft' if learner == SOFT else 'control'}-{goals}{'-rotated' if rotation else ''}"
    spec = "soft_q/goals" if learner == SOFT else "soft_q/control"
    layout_of = (f"env_options.goals={goals}", f"env_options.rotation={rotation}")
    return Training("goals", spec, seed, label, layout_of)


def measure(run: "Run") -> Cells:
    """Return the shares of rollouts that the least and the most visited goal get, and that reach none."""
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    options = bundle.spec.env_options
    learner = SOFT if bundle.spec.train.algorithm == "soft_q" else CONTROL
    shares = visits(agent, options, deterministic=learner == CONTROL)
    row = row_of(learner, int(options["goals"]), float(options["rotation"]))
    scores = (shares.min(), shares.max(), 1.0 - shares.sum())
    return {(row, column): float(score) for column, score in zip(COLUMNS, scores, strict=True)}


def visits(agent: "Agent", options: dict[str, Any], deterministic: bool = False) -> Floats:
    """Return the share of 400 rollouts in the nominal domain that each goal gets (goals,).

    Args:
        agent: Whose policy.
        options: The environment's.
        deterministic: Whether to act deterministically.
    """
    from sim2real.envs.registry import make_task

    last, success = ends(agent, ENV, options, deterministic)
    return shares_of(last, make_task(ENV, options).goals, success)  # type: ignore[attr-defined]


def shares_of(places: Floats, goals: Floats, success: Any) -> Floats:
    """Return the share of successful (n,) places (n, 2) to which each of the goals (g, 2) is nearest."""
    nearest = np.linalg.norm(places[:, None] - goals, axis=-1).argmin(1)
    return ((nearest[:, None] == np.arange(len(goals))) & success[:, None]).mean(0)


def row_of(learner: str, goals: int, rotation: float) -> str:
    """Return a row's title."""
    return f"{learner}, {goals} goals{f', rotated by {rotation:g}' if rotation else ''}"


def report(results: Results) -> str:
    """Return the table of visits, and how far it is."""
    rows = [row_of(SOFT, *layout) for layout in LAYOUTS] + [row_of(CONTROL, n, 0.0) for n in GOALS]
    found = {row: results.table(row, COLUMNS) for row in rows}
    lines = [
        [row, *(cell(np.round(column, 9), 3) for column in scores.T), _verdict(row, scores), str(len(scores))]
        for row, scores in found.items()
        if len(scores)
    ]
    names = [job.training.name for job in jobs(0)]
    standing = results.standing(names, "tools/reproduce goals")
    if not lines:
        return standing
    table = markdown(["share of rollouts", *COLUMNS, "seeds that reach the gate", "seeds"], lines)
    return "\n\n".join([table, standing])


def _verdict(row: str, scores: Floats) -> str:
    """Return how many seeds do as wanted."""
    reached = scores[:, 0] >= LEAST if row.startswith(SOFT) else scores[:, 1] >= COMMITTED
    return f"{reached.sum()} of {len(reached)}, {verdict(bool(reached.all()))}"


goals = Study("goals", jobs, report)
