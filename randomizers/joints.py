"""Randomizers of joints and tendons that are no single number of a field."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.checks import TURNING_OR_SLIDING, Refusal, without_limit
from randomizers.elements import OffsetRandomizer, WidthRandomizer


class JointRange(WidthRandomizer):
    """Width [rad] or [m] of the range of hinges and slides; its middle stays."""

    kind: ClassVar[str] = "joint"
    unit: ClassVar[str] = "rad or m"
    refuses: ClassVar[tuple[Refusal, ...]] = (TURNING_OR_SLIDING, *without_limit("jnt_limited"))
    writes: ClassVar[tuple[str, ...]] = ("jnt_range",)


class JointLimits(OffsetRandomizer):
    """Offset [rad] or [m] of both ends of the range of hinges and slides."""

    kind: ClassVar[str] = "joint"
    unit: ClassVar[str] = "rad or m"
    composes: ClassVar[bool] = True
    refuses: ClassVar[tuple[Refusal, ...]] = (TURNING_OR_SLIDING, *without_limit("jnt_limited"))
    writes: ClassVar[tuple[str, ...]] = ("jnt_range",)


class JointOffset(OffsetRandomizer):
    """Angle [rad] or length [m] that hinges and slides are assembled off by: they read it as their zero.

    At the same `qpos` the mechanism stands elsewhere; limits stay where `qpos` reaches them.
    """

    kind: ClassVar[str] = "joint"
    unit: ClassVar[str] = "rad or m"
    composes: ClassVar[bool] = True
    refuses: ClassVar[tuple[Refusal, ...]] = (TURNING_OR_SLIDING,)
    writes: ClassVar[tuple[str, ...]] = ("qpos0", "qpos_spring")

    def rows(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the joints' rows of qpos, (k,)."""
        return np.array(model.jnt_qposadr[super().rows(model)], dtype=np.int64)


class TendonRange(WidthRandomizer):
    """Width [m] of the range of a tendon's length; its middle stays."""

    kind: ClassVar[str] = "tendon"
    unit: ClassVar[str] = "m"
    refuses: ClassVar[tuple[Refusal, ...]] = without_limit("tendon_limited")
    writes: ClassVar[tuple[str, ...]] = ("tendon_range",)
