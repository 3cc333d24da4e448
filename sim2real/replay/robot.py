"""A model as a robot: the joints that a log may name, and the servos that take its commands."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.words import listing
from sim2real.logs import Joints, Log, LogError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_ONE = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


@dataclass(frozen=True)
class Robot:
    """Hinges and slides of a model (j,).

    Attributes:
        joints: Names and ranges.
        qpos: Their rows of `qpos` (j,).
        dof: Their rows of `qvel` (j,).
        servo: The position servo that drives each (j,), −1 where none does.
        gear: What its control is for a position of 1 (j,).
        rest: Controls (nu,) that hold the model's reference pose.
    """

    joints: Joints
    qpos: Ints
    dof: Ints
    servo: Ints
    gear: Floats
    rest: Floats

    def rows(self, names: tuple[str, ...]) -> Ints:
        """Return the rows of some joints, by name."""
        return np.array([self.joints.names.index(name) for name in names], dtype=np.int64)

    def controls(self, log: Log) -> Floats:
        """Return what actuators are told in each row of a log (n, nu); those it has nothing for rest.

        Raises:
            LogError: If no position servo drives one of its joints.
        """
        rows = self.rows(log.joints)
        idle = [name for name, row in zip(log.joints, rows, strict=True) if self.servo[row] < 0]
        if idle:
            raise LogError(f"{log.source}: no position servo of the model drives {listing(idle)}, so that a "
                           "command for it means nothing")  # fmt: skip
        controls = np.repeat(self.rest[None], len(log), axis=0)
        controls[:, self.servo[rows]] = log.command * self.gear[rows]
        return controls


def robot_of(model: mujoco.MjModel) -> Robot:
    """Return the robot in a compiled model."""
    ids = [j for j in range(model.njnt) if model.jnt_type[j] in _ONE and model.joint(j).name]
    limited = model.jnt_limited[ids].astype(bool)
    low, high = np.where(limited[:, None], model.jnt_range[ids], [-np.inf, np.inf]).T
    hinge = model.jnt_type[ids] == _ONE[0]
    joints = Joints(tuple(model.joint(j).name for j in ids), low, high, hinge)
    servos = {int(model.actuator_trnid[a, 0]): a for a in range(model.nu) if _is_servo(model, a)}
    servo = np.array([servos.get(j, -1) for j in ids], dtype=np.int64)
    gear = np.where(servo >= 0, model.actuator_gear[servo, 0] if model.nu else 1.0, 1.0)
    qpos, dof = model.jnt_qposadr[ids].astype(np.int64), model.jnt_dofadr[ids].astype(np.int64)
    rest, driven = np.zeros(model.nu), servo >= 0
    rest[servo[driven]] = gear[driven] * model.qpos0[qpos[driven]]
    return Robot(joints, qpos, dof, servo, gear, rest)


def _is_servo(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether an actuator pulls its joint to its control."""
    return bool(
        model.actuator_trntype[actuator] == mujoco.mjtTrn.mjTRN_JOINT
        and model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_FIXED
        and model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE
        and model.actuator_biasprm[actuator, 1] == -model.actuator_gainprm[actuator, 0] < 0
    )
