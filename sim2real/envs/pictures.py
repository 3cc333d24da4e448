"""Pictures of worlds in their own looks: fields, textures, and what the camera makes of it."""

from collections.abc import Callable, Iterable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Draw, Lens, Paint
from sim2real.spec import Program
from sim2real.worlds import Studio, Worlds
from sim2real.worlds.render import Ball

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Draws = Callable[[str], Draw]
"""Gives the random numbers of a term by its name, n = 1."""


class Photographer:
    """Takes pictures of any world of a program, in any size, with one OpenGL context.

    A picture depends on the world alone, not on those photographed before it. No state is touched.

    Args:
        program: What varies; its model's textures are the nominal ones.
    """

    def __init__(self, program: Program) -> None:
        self._paints, self._lenses = tuple(program.terms(Paint)), tuple(program.terms(Lens))
        self._textures = np.array(program.model.tex_data if self._paints else [], dtype=np.uint8)
        self._studio: Studio | None = None
        self._model: Any = None
        self._data: Any = None
        self._own = False
        self._on_card: bytes | None = None
        self._painted: set[int] = set()

    def of_world(
        self,
        worlds: Worlds,
        world: int,
        width: int,
        height: int,
        camera: str | int | mujoco.MjvCamera,
        draws: Draws,
        dress: Callable[[mujoco.MjModel], None] | None = None,
        balls: Iterable[Ball] = (),
    ) -> Picture:
        """Return a picture (height, width, 3) of one of many worlds.

        Args:
            worlds: The worlds, of this program.
            world: Which of them.
            width: Of the picture [pixel].
            height: Of the picture [pixel].
            camera: Name or number of a camera of the model, -1 for MuJoCo's free one.
            draws: Random numbers for image noise.
            dress: Changes the copy of the model that is photographed.
            balls: Markers to draw: centre (3,) [m], radius [m], colour.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        if not self._own:
            self._enter(worlds.model(world), (width, height))
            self._own = True
        model, data = worlds.model(world, self._model), worlds.data(world, self._data)
        if dress is not None:
            dress(model)
        mujoco.mj_forward(model, data)
        return self._take(worlds.values[world], (width, height), camera, draws, balls)

    def of_env(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        values: Floats,
        width: int,
        height: int,
        camera: str | int | mujoco.MjvCamera,
        draws: Draws,
        balls: Iterable[Ball] = (),
    ) -> Picture:
        """Return a picture (height, width, 3) of an environment's own model, as its state is now.

        Args:
            model: The environment's model, into which its domain is written; its textures are nominal.
            data: Its state; read only.
            values: Its domain (d,).
            width: Of the picture [pixel].
            height: Of the picture [pixel].
            camera: Name or number of a camera of the model, -1 for MuJoCo's free one.
            draws: Random numbers for image noise.
            balls: Markers to draw: centre (3,) [m], radius [m], colour.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        if self._own or self._model is not model:
            self._enter(model, (width, height))
        # After a step, positions of bodies and cameras lag one physics step behind the joints.
        mujoco.mj_copyData(self._data, model, data)
        mujoco.mj_forward(model, self._data)
        return self._take(values, (width, height), camera, draws, balls)

    def close(self) -> None:
        """Free the OpenGL context; the next picture makes a new one."""
        if self._studio is not None:
            self._studio.close()
        self._studio = self._model = self._data = self._on_card = None
        self._own, self._painted = False, set()

    def _enter(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        self.close()
        self._studio = Studio(model, *size)
        self._model, self._data = model, mujoco.MjData(model)

    def _take(
        self,
        values: Floats,
        size: tuple[int, int],
        camera: str | int | mujoco.MjvCamera,
        draws: Draws,
        balls: Iterable[Ball],
    ) -> Picture:
        assert self._studio is not None
        if self._paints:
            self._paint(values, self._studio)
        image = self._studio.render(self._data, camera, balls, size)
        if not self._lenses:
            return image
        developed = image / 255.0
        for lens in self._lenses:
            developed = lens.term.develop(values[lens.columns], developed, draws(lens.name))
        return np.rint(np.clip(developed, 0.0, 1.0) * 255.0).astype(np.uint8)

    def _paint(self, values: Floats, studio: Studio) -> None:
        """Bring the textures of a domain onto the card; in the model they stay nominal."""
        wanted = b"".join(values[paint.columns].tobytes() for paint in self._paints)
        if wanted == self._on_card:
            return
        textures = self._model.tex_data
        textures[:] = self._textures
        changed = {int(i) for p in self._paints for i in p.term.paint(values[p.columns], self._model)}
        studio.upload(changed | self._painted)
        textures[:] = self._textures
        self._painted, self._on_card = changed, wanted


def usual_camera(env: Any, model: mujoco.MjModel) -> str | int | mujoco.MjvCamera:
    """Return the camera that a foreign environment is usually seen from.

    It is the one its renderer was told of, `track`, the free one as its renderer places it, or the
    model's first.

    Args:
        env: The environment, without its wrappers.
        model: Its model.
    """
    renderer = getattr(env, "mujoco_renderer", None)
    told = getattr(renderer, "camera_id", None)
    if isinstance(told, int) and 0 <= told < model.ncam:
        return told
    names = [model.camera(i).name for i in range(model.ncam)]
    config = getattr(renderer, "default_cam_config", None)
    if "track" in names or config is None:
        return "track" if "track" in names else (0 if names else -1)
    camera = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, camera)
    for name, value in config.items():
        if isinstance(value, np.ndarray):
            getattr(camera, name)[:] = value
        else:
            setattr(camera, name, value)
    return camera
