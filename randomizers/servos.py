"""What lies between the command of a hobby servo and its joint: firmware, electronics and a gearbox."""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from randomizers.actuators import NO_SERVO
from randomizers.base import Parameter
from randomizers.checks import ACTUATION_ON, DRY_FRICTION_ON, Refusal, refuse
from randomizers.components import Component, ElementComponents
from randomizers.distributions import Floats
from randomizers.kinds import Drive
from randomizers.operands import Operand
from randomizers.words import listing

_RUBBING = ("load_friction", "stiction")


def _indirect(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Return which actuators move anything but one hinge or slide."""
    one = [int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)]
    direct = model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_JOINT)
    joint = np.where(direct, model.actuator_trnid[:, 0], 0)
    return ~(direct & np.isin(model.jnt_type[joint], one)) if model.njnt else ~direct


def _beside(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Return which actuators share their joint with another."""
    alone = -1 - np.arange(model.nu, dtype=np.int64)
    joint: NDArray[np.int64] = np.where(_indirect(model), alone, model.actuator_trnid[:, 0])
    _, first, count = np.unique(joint, return_inverse=True, return_counts=True)
    return count[first] > 1


_PLAIN = (
    ACTUATION_ON,
    NO_SERVO,
    Refusal(lambda model: model.actuator_dyntype != 0, "has dynamics of its own (dyntype)"),
    Refusal(_indirect, "moves no single hinge or slide"),
    Refusal(_beside, "shares its joint with another actuator"),
)
_UNDAMPED = Refusal(
    lambda model: model.actuator_biasprm[:, 2] == 0,
    "has no damping (kv), so its motor would cross any backlash at once",
)


class Servo(ElementComponents, Drive):
    """What position servos do beside kp and kd: profile, dead band, limits, backlash, gear friction.

    Nominally all are 0, and the servo is MuJoCo's. They act in this order, in every physics step:

    - `acceleration`, `speed`: the set point moves to the command as fast as it can under both and still stop
      there, as firmware plans it; 0 is no limit, as in such a servo's register.
    - `period`: the error is measured anew only once in this time, and held in between.
    - `dead_band`: an error smaller than this does nothing; a larger one loses as much.
    - `torque_limit`: of what the error asks for, as a motor's current or voltage limits it; damping, which
      stands for its back EMF, comes on top. 0 is no limit. For a limit of the whole see `force_range`.
    - `backlash`: when its force reverses the motor turns freely by this, as fast as its damping lets it.
    - `load_friction`, `stiction`: with the force τ just found, dry friction is
      F(v) = F₀ (1 + stiction · e^(−|v| / stribeck_velocity)) + load_friction · |τ|, F₀ the joint's friction
      loss: Stribeck's curve in the form of Tustin (1947), and gears that rub as much as they transmit.
    """

    kind: ClassVar[str] = "actuator"
    components: ClassVar[Mapping[str, Component]] = {
        "acceleration": Component(("acceleration",), "rad/s^2", (0.0, np.inf)),
        "speed": Component(("speed",), "rad/s", (0.0, np.inf)),
        "period": Component(("period",), "s", (0.0, 1.0)),
        "dead_band": Component(("dead_band",), "rad", (0.0, np.inf)),
        "torque_limit": Component(("torque_limit",), "N m", (0.0, np.inf)),
        "backlash": Component(("backlash",), "rad", (0.0, np.inf)),
        "load_friction": Component(("load_friction",), "", (0.0, np.inf)),
        "stiction": Component(("stiction",), "", (0.0, np.inf)),
        "stribeck_velocity": Component(("stribeck_velocity",), "rad/s", (0.0, np.inf)),
    }
    refuses: ClassVar[tuple[Refusal, ...]] = _PLAIN

    acceleration: Operand | None = Field(None, description="limit of the set point [rad/s^2], 0 for none")
    speed: Operand | None = Field(None, description="limit of the set point [rad/s], 0 for none")
    period: Operand | None = Field(None, description="the servo's own control period [s]")
    dead_band: Operand | None = Field(None, description="errors that do nothing [rad]")
    torque_limit: Operand | None = Field(None, description="limit without damping [N m], 0 for none")
    backlash: Operand | None = Field(None, description="how far the motor turns freely [rad]")
    load_friction: Operand | None = Field(None, description="friction as a share of the force transmitted")
    stiction: Operand | None = Field(
        None, description="further friction at rest, as a share of friction loss"
    )
    stribeck_velocity: Operand | None = Field(None, description="speed that ends stiction [rad/s]")

    @model_validator(mode="after")
    def _stiction_has_both(self) -> "Servo":
        if self.given("stiction") != self.given("stribeck_velocity"):
            raise ValueError("stiction and stribeck_velocity mean something only together; give both")
        return self

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each component, of each selected servo or of all when shared.

        Raises:
            ValueError: For actuators that are no plain position servos of one joint each.
        """
        chosen = self.selection(model)
        found = super().parameters(model)
        if self.given("backlash"):
            refuse((_UNDAMPED,), model, chosen)
        if any(self.given(name) for name in _RUBBING):
            refuse((DRY_FRICTION_ON,), model, chosen)
        if self.given("stiction"):
            loss = model.dof_frictionloss[model.jnt_dofadr[model.actuator_trnid[chosen.ids, 0]]]
            bare = [label for label, own in zip(chosen.labels, loss, strict=True) if own == 0]
            if bare:
                raise ValueError(
                    f"stiction is a share of friction loss, and the joint of {listing(bare)} has none"
                )
        return found

    def actuators(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the selected servos; see `Drive.actuators`."""
        return self.selection(model).ids

    def effects(self, values: Floats, count: int) -> dict[str, Floats]:
        """Return the given components; see `Drive.effects`."""
        return {name: own for name, own in self.offsets(values, count).items() if self.given(name)}
