"""Sim-to-real transfer: one YAML file of physics in, a trained policy and an honest report out.

Importing it registers the native tasks with Gymnasium as `sim2real/…`; everything heavy loads on first use.
"""

import ctypes
import os

from sim2real.envs.registry import register

_OPENGL = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def _choose_opengl() -> None:
    """Set `MUJOCO_GL` where the user has not and there is no display: EGL first, OSMesa next.

    MuJoCo reads it once, when it is first imported.
    """
    if os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY") or os.name != "posix":
        return
    for name, library in _OPENGL.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        os.environ["MUJOCO_GL"] = name
        return


_choose_opengl()
register()
