"""Position servos from inside: what they make of a command in each physics step, for n worlds together.

MuJoCo's servo stays what gives the force, kp (u − q) − kd q̇, and its solver what makes dry friction stick.
What is done here only moves the set point u that it is given, and the friction loss of its joint, before each
physics step. So kd stays implicit where the integrator makes it so, and whatever is 0 changes nothing.
See `randomizers.servos` for what each effect is.
"""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Drive
from sim2real.spec import Program

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_EFFECTS = (
    "acceleration", "speed", "period", "dead_band", "torque_limit", "backlash", "load_friction", "stiction",
    "stribeck_velocity",
)  # fmt: skip
_STATE = ("place", "pace", "error", "wait", "slack")
READS = ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "actuator_ctrlrange")
"""Model fields of each world that a servo must know."""
_ENDLESS = (-np.inf, np.inf)
_SOON = 1e-6
"""Share of a physics step by which a servo's own period may be over too late."""


class Servos:
    """The servos of a program that have effects, in n worlds.

    Angles and speeds are those of the actuator: the joint's times the gear.

    Args:
        program: Whose terms they are.
        num_worlds: n.

    Attributes:
        ids: The actuators (k,).
        dofs: Their joints' rows of `qvel` (k,).
        rubs: Whether any of them changes its joint's friction.
    """

    def __init__(self, program: Program, num_worlds: int) -> None:
        model = program.model
        self._terms = [(bound, bound.term.actuators(model)) for bound in program.terms(Drive)]
        every = [ids for _, ids in self._terms]
        self.ids = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *every]))
        joints = model.actuator_trnid[self.ids, 0]
        self.dofs = np.array(model.jnt_dofadr[joints], dtype=np.int64)
        self._qpos = np.array(model.jnt_qposadr[joints], dtype=np.int64)
        self._ctrl = np.array(model.actuator_ctrladr[self.ids], dtype=np.int64)
        self._gear = np.array(model.actuator_gear[model.actuator_outadr[self.ids], 0])
        self._limited = model.actuator_forcelimited[self.ids].astype(bool)
        off = bool(model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_CLAMPCTRL))
        self._clamped = model.actuator_ctrllimited[self._ctrl].astype(bool) & (not off)
        shape = num_worlds, len(self.ids)
        self._effects = {name: np.zeros(shape) for name in _EFFECTS}
        self._state = {name: np.zeros(shape) for name in _STATE}
        self._fresh = np.ones(num_worlds, dtype=bool)
        self._kp, self._kd = np.ones(shape), np.zeros(shape)
        self._force, self._range = np.zeros((*shape, 2)), np.zeros((*shape, 2))
        given: set[str] = set()
        for bound, _ in self._terms:
            given |= bound.term.effects(program.nominal[None, bound.columns], 1).keys()
        self._given = frozenset(given)
        self.rubs = not given.isdisjoint(("load_friction", "stiction"))

    def __bool__(self) -> bool:
        return len(self.ids) > 0

    def tune(self, ids: Ints, values: Floats, field: Callable[[str], Floats]) -> None:
        """Put worlds (m,) into domains.

        Args:
            ids: The worlds.
            values: Their domains (m, d).
            field: Their model's fields (m, ...), by name; see `READS`.
        """
        for bound, actuators in self._terms:
            at = np.searchsorted(self.ids, actuators)
            for name, own in bound.term.effects(values[:, bound.columns], len(at)).items():
                self._effects[name][np.ix_(ids, at)] = own
        self._kp[ids] = field("actuator_gainprm")[:, self.ids, 0]
        self._kd[ids] = -field("actuator_biasprm")[:, self.ids, 2]
        for ends, name, rows, limited in (
            (self._force, "actuator_forcerange", self.ids, self._limited),
            (self._range, "actuator_ctrlrange", self._ctrl, self._clamped),
        ):
            ends[ids] = np.where(limited[:, None], field(name)[:, rows], _ENDLESS)

    def reset(self, ids: Ints) -> None:
        """Let servos of worlds (m,) hold where their joints are when their next physics step begins."""
        self._fresh[ids] = True

    def begin(self, controls: Floats, pace: Floats) -> None:
        """Let all servos have set points (nu,) already, that move at speeds (nv,) of their joints."""
        self._clear(np.arange(len(self._fresh)))
        self._state["place"][:] = controls[self._ctrl]
        self._state["pace"][:] = self._gear * pace[self.dofs]

    def _clear(self, ids: Ints) -> None:
        for state in self._state.values():
            state[ids] = 0.0
        self._fresh[ids] = False

    def __call__(
        self, ids: Any, ctrl: Floats, friction: Floats, qpos: Floats, qvel: Floats, timestep: Floats
    ) -> tuple[Floats, Floats]:
        """Return controls (m, nu) and friction losses (m, nv) for the next physics step.

        Args:
            ids: Worlds (m,), or a slice of them.
            ctrl: What they are told (m, nu).
            friction: Friction losses of their domains (m, nv).
            qpos: Where they are (m, nq).
            qvel: How fast they are (m, nv).
            timestep: Their physics time steps (m,) [s].
        """
        q, v, dt = self._gear * qpos[:, self._qpos], self._gear * qvel[:, self.dofs], timestep[:, None]
        self._hold(ids, q)
        goal = _within(ctrl[:, self._ctrl], *_ends(self._range[ids]))
        place = self._profiled(ids, goal, dt)
        wanted, force = self._geared(ids, self._shaped(ids, place, q, dt), q, v, dt)
        ctrl = ctrl.copy()
        ctrl[:, self._ctrl] = wanted
        if self.rubs:
            friction = friction.copy()
            loss, speed = friction[:, self.dofs], qvel[:, self.dofs]
            friction[:, self.dofs] = self._rubbed(ids, loss, speed, self._gear * force)
        return ctrl, friction

    def _hold(self, ids: Any, q: Floats) -> None:
        if self._fresh.any():
            worlds = np.arange(len(self._fresh))[ids]
            fresh = self._fresh[worlds]
            self._clear(worlds[fresh])
            self._state["place"][worlds[fresh]] = q[fresh]

    def _profiled(self, ids: Any, goal: Floats, dt: Floats) -> Floats:
        """Move set points towards goals (m, k), as fast as they can still stop there.

        The highest speed v from which steps dt that each take away a·dt end at a gap d solves
        v² / (2 a) + v dt / 2 = d.
        """
        if self._given.isdisjoint(("acceleration", "speed")):
            return goal
        a, most = self._effects["acceleration"][ids], self._effects["speed"][ids]
        place, pace = self._state["place"][ids], self._state["pace"][ids]
        gap = goal - place
        far, brake = np.abs(gap), np.where(a > 0, a * dt, np.inf)
        stopping = 0.5 * brake * (np.sqrt(1 + 8 * far / (brake * dt)) - 1)
        least = np.minimum(far / dt, np.where(most > 0, most, np.inf))
        wished = np.sign(gap) * np.minimum(np.where(a > 0, stopping, np.inf), least)
        pace = pace + _within(wished - pace, -brake, brake)
        place = np.where((a > 0) | (most > 0), place + pace * dt, goal)
        self._state["place"][ids], self._state["pace"][ids] = place, pace
        return place

    def _shaped(self, ids: Any, place: Floats, q: Floats, dt: Floats) -> Floats:
        """Return set points (m, k) as the servo's period, dead band and limit leave them."""
        if self._given.isdisjoint(("period", "dead_band", "torque_limit")):
            return place
        period, band, most = (self._effects[name][ids] for name in ("period", "dead_band", "torque_limit"))
        error, wait, kp = self._state["error"][ids], self._state["wait"][ids], self._kp[ids]
        due = (wait <= _SOON * dt) | (period == 0)
        error = np.where(due, place - q, error)
        wait = np.where(due, np.maximum(wait + period, 0.0), wait) - dt
        self._state["error"][ids], self._state["wait"][ids] = error, np.where(period > 0, wait, 0.0)
        left = np.sign(error) * np.maximum(np.abs(error) - band, 0.0)
        end = np.where(most > 0, most / kp, np.inf)
        return np.where((period > 0) | (band > 0) | (most > 0), q + _within(left, -end, end), place)

    def _geared(self, ids: Any, place: Floats, q: Floats, v: Floats, dt: Floats) -> tuple[Floats, Floats]:
        """Return set points (m, k) with which nothing is transmitted inside the backlash, and the force."""
        kp, kd = self._kp[ids], self._kd[ids]
        force = _within(kp * (place - q) - kd * v, *_ends(self._force[ids]))
        if "backlash" not in self._given:
            return place, force
        play, slack = self._effects["backlash"][ids] / 2, self._state["slack"][ids]
        slack = _within(slack + dt * force / np.where(kd > 0, kd, np.inf), -play, play)
        self._state["slack"][ids] = slack
        meshed = (play == 0) | (np.sign(force) * slack >= play)
        return np.where(meshed, place, q + kd * v / kp), np.where(meshed, force, 0.0)

    def _rubbed(self, ids: Any, loss: Floats, v: Floats, force: Floats) -> Floats:
        """Return friction losses (m, k) at speeds of the joints under forces in their gears."""
        if "stiction" in self._given:
            scale = self._effects["stribeck_velocity"][ids]
            some = scale > 0
            still = np.where(some, np.exp(-np.abs(v) / np.where(some, scale, 1.0)), 0.0)
            loss = loss * (1 + self._effects["stiction"][ids] * still)
        return loss + self._effects["load_friction"][ids] * np.abs(force)

    def state_dict(self) -> dict[str, Any]:
        """Return what servos remember."""
        return {name: state.copy() for name, state in self._state.items()} | {"fresh": self._fresh.copy()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        for name, state in self._state.items():
            state[:] = saved[name]
        self._fresh[:] = saved["fresh"]


def _within(x: Floats, low: Floats, high: Floats) -> Floats:
    return np.minimum(np.maximum(x, low), high)  # as np.clip, but in half the time


def _ends(ranges: Floats) -> tuple[Floats, Floats]:
    return ranges[..., 0], ranges[..., 1]
