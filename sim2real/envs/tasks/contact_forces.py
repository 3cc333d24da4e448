"""Tasks that observe `cfrc_ext`, the force on every body from outside, exactly as Gymnasium does.

Gymnasium calls `mj_rnePostConstraint` after `mj_step`. Under RK4 that uses what the step's last stage left:
contacts at a state that is neither the one before nor the one after. In a batch only `mj_forward` computes
`cfrc_ext`, and only where a sensor needs it. So such a task has a sensor, reads the last stage's state back
from what the stage left, runs `mj_forward` there from the same warm start, and puts the worlds back.

A control step's distance is, as Gymnasium's, between positions that the last stages left. The one at its
start stays in `userdata`, which is part of the state, so that a resumed run has it too.
"""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import Array, State, namespace
from sim2real.envs.tasks.gymnasium_task import Runner
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
_ROOT = 1  # the body with the free joint


class ContactForceTask(Runner):
    """A robot with a free root and a motor on every hinge, under RK4."""

    reads: ClassVar[tuple[str, ...]] = (
        "qpos", "qvel", "time", "userdata", "cfrc_ext", "xpos", "xquat", "xmat", "cvel", "subtree_com",
        "actuator_length", "actuator_velocity",
    )  # fmt: skip

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add a sensor for which MuJoCo computes `cfrc_ext`, and room for a place and its time."""
        spec.nuserdata = 2
        spec.add_sensor(
            name="needs_cfrc_ext",
            type=mujoco.mjtSensor.mjSENS_FRAMELINACC,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=spec.worldbody.first_body().name,
        )

    def compile(self) -> mujoco.MjModel:
        """Compile, and find which joint each motor drives."""
        model = super().compile()
        driven = model.actuator_trnid[:, 0]
        assert sorted(driven) == list(range(1, model.njnt)), "a hinge has no motor"
        self._angles, self._speeds = model.jnt_qposadr[driven], model.jnt_dofadr[driven]
        return model

    def place(self, state: State) -> Array:
        """Return how far along x the robot is (n,) [m]; here its root."""
        return state.xpos[:, _ROOT, 0]

    def travelled(self, before: State, state: State) -> Array:
        """Return the mean velocity along x (n,) [m/s] over a control step."""
        return (self._left_at(state) - self._left_at(before)) / self.dt

    def _left_at(self, state: State) -> Array:
        """Return the place that the last stage left, or at an episode's beginning the place (n,) [m]."""
        x, time = state.userdata[:, 0], state.userdata[:, 1]
        left = (time == state.time) & (time > 0)
        return namespace(x).where(left, x, self.place(state))

    def forces(self, state: State) -> Array:
        """Return `cfrc_ext` (n, nbody, 6) [N m, N]; zero before the first step, where Gymnasium has none."""
        begun = state.time[:, None, None] > 0
        return namespace(state.cfrc_ext).where(begun, state.cfrc_ext, 0.0)

    def advance(self, worlds: Worlds, ids: Ints | None, nstep: int) -> None:
        """Simulate physics steps in some worlds, or in all, and compute what the last one left."""
        rows = slice(None) if ids is None else ids
        if nstep > 1:
            worlds.step(nstep - 1, ids)
        warm = worlds.bind("qacc_warmstart")[rows].copy()
        worlds.step(1, ids)
        left = State({name: worlds.bind(name)[rows] for name in self.reads})
        gears = worlds.batch.expanded("actuator_gear")
        gear = worlds.program.model.actuator_gear if gears is None else gears[rows]
        qpos, qvel = self._last_stage(left, gear[..., 0])
        memory = np.stack([self.place(left), left.time], 1)
        rest = worlds.batch.state[rows].copy()
        worlds.bind("qpos")[rows], worlds.bind("qvel")[rows] = qpos, qvel
        worlds.bind("qacc_warmstart")[rows] = warm
        worlds.forward(ids)
        worlds.batch.state[rows] = rest
        worlds.bind("userdata")[rows] = memory

    def _last_stage(self, left: State, gear: Array) -> tuple[Array, Array]:
        """Return qpos (n, nq) and qvel (n, nv) of the stage to which the derived fields belong."""
        qpos, qvel = np.array(left.qpos), np.array(left.qvel)
        spin, pose = left.cvel[:, _ROOT, :3], left.xmat[:, _ROOT].reshape(-1, 3, 3)
        arm = left.xpos[:, _ROOT] - left.subtree_com[:, _ROOT]
        qpos[:, :3], qpos[:, 3:7] = left.xpos[:, _ROOT], left.xquat[:, _ROOT]
        qvel[:, :3] = left.cvel[:, _ROOT, 3:] + np.cross(spin, arm)
        qvel[:, 3:6] = (spin[:, None] @ pose)[:, 0]
        qpos[:, self._angles] = left.actuator_length / gear
        qvel[:, self._speeds] = left.actuator_velocity / gear
        return qpos, qvel
