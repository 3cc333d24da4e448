"""Soft Q-learning's own experiment (Haarnoja et al. 2017, section 5.1): of goals as good, all are reached."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.results import Floats, Results, cell, estimate
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

GOALS, ROTATED = (3, 4, 5), 0.4
"""Numbers of goals, and the angle of a second layout of each [rad]."""

ROLLOUTS, LEAST, COMMITTED = 400, 0.1, 0.9
"""Rollouts of a policy; the share of them that each goal is to get, and that one goal gets of a control."""

SOFT, CONTROL, BOTH = "soft Q", "deterministic", "sum of two"
COLUMNS = ("least visited", "most visited", "none")


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: both learners on every layout, and two tasks to add up."""
    trained = [_training(layout, seed) for layout in LAYOUTS]
    control = [_training(layout, seed, CONTROL) for layout in LAYOUTS if not layout[1]]
    pair = _training((2, 0.0), seed)
    return [
        *(Job(training, measure) for training in trained + control),
        Job(pair, measure_sum, needs=(trained[0],)),
    ]


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


def measure_sum(run: "Run") -> Cells:
    """Return how often the one goal that two tasks share is reached: by their policies, and by their sum's.

    Of three goals and of two only that on the x axis is the same. The sum of both soft Q-functions learns to
    sample from what the two have seen, without a step in an environment.
    """
    from sim2real.agents.compose import Composed
    from sim2real.agents.soft_q import SoftQ
    from sim2real.runs import open_run
    from sim2real.session import trained_agent

    seed = int(run.path.name.rpartition("-s")[2])
    runs = [open_run(_training((GOALS[0], 0.0), seed).folder), run]
    parts = [part for part in (trained_agent(one)[0] for one in runs) if isinstance(part, SoftQ)]
    both = Composed(parts, seed=seed)
    both.learn_sampler(SAMPLER_UPDATES)
    alone = [float(visits(part, {"goals": 1})[0]) for part in parts]
    columns = dict(zip(SHARED, (*alone, float(visits(both, {"goals": 1})[0])), strict=True))
    return {(BOTH, column): score for column, score in columns.items()}


SAMPLER_UPDATES = 2_000
SHARED = ("of 3 goals", "of 2 goals", "of the sum")


def visits(agent: "Agent", options: dict[str, Any], deterministic: bool = False) -> Floats:
    """Return the share of 400 rollouts in the nominal domain that each goal gets (goals,).

    Args:
        agent: Whose policy.
        options: The environment's.
        deterministic: Whether to act deterministically.
    """
    from sim2real.envs.make import make_worlds
    from sim2real.envs.registry import make_task
    from sim2real.rollout import Rollout
    from sim2real.spec import Program

    task = make_task("PointGoals-v0", options)
    program = Program(task.compile(), {})
    env = make_worlds("PointGoals-v0", options, program, ROLLOUTS, threads=1, same_step=False)
    rollout, last = Rollout(env, seed=0), np.zeros((ROLLOUTS, 2))
    while not rollout.over:
        running = rollout.running
        rollout.advance(agent.act(rollout.observation, deterministic))
        last[running] = np.asarray(rollout.observation)[running]
    success = rollout.episodes().success
    env.close()
    return shares_of(last, task.goals, success)  # type: ignore[attr-defined]


def shares_of(places: Floats, goals: Floats, success: Any) -> Floats:
    """Return the share of successful (n,) places (n, 2) to which each of the goals (g, 2) is nearest."""
    nearest = np.linalg.norm(places[:, None] - goals, axis=-1).argmin(1)
    return ((nearest[:, None] == np.arange(len(goals))) & success[:, None]).mean(0)


def row_of(learner: str, goals: int, rotation: float) -> str:
    """Return a row's title."""
    return f"{learner}, {goals} goals{f', rotated by {rotation:g}' if rotation else ''}"


def report(results: Results) -> str:
    """Return the table of visits, what the sum of two does, and how far it is."""
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
    return "\n\n".join([table, *summed(results.table(BOTH, SHARED)), standing])


def _verdict(row: str, scores: Floats) -> str:
    """Return how many seeds do as wanted."""
    reached = scores[:, 0] >= LEAST if row.startswith(SOFT) else scores[:, 1] >= COMMITTED
    return f"{reached.sum()} of {len(reached)}"


def summed(scores: Floats) -> list[str]:
    """Say what came of adding two soft Q-functions, by scores (seeds, 3); nothing without seeds."""
    if not len(scores):
        return []
    value, low, high = estimate(lambda sample: float(iqm(sample)), scores[:, 2])
    three, two = (float(iqm(column)) for column in scores.T[:2])
    return [
        f"Added up, the Q-functions of three and of two goals reach the one goal that both have in "
        f"{value:.0%} [{low:.0%}, {high:.0%}] of the rollouts, without a step in it; alone they do in "
        f"{three:.0%} and {two:.0%}."
    ]


goals = Study("goals", jobs, report)
