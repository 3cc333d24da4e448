"""Randomizers of actuators."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Parameter
from randomizers.checks import ACTUATION_ON, Refusal, switched_off
from randomizers.distributions import Floats
from randomizers.elements import ElementRandomizer, ShareRandomizer
from randomizers.select import Selection
from randomizers.words import listing

_LINEAR_GAIN = (int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE))
_LINEAR_BIAS = (int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE))


def _follows(model: mujoco.MjModel, column: int) -> NDArray[np.bool_]:
    """Return which actuators give gain · (ctrl − x), x the position (column 1) or the velocity (2)."""
    fixed = model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_FIXED)
    affine = model.actuator_biastype == int(mujoco.mjtBias.mjBIAS_AFFINE)
    gain, bias = model.actuator_gainprm[:, 0], model.actuator_biasprm
    alone = (column == 1) | (bias[:, 1] == 0)
    return fixed & affine & alone & (gain != 0) & (gain == -bias[:, column])


NO_SERVO = Refusal(lambda model: ~_follows(model, 1), "is no position servo, so it has no kp")
_NO_KD = Refusal(
    lambda model: ~(_follows(model, 1) | _follows(model, 2)),
    "is neither a position nor a velocity servo, so it has no kd",
)


class MotorStrength(ShareRandomizer):
    """Force that actuators give for a command: gain, bias and force range together.

    Scaling the gain of a servo alone would move its set point, so gain and bias change as one.
    """

    kind: ClassVar[str] = "actuator"
    bounds: ClassVar[Bounds] = (0.0, np.inf)
    composes: ClassVar[bool] = True
    refuses: ClassVar[tuple[Refusal, ...]] = (ACTUATION_ON,)
    writes: ClassVar[tuple[str, ...]] = (
        "actuator_gainprm",
        "actuator_biasprm",
        "actuator_forcerange",
    )

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One strength for each selected actuator, or one in all when shared.

        Raises:
            ValueError: For muscles and user-defined actuators, whose force is not linear in the gain.
        """
        chosen = self.selection(model)
        odd = [
            label
            for i, label in zip(chosen.ids, chosen.labels, strict=True)
            if model.actuator_gaintype[i] not in _LINEAR_GAIN
            or model.actuator_biastype[i] not in _LINEAR_BIAS
        ]
        if odd:
            raise ValueError(f"{self.type} needs fixed or affine gains; {listing(odd)} have others")
        return super().parameters(model)


class BrokenActuator(MotorStrength):
    """Share of their strength that actuators have lost: 0 is sound, 1 is dead."""

    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return 0 for each selected actuator, (k,)."""
        return np.zeros(len(ids.ids))

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write what is left."""
        super().write(1 - after, before, nominal, fields)


class Kp(ElementRandomizer):
    """Position gain of position servos; their damping stays."""

    kind: ClassVar[str] = "actuator"
    unit: ClassVar[str] = "N m/rad"
    refuses: ClassVar[tuple[Refusal, ...]] = (ACTUATION_ON, NO_SERVO)
    writes: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal gains, (k,)."""
        return np.array(model.actuator_gainprm[ids.ids, 0], dtype=np.float64)

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return the gain, and the share of the position in the bias."""
        return {"actuator_gainprm": (0,), "actuator_biasprm": (1,)}

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write kp in the gain and −kp in the bias: changing one alone would move the set point."""
        ids = self.rows(nominal)
        fields["actuator_gainprm"][:, ids, 0] = after
        fields["actuator_biasprm"][:, ids, 1] = -after


class Kd(ElementRandomizer):
    """Velocity gain of position and velocity servos."""

    kind: ClassVar[str] = "actuator"
    unit: ClassVar[str] = "N m s/rad"
    refuses: ClassVar[tuple[Refusal, ...]] = (ACTUATION_ON, _NO_KD)
    writes: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal gains, (k,)."""
        return -np.asarray(model.actuator_biasprm[ids.ids, 2], dtype=np.float64) + 0.0  # never −0

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected actuators; of the gains only those of velocity servos."""
        ids = self.rows(model)
        return {"actuator_gainprm": ids[_follows(model, 2)[ids]], "actuator_biasprm": ids}

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return the gain, and the share of the velocity in the bias."""
        return {"actuator_gainprm": (0,), "actuator_biasprm": (2,)}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write −kd in the bias, and kd in the gain of velocity servos; see `Randomizer.apply`."""
        chosen = self.selection(nominal)
        before = self.nominal_values(nominal, chosen)
        after = self.combine(values, before)
        for k, i in enumerate(chosen.ids):
            same, old = after[:, k] == before[k], nominal.actuator_biasprm[i, 2]
            fields["actuator_biasprm"][:, i, 2] = np.where(same, old, -after[:, k])
            if _follows(nominal, 2)[i]:
                fields["actuator_gainprm"][:, i, 0] = after[:, k]


class Gear(ShareRandomizer):
    """Factor on the gear of actuators, all six numbers; below 0 they turn the other way round."""

    kind: ClassVar[str] = "actuator"
    bounds: ClassVar[Bounds] = (-np.inf, np.inf)
    refuses: ClassVar[tuple[Refusal, ...]] = (
        ACTUATION_ON,
        Refusal(lambda model: model.actuator_outnum != 1, "gives several forces, not one"),
        Refusal(
            lambda model: model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_MUSCLE),
            "is a muscle, whose range of lengths would not follow its gear",
        ),
    )
    writes: ClassVar[tuple[str, ...]] = ("actuator_gear",)

    def rows(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return each actuator's row among the force outputs, (k,)."""
        return np.array(model.actuator_outadr[super().rows(model)], dtype=np.int64)


class ControlRange(ShareRandomizer):
    """Factor on both ends of the controls that actuators take; what lies beyond is clipped."""

    kind: ClassVar[str] = "actuator"
    refuses: ClassVar[tuple[Refusal, ...]] = (
        ACTUATION_ON,
        switched_off(int(mujoco.mjtDisableBit.mjDSBL_CLAMPCTRL), "clamping of controls"),
        Refusal(lambda model: model.actuator_ctrlnum != 1, "takes several controls, not one"),
        Refusal(
            lambda model: model.actuator_ctrllimited[model.actuator_ctrladr] == 0,
            "has no such limit, so its numbers do nothing",
        ),
    )
    writes: ClassVar[tuple[str, ...]] = ("actuator_ctrlrange",)

    def rows(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return each actuator's row among the controls, (k,)."""
        return np.array(model.actuator_ctrladr[super().rows(model)], dtype=np.int64)


class ForceRange(ShareRandomizer):
    """Factor on both ends of the force that actuators can give."""

    kind: ClassVar[str] = "actuator"
    refuses: ClassVar[tuple[Refusal, ...]] = (
        ACTUATION_ON,
        Refusal(
            lambda model: model.actuator_forcelimited == 0, "has no such limit, so its numbers do nothing"
        ),
    )
    writes: ClassVar[tuple[str, ...]] = ("actuator_forcerange",)
