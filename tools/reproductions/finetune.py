"""Fine-tuning by mode: k-shot curves on a target, and what they cost on the source (Taylor & Stone 2009)."""

from typing import TYPE_CHECKING

import numpy as np

from reproductions.figures import curve, figure_bytes
from reproductions.results import Floats, Results, cell
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm
from sim2real.transfer.curves import Curve, area_ratio, retained, shots_to, threshold_of

if TYPE_CHECKING:
    from sim2real.runs import Run

SCRATCH, NATIVE, RANDOM = "scratch", "trained on the target", "random"
MODES = ("all", "last_layer", "last_2", "bias", "progressive", "residual", SCRATCH)
TARGET, MOTOR, SHOTS = "weak", 0.5, (0, 1, 2, 5, 10)
"""The target of the spec, the strength of its motor, and the numbers of target episodes."""

SOLVED = 0.8
"""Share of the way from the random policy to one trained on the target that counts as solved."""


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: on the source, and on the target for as many steps."""
    on_target = (f"randomize.motor.scale={MOTOR}", "targets={}")
    spec = "finetune/pendulum"
    return [
        Job(Training("finetune", spec, seed, "source"), measure),
        Job(Training("finetune", spec, seed, "target", on_target), measure_native),
    ]


def measure(run: "Run") -> Cells:
    """Return the curve of each mode on the target, and what is left of the source's return after it."""
    from sim2real.evaluation.evaluate import adapt_to
    from sim2real.session import reload

    bundle = reload(run)
    found: Cells = {}
    for mode in MODES:
        changes = {"finetune": mode, "shots": SHOTS, "retention": mode != SCRATCH}
        settings = bundle.spec.evaluate.model_copy(update=changes)
        shots = adapt_to(run, bundle.targets[TARGET], settings)
        found |= {(mode, str(k)): float(shots[str(k)]["iqm"]) for k in SHOTS}
        if mode != SCRATCH:
            before, after = (float(shots[str(k)]["retention"]["iqm"]) for k in (SHOTS[0], SHOTS[-1]))
            found[mode, "retention"] = retained(before, after)
    return found


def measure_native(run: "Run") -> Cells:
    """Return what a policy that trained on the target gets there, and random actions."""
    from sim2real.agents import RandomAgent
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.zeroshot import compare
    from sim2real.progress import Progress
    from sim2real.session import reload, trained_agent
    from sim2real.spec import domain

    bundle, agent = reload(run), trained_agent(run)[0]
    policies = {NATIVE: agent, RANDOM: RandomAgent(agent.action_space, 0)}
    place = {TARGET: fixed(domain(bundle.program, TARGET, {"motor": MOTOR}).v)}
    found = compare(bundle, bundle.spec.evaluate, policies, place, Progress.silent())
    return {(who, "0"): float(summaries[TARGET]["iqm"]) for who, summaries in found.items()}


def gains(results: Results) -> dict[str, Floats]:
    """Return by mode what transfer was worth (seeds, 4): jump-start, area ratio, shots to solve, retention.

    Where a mode does not solve the target its shots are infinite; scratch has no retention (NaN).
    """
    columns = [str(k) for k in SHOTS]
    found = {}
    for mode in MODES:
        rows = []
        curves = zip(
            results.table(mode, columns),
            results.table(SCRATCH, columns),
            results.scores(NATIVE, "0"),
            results.scores(RANDOM, "0"),
            strict=False,  # the last seed may be under way
        )
        kept = results.scores(mode, "retention")
        for seed, (own, control, native, floor) in enumerate(curves):
            curve, scratch = Curve(SHOTS, tuple(own)), Curve(SHOTS, tuple(control))
            solved = shots_to(curve, threshold_of(native, floor, SOLVED))
            ratio = area_ratio(curve, scratch, floor)
            rows.append(
                (
                    own[0] - control[0],
                    np.nan if ratio is None else ratio,
                    np.inf if solved is None else solved,
                    kept[seed] if len(kept) else np.nan,
                )
            )
        found[mode] = np.array(rows, float).reshape(-1, 4)
    return found


def report(results: Results) -> str:
    """Return the table of modes and how far it is; draw the curves."""
    columns = [str(k) for k in SHOTS]
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce finetune")
    worth = gains(results)
    if not len(worth[SCRATCH]):
        return standing
    lines = [
        [
            mode,
            *(cell(scores) for scores in results.table(mode, columns).T),
            cell(each[:, 0]),
            cell(each[:, 1], 3),
            solved(each[:, 2]),
            "" if np.isnan(each[:, 3]).any() else f"{float(iqm(each[:, 3])):.0%}",
        ]
        for mode, each in worth.items()
    ]
    heads = [f"{k} episodes" for k in SHOTS]
    table = markdown(["mode", *heads, "jump-start", "area ratio", "solved after", "source kept"], lines)
    (results.folder / "curves.png").write_bytes(draw(results))
    native, floor = (results.scores(row, "0") for row in (NATIVE, RANDOM))
    note = (
        f"A policy trained on the target gets {cell(native)}, random actions {cell(floor)}; {SOLVED:.0%} of "
        f"the way between them counts as solved."
    )
    return "\n\n".join([table, note, standing, "![k-shot curves](assets/results/finetune/curves.png)"])


def solved(shots: Floats) -> str:
    """Return the median number of episodes until solved, and how many seeds do solve it."""
    solves = np.isfinite(shots)
    if not solves.any():
        return f"0 of {len(shots)} seeds"
    return f"{np.median(shots[solves]):g} ({solves.sum()} of {len(shots)} seeds)"


def draw(results: Results) -> bytes:
    """Draw return against target episodes, a panel for each mode: IQM with interval, and each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.6 * 2), layout="constrained")
    panels = list(figure.subplots(2, 4, sharex=True, sharey=True).flat)
    for axes, mode in zip(panels, MODES, strict=False):
        scores = results.table(mode, [str(k) for k in SHOTS])
        axes.plot(SHOTS, scores.T, color="0.7", lw=0.8)
        curve(axes, SHOTS, scores, mode)
        axes.set_title(mode, fontsize=9)
    for axes in panels[len(MODES) :]:
        axes.axis("off")
    figure.supxlabel("target episodes", fontsize=9)
    figure.supylabel("return (IQM over seeds, 95 % interval; seeds in grey)", fontsize=9)
    return figure_bytes(figure)


finetune = Study("finetune", jobs, report)
