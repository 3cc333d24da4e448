"""How often an SO-101 brings a cube to its goal: trained across a spec's worlds, and on nominal dynamics."""

from typing import TYPE_CHECKING

from reproductions.results import Results, cell
from reproductions.study import Study
from reproductions.tables import ROOT, markdown
from reproductions.trainings import Cells, Job, Training

if TYPE_CHECKING:
    from sim2real.runs import Run

SPEC, EPISODES = "so101_push", 200
"""The spec of trainings and places, and episodes of each evaluation."""

ROWS = {"randomized": "the spec's worlds", "nominal": "nominal dynamics"}
PUBLISHED = {
    "gains.scale": 1, "damping.scale": 1, "cube_mass.scale": 1, "slipperiness.scale": 1,
    "control_delay.set": 0,
}  # fmt: skip
"""What the spec's terms are on nominal dynamics."""

PLACES = ("source", "nominal", "heavy", "ice", "laggy")
MEASURED = {"success": 1.0, "distance": 1000.0, "jerk": 1.0}
"""What is measured of episodes, and by what it is multiplied: arrived at the end, means [mm] and [rad/s³]."""


def jobs(seed: int) -> list[Job]:
    """Return the two trainings of a seed."""
    fixed = tuple(f"randomize.{key}={value}" for key, value in PUBLISHED.items())
    settings = {"randomized": (), "nominal": fixed}
    return [
        Job(Training("push", SPEC, seed, row, ("train.baseline=false", *own)), measure)
        for row, own in settings.items()
    ]


def measure(run: "Run") -> Cells:
    """Return success, distance and jerk in the spec's worlds, on nominal dynamics and on its targets."""
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.zeroshot import compare
    from sim2real.progress import Progress
    from sim2real.session import CATALOG, trained_agent
    from sim2real.spec import load

    bundle = load(ROOT / "assets" / "specs" / f"{SPEC}.yaml", CATALOG)
    settings = bundle.spec.evaluate.model_copy(update={"episodes": EPISODES})
    places = {"source": None, "nominal": fixed(bundle.program.nominal)}
    places |= {name: fixed(target.v) for name, target in bundle.targets.items()}
    policies = {"policy": trained_agent(run)[0]}
    found = compare(bundle, settings, policies, places, Progress.silent())["policy"]
    row = run.path.name.rpartition("-s")[0]
    return {
        (row, f"{place} {what}"): unit
        * float({"success": summary["success_rate"], **summary["measures"]}[what])
        for place, summary in found.items()
        for what, unit in MEASURED.items()
    }


def report(results: Results) -> str:
    """Return the table, and how far it is."""
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce push")
    lines = [
        [title, place, *(cell(results.scores(row, f"{place} {what}"), 3) for what in MEASURED), str(seeds)]
        for row, title in ROWS.items()
        for place in PLACES
        if (seeds := len(results.scores(row, f"{place} success")))
    ]
    if not lines:
        return standing
    columns = ["trained on", "evaluated on", "success", "distance [mm]", "jerk [rad/s³]", "seeds"]
    return "\n\n".join([markdown(columns, lines, left=2), standing])


push = Study("push", jobs, report)
