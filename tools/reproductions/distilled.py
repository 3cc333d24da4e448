"""Statistics of distillation: what students keep of their teachers, and how curves fall."""

import numpy as np

from reproductions.figures import figure_bytes
from reproductions.results import Floats, Results, estimate, percent, verdict
from sim2real.evaluation.statistics import iqm

ENTROPY = 0.3
"""Gate: how far a stochastic student's entropy may be from its teacher's, by dimension [nat]."""

LOST, FINAL = 0.02, 0.98
"""Gates: the most that an online student's curve may fall, as a share of the best return of the learner's,
and the least share of that best return that it must end with."""


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


def fall(curve: Floats) -> Floats:
    """Return how far each curve (seeds, points) is, where it is farthest, below the best that it had been."""
    return (np.maximum.accumulate(curve, axis=1) - curve).max(1)


def online_shares(learner: Floats, student: Floats, random: Floats) -> dict[str, Floats]:
    """Return what is stated of online curves, by seed, as shares of the learner's best return above random.

    Args:
        learner: Returns (seeds, points).
        student: Of the same seeds and points.
        random: Of the random policy (seeds,).

    Returns:
        `learner falls`, `student falls` and `final`, the student's last return; (seeds,) each.
    """
    best = learner.max(1) - random
    return {
        "learner falls": fall(learner) / best,
        "student falls": fall(student) / best,
        "final": (student[:, -1] - random) / best,
    }


def online_text(results: Results, points: tuple[str, ...]) -> list[str]:
    """Return the verdicts on online distillation and a picture of its curves; nothing before a seed."""
    learner, student = (results.table(f"online: {who}", points) for who in ("learner", "student"))
    random = results.scores("online: random", "source")
    if not len(learner):
        return []
    (results.folder / "online.png").write_bytes(draw(learner, student, points))
    told = {name: estimate(iqm, own) for name, own in online_shares(learner, student, random).items()}
    most, final = told["student falls"], told["final"]
    return [
        f"- Online: the learner's curve falls by {percent(*told['learner falls'])} of its best return, the "
        f"student's by {percent(*most)} (wanted: at most {LOST:.0%}) — {verdict(most[0] <= LOST)}.\n"
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
