"""Makes gymnasium-robotics 1.4.2 and dm_control 1.0.50 work on MuJoCo 4.

The first compares integers of NumPy arrays with MuJoCo's enums. Since MuJoCo 3.12 these never
compare equal, so Fetch, Hand and Kitchen raise a bare AssertionError. Giving that one module enums whose
members are plain integers cures all of them.

Its `reset_mocap_welds` centres the welds by which Fetch is moved, but leaves them marked as computed by
MuJoCo: `mj_setConst`, which every edit of a mass needs, would then move them back, 1.4 m in FetchReach.

dm_control lists the arrays of MuJoCo's structs, and asks every model for each. MuJoCo 4 has dropped a few.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mujoco


class _IntegerEnums:
    """Stands for the `mujoco` module: the enums named here have integer members, all else is MuJoCo's."""

    _ENUMS = ("mjtJoint", "mjtEq")

    def __getattr__(self, name: str) -> Any:
        found = getattr(mujoco, name)
        if name not in self._ENUMS:
            return found
        return SimpleNamespace(**{member: int(value) for member, value in found.__members__.items()})


# Where a weld's `eq_data` row says that MuJoCo computed its relative pose.
_COMPUTED = 11


def _keeping_welds(reset: Callable[..., None]) -> Callable[..., None]:
    def reset_mocap_welds(model: mujoco.MjModel, data: mujoco.MjData) -> None:
        model.eq_data[model.eq_type == int(mujoco.mjtEq.mjEQ_WELD), _COMPUTED] = 0
        reset(model, data)

    return reset_mocap_welds


def patch_gymnasium_robotics() -> None:
    """Patch `gymnasium_robotics.utils.mujoco_utils`; harmless when called again."""
    from gymnasium_robotics.utils import mujoco_utils

    if not isinstance(mujoco_utils.mujoco, _IntegerEnums):
        mujoco_utils.mujoco = _IntegerEnums()
        mujoco_utils.reset_mocap_welds = _keeping_welds(mujoco_utils.reset_mocap_welds)


def patch_dm_control() -> None:
    """Take arrays that this MuJoCo does not have off `dm_control`'s list; harmless when called again."""
    from dm_control.mujoco.wrapper.mjbindings import sizes  # type: ignore[import-not-found]

    model = mujoco.MjSpec().compile()
    for struct, made in (("mjmodel", model), ("mjdata", mujoco.MjData(model))):
        for name in [name for name in sizes.array_sizes[struct] if not hasattr(made, name)]:
            del sizes.array_sizes[struct][name]
