"""Statistics of distillation: what students keep of their teachers, and how curves fall."""

import numpy as np

from reproductions.figures import figure_bytes
from reproductions.results import Floats, Results, estimate, percent, verdict
from sim2real.evaluation.statistics import iqm

ENTROPY = 0.3
"""Gate: how far a stochastic student's entropy may be from its teacher's, by dimension [nat]."""

COLLAPSE = 0.25
"""A learner has collapsed where it is so far, as a share of its best return, below the best it had been."""

LOST, FINAL = 0.02, 0.98
"""Gates: the most that an online student may be below the best it had been where its learner has collapsed,
as a share of the learner's best return, and the least share of that best return that it must end with."""


def shares(scores: Floats) -> Floats:
    """Return what each seed's student keeps (seeds,): 0 is the random policy's return, 1 its teacher's.

    Args:
        scores: Returns (seeds, 3) of the random policy, the teacher and the student.
    """
    random, teacher, student = scores.T
    return (student - random) / (teacher - random)


def kept(scores: Floats) -> float:
    """Return the interquartile mean over seeds of `shares`."""
    return float(iqm(shares(scores)))


def geometric_mean(*tasks: Floats) -> float:
    """Return the geometric mean over tasks of shares (seeds,), each the interquartile mean over its seeds.

    A task whose students are worse than the random policy counts as 0, and so does then the mean.
    """
    means = np.array([max(0.0, float(iqm(own))) for own in tasks])
    return float(np.prod(means) ** (1 / len(means)))


def below(curve: Floats) -> Floats:
    """Return how far each point of curves (seeds, points) is below the best that the curve had been."""
    return np.maximum.accumulate(curve, axis=1) - curve


def online_shares(learner: Floats, student: Floats, random: Floats) -> dict[str, Floats]:
    """Return what is stated of online curves, by seed, as shares of the learner's best return above random.

    Args:
        learner: Returns (seeds, points).
        student: Of the same seeds and points.
        random: Of the random policy (seeds,).

    Returns:
        How far the `learner` and the `student` fall at the most, how far the student is below the best it
        had been where the learner has `collapsed`, 0 if it never has, and the student's `final` return;
        (seeds,) each.
    """
    best = learner.max(1) - random
    falls, own = below(learner) / best[:, None], below(student) / best[:, None]
    return {
        "learner": falls.max(1),
        "student": own.max(1),
        "collapsed": np.where(falls >= COLLAPSE, own, 0.0).max(1),
        "final": (student[:, -1] - random) / best,
    }


def online_text(results: Results, points: tuple[str, ...]) -> list[str]:
    """Return the verdicts on online distillation and a picture of its curves; nothing before a seed."""
    learner, student = (results.table(f"online: {who}", points) for who in ("learner", "student"))
    random = results.scores("online: random", "source")
    if not len(learner):
        return []
    (results.folder / "online.png").write_bytes(draw(learner, student, points))
    found = online_shares(learner, student, random)
    told = {name: estimate(iqm, own) for name, own in found.items()}
    most, final = told["collapsed"], told["final"]
    collapsed = (found["learner"] >= COLLAPSE).sum()
    return [
        f"- Online, on Hopper: the learner's curve falls by {percent(*told['learner'])} of its best return, "
        f"by {COLLAPSE:.0%} or more in {collapsed} of {len(learner)} seeds; the student's by "
        f"{percent(*told['student'])} at any time.\n"
        f"- Online: while the learner is collapsed, the student is {percent(*most)} below its own best so "
        f"far (wanted: at most {LOST:.0%}) — {verdict(most[0] <= LOST)}.\n"
        f"- Online: the student ends with {percent(*final)} of the learner's best checkpoint "
        f"(wanted: {FINAL:.0%}) — {verdict(final[0] >= FINAL)}.",
        "![Learner and online student](assets/results/distill/online.png)",
    ]


def draw(learner: Floats, student: Floats, points: tuple[str, ...]) -> bytes:
    """Draw each seed's curves (seeds, points) of the learner and of the student that follows its best."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.4), layout="constrained")
    panels = figure.subplots(1, len(learner), sharey=True, squeeze=False)[0]
    for seed, axes in enumerate(panels):
        for name, curve in (("learner", learner[seed]), ("student", student[seed])):
            axes.plot([int(step) / 1_000 for step in points], curve, label=name)
        axes.set(xlabel="steps [1 000]", title=f"seed {seed}")
    panels[0].set_ylabel("return")
    panels[0].legend(frameon=False, fontsize=8)
    return figure_bytes(figure)
