"""Row 7: recording a side-by-side video, against rendering and encoding the same scenes and nothing else."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import imageio.v2 as imageio
import mujoco
import numpy as np

from benches.contest import OURS, Contest
from benches.evaluating import untrained
from benches.figures import Bar, Mode, Outcome
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.evaluation.video import record
from sim2real.progress import Progress
from sim2real.runs import Run
from sim2real.session import reload, trained_agent
from sim2real.spec import domain

WIDTH, HEIGHT, BAND = 640, 480, 64
PANEL = WIDTH // 2, HEIGHT - BAND
"""Each side's picture; the caption above it makes the video 480 high."""
ENCODING = {"codec": "libx264", "quality": 7, "macro_block_size": 2}
"""As `sim2real record` does."""
BARE = "bare render + encode"
Scene = tuple[mujoco.MjModel, list[np.ndarray]]


def recording(mode: Mode) -> Outcome:
    """Record HalfCheetah on nominal and on a target: 20 control steps a second."""
    seconds, mode = 0.5 if mode.quick else 10.0, replace(mode, rounds=5)
    with tempfile.TemporaryDirectory() as folder, Contest(mode, "frame") as contest:
        place = Path(folder)
        run = untrained(place, 1)
        fps = 20
        contest.add(OURS, ours(run, place / "ours.mp4", seconds, fps))
        contest.add(BARE, bare(scenes(run, int(seconds * fps)), place / "bare.mp4", fps))
        contest.run()
        note = "bare: mujoco.Renderer of the same scenes in the same sizes, imageio's ffmpeg set alike"
        what = f"recording {seconds:g} s at {WIDTH}x{HEIGHT} side by side, against {BARE}"
        figures = [
            contest.overhead(what, BARE, Bar("<=", 1.3), note),
            contest.cost("our time for such a video", OURS, seconds * fps, "s"),
        ]
        return Outcome(figures, contest.table())


def ours(run: Run, out: Path, seconds: float, fps: int) -> Callable[[float], float]:
    """Return what times `record`, from the run folder to the file."""

    def measure(window: float) -> float:
        begin = time.perf_counter()
        record(run, "target0", out, Progress.silent(), seconds, PANEL)
        return (time.perf_counter() - begin) / (seconds * fps)

    return measure


def scenes(run: Run, frames: int) -> tuple[str, list[Scene]]:
    """Return the camera, and each side's model and positions (nq,) of every frame."""
    bundle, (agent, _), made = reload(run), trained_agent(run), []
    seed = bundle.spec.evaluate.seed
    for place in (domain(bundle.program, "nominal", {}), bundle.targets["target0"]):
        env: Any = make_worlds(
            bundle.spec.env, {}, bundle.program, 1, fixed(place.v), seed, 1, same_step=False
        )
        observation, _ = env.reset(seed=seed)
        positions = []
        for _ in range(frames):
            positions.append(env.worlds.bind("qpos")[0].copy())
            observation = env.step(agent.act(observation, deterministic=True))[0]
        made.append((env.worlds.model(0), positions))
        camera = env.task.camera
    return camera, made


def bare(shown: tuple[str, list[Scene]], out: Path, fps: int) -> Callable[[float], float]:
    """Return what times rendering scenes side by side under an empty band, and encoding them."""
    camera, sides = shown
    frames = len(sides[0][1])

    def measure(window: float) -> float:
        begin = time.perf_counter()
        data = [mujoco.MjData(model) for model, _ in sides]
        renderers = [mujoco.Renderer(model, PANEL[1], PANEL[0]) for model, _ in sides]
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        with cast(Any, imageio).get_writer(out, fps=fps, **ENCODING) as writer:
            for number in range(frames):
                for i, (model, positions) in enumerate(sides):
                    data[i].qpos[:] = positions[number]
                    mujoco.mj_fwdPosition(model, data[i])
                    renderers[i].update_scene(data[i], camera)
                    canvas[BAND:, i * PANEL[0] : (i + 1) * PANEL[0]] = renderers[i].render()
                writer.append_data(canvas)
        for renderer in renderers:
            renderer.close()
        return (time.perf_counter() - begin) / frames

    return measure
