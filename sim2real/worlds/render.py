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


class RenderingUnavailableError(RuntimeError):
    """No OpenGL to render with; the message names the packages to install."""


class Studio:
    """Renders one world at a time from a camera of its model.

    Args:
        model: The world's model; `render` follows later edits of it in place.
        width: Of the picture [pixel].
        height: Of the picture [pixel].

    Raises:
        RenderingUnavailableError: If neither EGL nor OSMesa nor a display works.
    """

    def __init__(self, model: mujoco.MjModel, width: int = 480, height: int = 480) -> None:
        visual = model.vis.global_
        visual.offwidth, visual.offheight = max(visual.offwidth, width), max(visual.offheight, height)
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        # Each OpenGL binding fails in its own way: missing library, no device, no display.
        except (ImportError, RuntimeError, AttributeError, OSError, mujoco.FatalError) as error:
            raise RenderingUnavailableError(f"{_INSTALL} ({error})") from error

    def render(
        self,
        data: mujoco.MjData,
        camera: str | int | mujoco.MjvCamera = -1,
        balls: Iterable[tuple[NDArray[np.float64], float, tuple[float, float, float, float]]] = (),
    ) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of a state.

        Args:
            data: The state, with positions computed.
            camera: Name or number of a camera of the model.
            balls: Markers to draw: centre (3,) [m], radius [m], colour.
        """
        self._renderer.update_scene(data, camera)
        for centre, radius, rgba in balls:
            _add_ball(self._renderer.scene, centre, radius, rgba)
        return self._renderer.render()

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()


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
