"""Sim-to-real transfer: one YAML file of physics in, a trained policy and an honest report out.

Importing it registers the native tasks with Gymnasium as `sim2real/…` once that is imported; everything
heavy loads on first use.
"""

import ctypes
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from sim2real.envs.cures import cure_on_import

if TYPE_CHECKING:
    from sim2real.envs.make import pixels as pixels
    from sim2real.envs.make import randomize as randomize

_OPENGL = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def _choose_opengl() -> None:
    """Set `MUJOCO_GL` to what is there: the user's wish first, then EGL, then OSMesa, then nothing.

    MuJoCo reads it once, when it is first imported, and that import fails where the named library is missing;
    without any, all but pictures still works. A display, and other values, are left to MuJoCo.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if sys.platform != "linux" or wanted not in ("", *_OPENGL) or (not wanted and os.environ.get("DISPLAY")):
        return
    for name in sorted(_OPENGL, key=lambda name: name != wanted):
        try:
            ctypes.CDLL(_OPENGL[name])
        except OSError:
            continue
        os.environ["MUJOCO_GL"] = name
        return
    os.environ["MUJOCO_GL"] = "disable"


def _tell_mujoco() -> None:
    """Let MuJoCo read the choice again where it was imported first, as by gymnasium-robotics."""
    reader = sys.modules.get("mujoco.rendering.classic.gl_context")
    if reader is not None:
        importlib.reload(reader)


_had = os.environ.get("MUJOCO_GL")
_choose_opengl()
if os.environ.get("MUJOCO_GL") != _had:
    _tell_mujoco()
cure_on_import()


def __getattr__(name: str) -> Any:
    """Load what needs the simulator on first use."""
    if name not in ("randomize", "pixels"):
        raise AttributeError(f"module 'sim2real' has no attribute '{name}'")
    from sim2real.envs import make

    return getattr(make, name)
