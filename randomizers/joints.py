"""Randomizers of joints and tendons that are no single number of a field."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields
from randomizers.checks import (
    DRY_FRICTION_ON,
    LARGEST_IMPEDANCE,
    SMALLEST_IMPEDANCE,
    TURNING_OR_SLIDING,
    Refusal,
    without_limit,
)
from randomizers.distributions import Floats
from randomizers.elements import ElementRandomizer, OffsetRandomizer, WidthRandomizer
from randomizers.select import Selection


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


class FrictionImpedance(ElementRandomizer):
    """How firmly dry friction of hinges and slides holds (solimp dmin): nearer to 1, what sticks creeps less.

    Under a force that friction could hold, a joint creeps by about (1 − d) / d · a · T / 2, where a is the
    acceleration it would have without friction and T its friction's time constant (solref): with MuJoCo's own
    d = 0.9 and T = 20 ms, by 0.5 °/s for a = 9 rad/s².
    """

    kind: ClassVar[str] = "joint"
    bounds: ClassVar[Bounds] = (SMALLEST_IMPEDANCE, LARGEST_IMPEDANCE)
    refuses: ClassVar[tuple[Refusal, ...]] = (DRY_FRICTION_ON, TURNING_OR_SLIDING)
    writes: ClassVar[tuple[str, ...]] = ("dof_solimp",)

    def rows(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the joints' rows of qvel, (k,)."""
        return np.array(model.jnt_dofadr[super().rows(model)], dtype=np.int64)

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal dmin, (k,)."""
        return np.array(model.dof_solimp[model.jnt_dofadr[ids.ids], 0], dtype=np.float64)

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return dmin and dmax."""
        return {"dof_solimp": (0, 1)}

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write dmin, which is all that counts where nothing is violated, and dmax where that is below."""
        rows = self.rows(nominal)
        fields["dof_solimp"][:, rows, 0] = after
        fields["dof_solimp"][:, rows, 1] = np.maximum(nominal.dof_solimp[rows, 1], after)


class TendonRange(WidthRandomizer):
    """Width [m] of the range of a tendon's length; its middle stays."""

    kind: ClassVar[str] = "tendon"
    unit: ClassVar[str] = "m"
    refuses: ClassVar[tuple[Refusal, ...]] = without_limit("tendon_limited")
    writes: ClassVar[tuple[str, ...]] = ("tendon_range",)
