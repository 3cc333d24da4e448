"""Pictures of worlds, with or without a display."""

from collections.abc import Iterable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

_INSTALL = (
    "no renderer found: install EGL (apt-get install libegl1 libgl1-mesa-dri) or "
    "OSMesa (apt-get install libosmesa6)"
)


Ball = tuple[NDArray[np.float64], float, tuple[float, float, float, float]]
"""A marker: centre (3,) [m], radius [m], colour."""


class RenderingUnavailableError(RuntimeError):
    """No OpenGL to render with; the message names the packages to install."""


class Studio:
    """Renders one model in one OpenGL context, in any size and from any of its cameras.

    Args:
        model: The world's model; `render` follows later edits of it in place, but for meshes, height fields
            and, until `upload`, textures: those lie on the graphics card.
        width: Of the picture [pixel], unless `render` is told another.
        height: Of the picture [pixel].

    Raises:
        RenderingUnavailableError: If neither EGL nor OSMesa nor a display works.
    """

    def __init__(self, model: mujoco.MjModel, width: int = 480, height: int = 480) -> None:
        self.size = width, height
        self._model = model
        visual = model.vis.global_
        before = visual.offwidth, visual.offheight
        visual.offwidth, visual.offheight = max(before[0], width), max(before[1], height)
        self._largest = visual.offwidth, visual.offheight
        try:
            self._renderer: Any = mujoco.Renderer(model, height, width)
        # Each OpenGL binding fails in its own way: missing library, no device, no display.
        except (ImportError, RuntimeError, AttributeError, OSError, mujoco.FatalError) as error:
            raise RenderingUnavailableError(f"{_INSTALL} ({error})") from error
        finally:
            visual.offwidth, visual.offheight = before

    def render(
        self,
        data: mujoco.MjData,
        camera: str | int | mujoco.MjvCamera = -1,
        balls: Iterable[Ball] = (),
        size: tuple[int, int] | None = None,
    ) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of a state.

        Args:
            data: The state, with positions computed.
            camera: Name or number of a camera of the model; -1 for MuJoCo's free one.
            balls: Markers to draw: centre (3,) [m], radius [m], colour.
            size: Width and height [pixel], if other than the studio's.
        """
        width, height = size or self.size
        self._renderer.update_scene(data, camera)
        # MuJoCo centres infinite planes below the camera of the picture before; so make that one this one.
        self._renderer.update_scene(data, camera)
        for centre, radius, rgba in balls:
            _add_ball(self._renderer.scene, centre, radius, rgba)
        context = self._current()
        if width > self._largest[0] or height > self._largest[1]:
            self._largest = max(width, self._largest[0]), max(height, self._largest[1])
            mujoco.mjr_resizeOffscreen(*self._largest, context)
        picture, frame = np.empty((height, width, 3), np.uint8), mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(frame, self._renderer.scene, context)
        mujoco.mjr_readPixels(picture, None, frame, context)
        return np.ascontiguousarray(picture[::-1])  # OpenGL's first row is the lowest

    def upload(self, textures: Iterable[int]) -> None:
        """Show textures as `tex_data` of the model holds them now."""
        context = self._current()
        for texture in textures:
            mujoco.mjr_uploadTexture(self._model, context, texture)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def _current(self) -> Any:
        """Return the rendering context, with its OpenGL context made current."""
        if self._renderer._gl_context:
            self._renderer._gl_context.make_current()
        return self._renderer._mjr_context


def _add_ball(scene: Any, centre: NDArray[np.float64], radius: float, rgba: Any) -> None:
    if scene.ngeom >= scene.maxgeom:
        return
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_SPHERE,
        np.full(3, radius),
        np.asarray(centre, dtype=np.float64),
        np.eye(3).ravel(),
        np.asarray(rgba, dtype=np.float32),
    )
    scene.ngeom += 1
