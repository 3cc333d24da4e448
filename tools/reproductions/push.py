"""How often an SO-101 brings a cube to its goal: trained across a spec's worlds, and on nominal dynamics."""

import io
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from reproductions.results import Results, cell
from reproductions.study import Study
from reproductions.tables import RESULTS, ROOT, markdown
from reproductions.trainings import Cells, Job, Training

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run
    from sim2real.spec import Bundle

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

FILM, SHOWN, SIZE, MOMENTS = "film.png", 4, (240, 200), (0, 50, 100, 150, 199)
"""The picture of the first seed: worlds, size of the picture of one [pixel], and control steps."""


def jobs(seed: int) -> list[Job]:
    """Return the two trainings of a seed."""
    fixed = tuple(f"randomize.{key}={value}" for key, value in PUBLISHED.items())
    settings = {"randomized": (), "nominal": fixed}
    return [
        Job(Training("push", SPEC, seed, row, ("train.baseline=false", *own)), measure)
        for row, own in settings.items()
    ]


def measure(run: "Run") -> Cells:
    """Return success, distance and jerk in the spec's worlds, on nominal dynamics and on its targets.

    Of the first seed it also draws what it does, if there is an OpenGL.
    """
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.zeroshot import compare
    from sim2real.progress import Progress
    from sim2real.session import CATALOG, trained_agent
    from sim2real.spec import load
    from sim2real.worlds import RenderingUnavailableError

    bundle = load(ROOT / "assets" / "specs" / f"{SPEC}.yaml", CATALOG)
    settings = bundle.spec.evaluate.model_copy(update={"episodes": EPISODES})
    places = {"source": None, "nominal": fixed(bundle.program.nominal)}
    places |= {name: fixed(target.v) for name, target in bundle.targets.items()}
    agent, row = trained_agent(run)[0], run.path.name.rpartition("-s")[0]
    if run.path.name == "randomized-s0":
        (RESULTS / "push").mkdir(parents=True, exist_ok=True)
        with suppress(RenderingUnavailableError):
            (RESULTS / "push" / FILM).write_bytes(film(bundle, agent))
    found = compare(bundle, settings, {"policy": agent}, places, Progress.silent())["policy"]
    return {
        (row, f"{place} {what}"): unit
        * float({"success": summary["success_rate"], **summary["measures"]}[what])
        for place, summary in found.items()
        for what, unit in MEASURED.items()
    }


def film(bundle: "Bundle", agent: "Agent") -> bytes:
    """Return a PNG of the first worlds, a row each, from the first to the last moment of an episode."""
    import imageio.v2 as imageio

    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    env, columns, step = worlds(bundle, SHOWN, None, 1), list[np.ndarray](), 0

    def look(_: object) -> None:
        nonlocal step
        if step in MOMENTS:
            columns.append(np.concatenate([env.unwrapped.picture(world, *SIZE) for world in range(SHOWN)]))
        step += 1

    run_episodes(agent, env, bundle.spec.evaluate.seed, look)
    env.close()
    file = io.BytesIO()
    imageio.imwrite(file, np.concatenate(columns, axis=1), format="png")
    return file.getvalue()


def report(results: Results) -> str:
    """Return the table, and how far it is."""
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce push")
    lines = [
        [title, place, *(cell(results.scores(row, f"{place} {what}"), 4) for what in MEASURED), str(seeds)]
        for row, title in ROWS.items()
        for place in PLACES
        if (seeds := len(results.scores(row, f"{place} success")))
    ]
    if not lines:
        return standing
    columns = ["trained on", "evaluated on", "success", "distance [mm]", "jerk [rad/s³]", "seeds"]
    picture = f"![Four worlds, a row each, once a second](assets/results/push/{FILM})"
    drawn = [picture] if (results.folder / FILM).exists() else []
    return "\n\n".join([markdown(columns, lines, left=2), standing, *drawn])


push = Study("push", jobs, report)
