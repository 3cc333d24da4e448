"""Which source brings a policy to a real arm; targets are models of motions that no source was fitted to."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from reproductions.figures import curve, figure_bytes
from reproductions.results import Floats, Results, cell, decided, estimate, percent, verdict
from reproductions.study import Study
from reproductions.tables import RESULTS, markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.runs import Run

TASK, STEPS, EPISODES, SHOTS = "SO101Track-v0", 200_000, 40, (0, 1, 5, 20)
"""Environment steps of each training, episodes of each evaluation, and target episodes adapted on."""

SOURCE = RESULTS / "identify" / "so101_servos.yaml"
POSTERIOR = "../results/identify/so101_servos"
"""The posterior of ten motions, as `sim2real identify` wrote it; and its name among specs."""

TARGETS = RESULTS / "so101" / "targets.json"
"""Models of the other ten, which `tools/so101_targets` fits."""

NOMINAL, WIDE, IDENTIFIED, ORACLE = "nominal", "wide", "identified", "oracle"
ROWS = {
    NOMINAL: "the published model",
    WIDE: "a hand-made wide source",
    IDENTIFIED: "the identified posterior",
    ORACLE: "the target itself",
}
PUBLISHED = {
    "gains.scale": 1, "servo_damping.scale": 1, "friction_loss.scale": 1, "armature.scale": 1,
    "profile.acceleration": 0, "gears.load_friction": 0, "gears.stiction": 0, "gears.stribeck_velocity": 0,
    "zeros.add": 0, "links.scale": 1, "control_delay.set": 0,
}  # fmt: skip
"""What the terms of the wide source are where the model is as published."""

MEASURED = SUCCESS, ERROR, JERK = "success", "tracking error [mm]", "jerk [rad/s³]"
Values = dict[str, float]


def targets() -> dict[str, Values]:
    """Return the values of all targets, by the parameters of `so101_identify.yaml`."""
    return {name: found["values"] for name, found in fitted().items()}


def fitted() -> dict[str, Any]:
    """Return what `tools/so101_targets` wrote: each target's motions, values, and errors of models [deg].

    Raises:
        RunError: If it has not been run.
    """
    from sim2real.runs import RunError

    if not TARGETS.exists():
        raise RunError(f"{TARGETS}: is not there; fit the targets first: tools/so101_targets LOGS")
    return json.loads(TARGETS.read_text())


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: on three sources, and on each target."""
    aims = targets()
    split = {name: by_term(values) for name, values in aims.items()}
    published = tuple(f"randomize.{key}={value}" for key, value in PUBLISHED.items())
    return [
        _job(seed, NOMINAL, "so101/wide", aims, published),
        _job(seed, WIDE, "so101/wide", aims),
        _job(seed, IDENTIFIED, POSTERIOR, split),
        *(
            _job(seed, f"{ORACLE}-{name}", POSTERIOR, {name: values}, only(values))
            for name, values in split.items()
        ),
    ]


def _job(seed: int, label: str, spec: str, aims: Mapping[str, Values], settings: tuple[str, ...] = ()) -> Job:
    aimed = {name: {"inside": True, **values} for name, values in aims.items()}
    usual = (
        f"env={TASK}", "env_options={}", f"train.steps={STEPS}", "train.baseline=false",
        f"evaluate.episodes={EPISODES}", f"evaluate.shots={[0] if ORACLE in label else list(SHOTS)}",
        f"targets={json.dumps(aimed)}",
    )  # fmt: skip
    return Job(Training("so101", spec, seed, label, (*usual, *settings)), measure)


def by_term(values: Values) -> Values:
    """Return values by the parameters of the posterior, most of whose terms are of one joint."""
    terms = _terms()
    return {
        name if name.partition(".")[0] in terms else name.replace(".", "_", 1): value
        for name, value in values.items()
    }


def only(values: Values) -> tuple[str, ...]:
    """Return what makes one domain, by the posterior's parameters, all that its spec draws."""
    terms = _terms()
    for name, value in values.items():
        term, _, component = name.partition(".")
        operands = component, "scale", "add", "set"
        terms[term][next(key for key in operands if key in terms[term])] = value
    return f"randomize={json.dumps(terms)}", "correlate={}"


def _terms() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(SOURCE.read_text())["randomize"]


def measure(run: "Run") -> Cells:
    """Return success, tracking error and jerk on a run's targets at every shot, and on its own source."""
    from sim2real.evaluation.evaluate import adapt_to
    from sim2real.evaluation.statistics import summarize
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes
    from sim2real.session import reload, trained_agent

    bundle, found = reload(run), dict[tuple[str, str], float]()
    row, settings = run.path.name.rpartition("-s")[0].partition("-")[0], bundle.spec.evaluate
    if row != ORACLE:
        env = worlds(bundle, settings.episodes, None, 1)
        own = run_episodes(trained_agent(run)[0], env, settings.seed)
        found |= _cells(row, "source", summarize(own, 0))
        env.close()
    for name, target in bundle.targets.items():
        for k, summary in adapt_to(run, target, settings).items():
            found |= _cells(row, f"{name} {k}", summary)
    return found


def _cells(row: str, place: str, summary: Mapping[str, Any]) -> Cells:
    measures = summary["measures"]
    scores = {
        SUCCESS: summary["success_rate"],
        ERROR: 1000 * measures["tracking_error"],
        JERK: measures["jerk"],
    }
    return {(row, f"{place} {what}"): float(score) for what, score in scores.items()}


def scores(results: Results, row: str, k: int, what: str) -> Floats:
    """Return a row's means over all targets after k episodes there (seeds,), of the seeds that have them."""
    return results.table(row, [f"{name} {k} {what}" for name in targets()]).mean(-1)


def report(results: Results) -> str:
    """Return the tables, the verdicts, and how far it is; draw tracking errors."""
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce so101")
    lines = [
        [
            ROWS[row],
            str(k),
            *(cell(scores(results, row, k, what), 3) for what in MEASURED),
            str(seeds),
        ]
        for row in ROWS
        for k in SHOTS
        if (seeds := len(scores(results, row, k, ERROR)))
    ]
    if not lines:
        return f"{fits()}\n\n{standing}"
    (results.folder / "transfer.png").write_bytes(draw(results))
    main = markdown(["trained on", "target episodes", *MEASURED, "seeds"], lines)
    picture = "![Tracking error by target episodes, and on each target](assets/results/so101/transfer.png)"
    return "\n\n".join([fits(), main, by_target(results), *verdicts(results), standing, picture])


def fits() -> str:
    """Return the table of how far models are from the motions that each target was fitted to."""
    models = {"published": "as published", "source": "the source's most likely", "target": "the target"}
    lines = [
        [name, ", ".join(f"`{motion}`" for motion in found["motions"]), *map(str, errors)]
        for name, found in fitted().items()
        if (errors := [found["rmse_deg"][model] for model in models])
    ]
    return markdown(["target", "RMSE [deg] on", *models.values()], lines)


def by_target(results: Results) -> str:
    """Return the table of zero-shot tracking errors where a policy was trained and on each target."""
    places = {"source": "where it was trained", **{f"{name} 0": name for name in targets()}}
    lines = [
        [ROWS[row], *(cell(results.scores(row, f"{place} {ERROR}"), 3) for place in places)]
        for row in ROWS
        if len(scores(results, row, 0, ERROR))
    ]
    return markdown([f"zero-shot {ERROR}, trained on", *places.values()], lines)


def ratio(one: Floats, other: Floats) -> float:
    """Return the interquartile mean over seeds of one by that of another."""
    return float(iqm(one) / iqm(other))


def verdicts(results: Results) -> list[str]:
    """Say whether the identified source is the better one; nothing before there is a seed of every row."""
    zero = {row: scores(results, row, 0, ERROR) for row in ROWS}
    if not all(len(own) for own in zero.values()):
        return []
    lines: list[str] = []
    for row in (NOMINAL, WIDE):
        share = estimate(ratio, zero[IDENTIFIED], zero[row])
        late = estimate(ratio, zero[IDENTIFIED], scores(results, row, max(SHOTS), ERROR))
        lines.append(
            f"- Zero-shot, the error of policies trained on {ROWS[IDENTIFIED]} is {percent(*share)} of that "
            f"of policies trained on {ROWS[row]} (wanted: less than all of it) — "
            f"{verdict(decided(share[2] < 1, share[2]))}. Of what those have after {max(SHOTS)} episodes on "
            f"the target, it is {percent(*late)}."
        )
    best = estimate(ratio, zero[IDENTIFIED], zero[ORACLE])
    lines.append(f"- It is {percent(*best)} of the error of policies that were trained on the target itself.")
    return ["\n".join(lines)]


def draw(results: Results) -> bytes:
    """Draw tracking errors: against target episodes over all targets, and zero-shot by target."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(targets())
    for row, title in ROWS.items():
        found = results.table(row, [f"{name} 0 {ERROR}" for name in names])
        if len(found):
            curve(right, range(len(names)), found, title)
        by_shots = np.array([scores(results, row, k, ERROR) for k in SHOTS if row != ORACLE]).T
        if by_shots.size:
            curve(left, range(len(SHOTS)), by_shots, title)
    left.set_xticks(range(len(SHOTS)), [str(k) for k in SHOTS])
    right.set_xticks(range(len(names)), names)
    left.set_xlabel("episodes on the target")
    right.set_xlabel("zero-shot on the model of other motions")
    left.set_ylabel(ERROR)
    left.set_ylim(bottom=0)
    right.legend(fontsize=8)
    return figure_bytes(figure)


so101 = Study("so101", jobs, report)
