"""The torso-mass table of EPOpt (Rajeswaran et al. 2017, arXiv 1610.01283, section 4.1), with curricula."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.figures import curve, figure_bytes
from reproductions.results import Floats, Results, cell, estimate, number, percent, verdict
from reproductions.study import Study
from reproductions.tables import ROOT, markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.runs import Run

MASSES = tuple(f"{kg} kg" for kg in range(3, 10))
"""Torso masses that every policy is evaluated at."""

SPECIALISTS = ("specialist 3 kg", "specialist 6 kg", "specialist 9 kg")
ENSEMBLE = "ensemble, uniform"
OTHERS = ("ensemble, normal", "adr", "doraemon", "epopt")
ROWS = (*SPECIALISTS, ENSEMBLE, *OTHERS)
SHARE, FLATTER, COLLAPSE = 0.8, 1.3, 0.6
"""Gates: the ensemble's least share of the best specialist at each mass, how much better its worst mass is
than that of the best specialist, and how little every specialist keeps somewhere."""


def jobs(seed: int) -> list[Job]:
    """Return the eight trainings of a seed: specialists, ensembles, curricula."""
    return [Job(Training("torso", *_spec(row, seed)), measure) for row in ROWS]


def _spec(row: str, seed: int) -> tuple[str, int, str, tuple[str, ...]]:
    label = row.replace(",", "").replace(" ", "-")
    drawn = "randomize.torso_mass.set="
    if row in SPECIALISTS:
        mass = row.split()[1]
        return "torso/hopper", seed, label, (f"{drawn}{mass}", "targets={}")
    if row == ENSEMBLE:
        return "torso/hopper", seed, label, ()
    if row == "ensemble, normal":
        # EPOpt's own source distribution of masses (table 1).
        return "torso/hopper", seed, label, (f"{drawn}{{truncated_normal: [6, 1.5, 3, 9]}}",)
    own = _budget()
    alike = tuple(f"train.{key}={own[key]}" for key in ("steps", "validate_on", "baseline"))
    warm = (f"train.curriculum.warmup_steps={own['steps'] // 2}",) if row == "epopt" else ()
    return f"curricula/{row}", seed, label, alike + warm


def _budget() -> dict[str, Any]:
    """Return how the ensemble is trained, which its spec says."""
    import yaml

    spec = yaml.safe_load((ROOT / "assets" / "specs" / "torso" / "hopper.yaml").read_text())
    return spec["train"]


def measure(run: "Run") -> Cells:
    """Return the policy's return (interquartile mean over episodes) at every mass."""
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.zeroshot import compare
    from sim2real.progress import Progress
    from sim2real.session import reload, trained_agent
    from sim2real.spec import domain

    bundle = reload(run)
    found = [domain(bundle.program, mass, {"torso_mass": float(mass.split()[0])}) for mass in MASSES]
    places = {one.name: fixed(one.v) for one in found}
    policies = {"policy": trained_agent(run)[0]}
    summaries = compare(bundle, bundle.spec.evaluate, policies, places, Progress.silent())["policy"]
    row = next(row for row in ROWS if run.path.name.rpartition("-s")[0] == _spec(row, 0)[2])
    return {(row, mass): float(summary["iqm"]) for mass, summary in summaries.items()}


def report(results: Results) -> str:
    """Return the table of masses, the gates' verdicts, and how far it is; draw return against mass."""
    found = {row: results.table(row, MASSES) for row in ROWS}
    found = {row: scores for row, scores in found.items() if len(scores)}
    standing = results.standing([_spec(row, 0)[2] for row in ROWS], "tools/reproduce torso")
    if not found:
        return standing
    lines = [[row, *map(cell, scores.T), str(len(scores))] for row, scores in found.items()]
    table = markdown(["trained on", *MASSES, "seeds"], lines)
    (results.folder / "masses.png").write_bytes(draw(found))
    picture = "![Return by torso mass](assets/results/torso/masses.png)"
    return "\n\n".join([table, *verdicts(found), standing, picture])


def verdicts(found: dict[str, Floats]) -> list[str]:
    """Say whether the gates are reached, with intervals; nothing before there is a seed of all that it takes.

    Args:
        found: Scores (seeds, masses) by row.
    """
    if not {*SPECIALISTS, ENSEMBLE} <= set(found):
        return []
    samples = [found[ENSEMBLE], *(found[row] for row in SPECIALISTS)]
    share = estimate(least_share, *samples)
    flat = estimate(worst_ratio, *samples)
    kept = [float(iqm(found[row], axis=0).min() / iqm(found[row], axis=0).max()) for row in SPECIALISTS]
    rows = [row for row in (ENSEMBLE, *OTHERS) if row in found]
    least = [(row, estimate(least_share, found[row], *samples[1:])) for row in rows]
    return [
        f"- Ensemble against the best specialist, at the mass where it does worst: {percent(*share)} "
        f"(wanted at every mass: {SHARE:.0%}) — {verdict(share[0] >= SHARE)}.\n"
        f"- Worst of {len(MASSES)} masses, ensemble by the best specialist's worst: {number(*flat, '.2f')} "
        f"(wanted: {FLATTER}) — {verdict(flat[0] >= FLATTER)}.\n"
        f"- What the specialists keep of their best return at their worst mass: "
        f"{', '.join(f'{one:.0%}' for one in kept)} (expected: at most {COLLAPSE:.0%}) — "
        f"{verdict(max(kept) <= COLLAPSE)}.\n"
        "- The first of these for all that were trained on more than one mass: "
        f"{', '.join(f'{row} {percent(*own)}' for row, own in least)}."
    ]


def least_share(ensemble: Floats, *specialists: Floats) -> float:
    """Return the least, over masses, of the ensemble's return by that of the specialist best there.

    Args:
        ensemble: Scores (seeds, masses).
        specialists: Scores (seeds, masses) of each.
    """
    best = np.max([iqm(one, axis=0) for one in specialists], axis=0)
    return float((iqm(ensemble, axis=0) / best).min())


def worst_ratio(ensemble: Floats, *specialists: Floats) -> float:
    """Return the ensemble's return at its worst mass by that of the specialist whose worst mass is best."""
    return float(iqm(ensemble, axis=0).min() / max(iqm(one, axis=0).min() for one in specialists))


def draw(found: dict[str, Floats]) -> bytes:
    """Draw return against mass, with intervals over seeds: the ensemble beside specialists, and curricula."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    kg = [float(mass.split()[0]) for mass in MASSES]
    panels = {"Specialists": (ENSEMBLE, *SPECIALISTS), "Curricula": (ENSEMBLE, *OTHERS)}
    for axes, (title, rows) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for row in rows:
            if row in found:
                curve(axes, kg, found[row], row)
        axes.set(xlabel="torso mass [kg]", title=title)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("return (IQM over seeds, 95 % interval)")
    return figure_bytes(figure)


torso = Study("torso", jobs, report)
