"""Side by side: the model posed at the measured joints, and where its commands drive it."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.registry import is_native, make_task
from sim2real.film import Frame, captioned, film, refuse_other_kinds
from sim2real.logs import resample
from sim2real.progress import Progress
from sim2real.replay.compare import Replay
from sim2real.replay.robot import robot_of
from sim2real.replay.run import chosen
from sim2real.spec import Bundle
from sim2real.worlds import Studio, Worlds

_FPS = 25.0


def record(
    bundle: Bundle,
    result: Replay,
    path: Path,
    progress: Progress,
    longest: float = 10.0,
    size: tuple[int, int] = (480, 400),
) -> None:
    """Record the motion with the largest error, from its start.

    Args:
        bundle: The spec.
        result: Its replay.
        path: Where to, `.mp4` or `.gif`.
        progress: Where to show progress.
        longest: Longest video [s].
        size: Width and height of each picture, even numbers [pixel].

    Raises:
        RunError: If the file's kind is another.
        RenderingUnavailableError: If there is no OpenGL.
    """
    refuse_other_kinds(path)
    motion = result.motions[result.worst]
    log = resample(motion.log, 1 / _FPS)
    simulated = np.stack(
        [np.interp(log.time, motion.log.time, joint) for joint in motion.simulated.T], axis=1
    )
    stage = _Stage(bundle, result, log.joints, size)
    frames = min(len(log), int(longest * _FPS) + 1)
    progress.begin("video", frames)
    try:
        with film(path, _FPS) as writer:
            for i in range(frames):
                off = np.degrees(np.abs(simulated[i] - log.position[i])[motion.hinge])
                captions = (
                    ("measured", log.name, f"{log.time[i] - log.time[0]:.1f} s"),
                    (f"simulated: {result.domain.name}", result.domain.describe() or "the model as it is",
                     f"off by {off.max(initial=0.0):.1f}° at most" if len(off) else ""),
                )  # fmt: skip
                sides = zip((log.position[i], simulated[i]), captions, strict=True)
                writer.append_data(np.concatenate([captioned(stage.picture(x), c) for x, c in sides], axis=1))
                progress.move("video", i + 1)
    finally:
        stage.close()
    progress.end("video")


class _Stage:
    """The model of a domain, to be posed and photographed."""

    def __init__(
        self, bundle: Bundle, result: Replay, joints: tuple[str, ...], size: tuple[int, int]
    ) -> None:
        part, place = chosen(bundle, result.domain.name)
        worlds = Worlds(part.program, 1, 1)
        worlds.set_domains(np.zeros(1, dtype=np.int64), place.v[None])
        self.model, self.camera = worlds.model(0), self._view(part)
        self.data, self.studio = mujoco.MjData(self.model), Studio(self.model, *size)
        robot = robot_of(part.program.model)
        self._address = robot.qpos[robot.rows(joints)]

    def _view(self, part: Bundle) -> Any:
        if is_native(part.spec.env):
            return make_task(part.spec.env, part.spec.env_options).camera
        return -1

    def picture(self, angles: NDArray[np.float64]) -> Frame:
        """Return a picture of the joints at some positions (j,)."""
        self.data.qpos[self._address] = np.nan_to_num(angles)
        mujoco.mj_forward(self.model, self.data)
        return self.studio.render(self.data, self.camera)

    def close(self) -> None:
        """Free the renderer."""
        self.studio.close()
