"""Meta-learning by gradients: what k policy-gradient steps on a new task are worth to a policy made for them.

The protocol of MAML (Finn et al. 2017, section 5.3): 20 episodes of a new task are a gradient step. Goals of
the navigation are fresh draws, the same for every seed and method; the arm's motors are outside its source.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.results import Floats, Results, cell, decided, estimate, number, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.runs import Run

STEPS, EPISODES = (0, 1, 2, 3), 20
"""Gradient steps on a new task, and the episodes that one is taken on."""

GOALS, GOALS_SEED = 200, 77_000
"""Goals that no training draws, and the seed that they come from."""

REPEATS = 8
"""Times that a policy adapts to each of the arm's targets."""

AFTER_ONE, AFTER_THREE = -18.0, -6.0
"""The gate of the navigation, with the reward −d: standing still scores −38.3, going straight there −0.51."""

PAPER = (-40.41, -11.68, -3.33, -3.23)
"""What the paper has of the navigation, as means of stochastic policies."""

ALONE = "train.agent.inner_steps=0"
NAVIGATION = {
    "MAML": ("meta/maml", ()),
    "FOMAML": ("meta/maml", ("train.agent.first_order=true",)),
    "Reptile": ("meta/reptile", ()),
    "domain randomization": ("meta/maml", (ALONE,)),
}
REACHER = {
    "MAML": ("meta/reacher", ()),
    "domain randomization": ("meta/reacher", (ALONE,)),
}
"""Specs and overrides of each row; the control is the same policy, trained on all tasks alike."""


FAMILIES = {"navigation": NAVIGATION, "reacher": REACHER}


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed."""
    return [
        Job(Training("gradient", spec, seed, label(family, row), own), measure)
        for family, rows in FAMILIES.items()
        for row, (spec, own) in rows.items()
    ]


def label(family: str, row: str) -> str:
    """Return what the training of a row is called."""
    return f"{family}-{row.replace(' ', '-').lower()}"


def measure(run: "Run") -> Cells:
    """Return a row: the mean return over tasks after each number of gradient steps."""
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    name = run.path.name.rpartition("-s")[0]
    title = next(f"{f}: {row}" for f, rows in FAMILIES.items() for row in rows if label(f, row) == name)
    if bundle.spec.env == "PointNavigation-v0":
        drawn = np.random.default_rng(GOALS_SEED).uniform(size=(GOALS, bundle.program.d))
        tasks, repeats = bundle.program.values(drawn), 1
    else:
        tasks, repeats = np.stack([found.v for found in bundle.targets.values()]), REPEATS
    returns = [adapted(bundle, agent, task, seed) for task in tasks for seed in range(repeats)]
    scores = np.mean(returns, axis=0)
    return {(title, str(step)): float(score) for step, score in zip(STEPS, scores, strict=True)}


def adapted(bundle: Any, agent: Any, task: Floats, seed: int) -> list[float]:
    """Return the mean returns of the deterministic policy on a task after each number of gradient steps.

    The episodes of a step run side by side, in as many worlds of the task.
    """
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.fewshot import adapt
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    settings = bundle.spec.evaluate
    target = worlds(bundle, EPISODES, fixed(task), threads=1)
    scored = worlds(bundle, settings.episodes, fixed(task), threads=1)
    shots = [EPISODES * step for step in STEPS]
    copies = adapt(agent, target, shots, settings, settings.seed + 500_000 + seed)
    found = [float(run_episodes(one, scored, settings.seed).returns.mean()) for _, one, _ in copies]
    target.close()
    scored.close()
    return found


def report(results: Results) -> str:
    """Return a table for each family, its gates, and how far it is."""
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce gradient")
    parts: list[str] = []
    for family, rows in FAMILIES.items():
        found = {row: results.table(f"{family}: {row}", [str(step) for step in STEPS]) for row in rows}
        lines = [
            [row, *(cell(column) for column in scores.T), str(len(scores))]
            for row, scores in found.items()
            if len(scores)
        ]
        if family == "navigation" and lines:
            lines.append(["MAML, in the paper", *map(str, PAPER), ""])
        if lines:
            heads = [f"{step} steps" if step != 1 else "1 step" for step in STEPS]
            parts += [markdown([family, *heads, "seeds"], lines), *gates(family, found)]
    return "\n\n".join([*parts, standing])


def gates(family: str, found: dict[str, Floats]) -> list[str]:
    """Say whether a family's gates are reached; nothing without seeds of MAML and the control.

    Args:
        family: A key of `FAMILIES`.
        found: Scores (seeds, steps) by row.
    """
    maml, control = found["MAML"], found["domain randomization"]
    if not (len(maml) and len(control)):
        return []
    gains = {name: estimate(gain, scores) for name, scores in (("MAML", maml), ("control", control))}
    said = (
        f"One step is worth {number(*gains['MAML'])} to MAML, and {number(*gains['control'])} to the policy "
        f"trained without inner steps"
    )
    if family == "reacher":
        least = gains["MAML"][1]
        return [f"- {said} (wanted: more than 0, interval and all) — {verdict(decided(least > 0, least))}."]
    one, three = (float(iqm(maml[:, step])) for step in (1, 3))
    return [
        f"- After one step MAML gets {one:.4g} (wanted: {AFTER_ONE:g}) — {verdict(one >= AFTER_ONE)}; after "
        f"three {three:.4g} (wanted: {AFTER_THREE:g}) — {verdict(three >= AFTER_THREE)}.\n- {said}."
    ]


def gain(scores: Floats) -> float:
    """Return the interquartile mean over seeds of what one step adds, of scores (seeds, steps)."""
    return float(iqm(scores[:, 1] - scores[:, 0]))


gradient = Study("gradient", jobs, report)
