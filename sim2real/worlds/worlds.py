"""N worlds stepped together on `mujoco.batch`, each with its own domain, each failing alone."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch, SimulationError
from numpy.typing import NDArray

from randomizers import Clock, nominal_field
from sim2real.spec import Program
from sim2real.worlds.servos import Servos

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Everything that mjSTATE_INTEGRATION holds: with it a world continues bit for bit.
STATE_FIELDS = (
    "time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied",
    "eq_active", "mocap_pos", "mocap_quat", "userdata", "plugin_state", "plastic",
)  # fmt: skip
UNRECORDED = frozenset({"time", "eq_active"})
"""Fields that `Worlds.play` cannot return: the engine does not record them as it binds them."""
# The engine's own list of fields from which mj_setConst derives others.
_DERIVE: frozenset[str] = frozenset(mujoco.MjModel._setconst_inputs)
_NONE = np.zeros((0, 0))
_FEW = 16
# Options that only make forces, from which it derives nothing.
_FORCES = frozenset({"opt.gravity", "opt.wind", "opt.density", "opt.viscosity", "opt.magnetic"})
# Without constraints no collisions are looked for, which take most of the time of `mj_fwdPosition`.
_UNCONSTRAINED = int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)


# MuJoCo would print each warning and append it to a log file in the working directory; here warnings are
# counted for each world, and reported with its domain.
def _count_quietly(message: str) -> None:
    """Take MuJoCo's warning without a word."""


mujoco.set_mju_user_warning(_count_quietly)


class Worlds:
    """N worlds of a program's model.

    A world in which MuJoCo warns (a bad state, which MuJoCo would silently reset, or a full contact buffer),
    raises an error, or reaches a number that is not finite, is marked in `failed`; the others go on.

    Args:
        program: What may vary; its model is the nominal one.
        num_worlds: N.
        threads: Threads to step with; 0 means all processors that this process may use. Results do not depend
            on it.

    Attributes:
        values: The domain of each world, (n, d).
        timestep: The physics time step of each world, (n,) [s].
    """

    def __init__(self, program: Program, num_worlds: int, threads: int = 0) -> None:
        self.program = program
        self.num_worlds = num_worlds
        self.servos = Servos(program, num_worlds)
        # Servos take one physics step at a time, too short for a few worlds to wait for other threads.
        threads = 1 if self.servos and num_worlds <= _FEW else threads or len(os.sched_getaffinity(0))
        self.batch = Batch(program.model, num_worlds, threads)
        self.values = np.repeat(program.nominal[None], num_worlds, axis=0)
        self._failed, self._moved = np.zeros(num_worlds, dtype=bool), False
        self._refused = np.zeros(num_worlds, dtype=bool)
        self._expanded = {name: self.batch.expand(name) for name in program.writes if name in MODEL_FIELDS}
        # What only a renderer reads, such as the headlight, is no per-world field of the engine.
        unseen = [name for name in program.writes if name not in MODEL_FIELDS]
        self._visual = {name: program.fields(self.values)[name] for name in unseen}
        self.timestep = np.full(num_worlds, program.model.opt.timestep)
        self._clocks = self.batch.expand("opt.timestep") if any(True for _ in program.terms(Clock)) else None
        self._warned: NDArray[np.int32] = self.batch.warning[:, :, 1]
        self._bound: dict[str, Floats] = {}
        self._rubbed = self.batch.expand("dof_frictionloss") if self.servos.rubs else None
        if self.servos:
            self._tune(np.arange(num_worlds))

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Worlds whose current episode is void, (n,) bool, live.

        A reset clears it, except where MuJoCo refused the domain.
        """
        if self._moved:  # warnings stay until a reset, so one look is enough however often worlds moved
            self._moved = False
            self._watch()
        return self._failed

    def bind(self, name: str) -> Floats:
        """Return the live (n, ...) array of an MjData field; see `mujoco.batch.Batch.bind`."""
        if name not in self._bound:
            self._bound[name] = self.batch.bind(name)
        return self._bound[name]

    def set_domains(
        self,
        ids: Ints,
        values: Floats,
        timestep: Floats | None = None,
        fields: Mapping[str, Floats] | None = None,
    ) -> None:
        """Put worlds into domains, starting from the nominal model.

        Args:
            ids: Worlds (k,).
            values: Their domains (k, d).
            timestep: Their physics time steps (k,) [s]; None leaves them.
            fields: What to write (k, ...): those that may have changed, or all by default.
        """
        self.values[ids] = values
        fields = self.program.fields(values) if fields is None else fields
        edited = set(fields)
        if timestep is not None and self._clocks is not None:
            self.timestep[ids] = timestep
            self._clocks[ids] = timestep.reshape(len(ids), *self._clocks.shape[1:])
            edited.add("opt.timestep")
        for name, field in fields.items():
            array = self._expanded[name] if name in self._expanded else self._visual[name]
            array[ids] = field.reshape(len(ids), *array.shape[1:])
        if any(_derives(name) for name in edited):
            self._refused[ids] = False
            self._refused[self._run(lambda: self.batch.set_const(ids))] = True
        if self.servos:
            self._tune(ids)

    def _tune(self, ids: Ints) -> None:
        model = self.program.model

        def field(name: str) -> Floats:
            if name in self._expanded:
                return self._expanded[name][ids].reshape(len(ids), *nominal_field(model, name).shape)
            return np.repeat(nominal_field(model, name)[None], len(ids), axis=0)

        self.servos.tune(ids, self.values[ids], field)

    def reset(self, ids: Ints) -> None:
        """Return worlds to the model's default state, without computing anything from it."""
        self.failed[ids] = self._refused[ids]
        self.servos.reset(ids)
        self._run(lambda: self.batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE)))

    def forward(self, ids: Ints | None = None, positions_only: bool = False) -> None:
        """Compute what follows from the state, as `mj_forward`.

        Args:
            ids: Worlds, or None for all.
            positions_only: Only places, velocities and what follows from them alone, without contacts; that
                is a fifth of the work.
        """
        if not positions_only:
            self._run(lambda: self.batch.forward(ids))
            return
        flags = self.batch.expand("opt.disableflags")
        before = flags.copy()
        flags |= _UNCONSTRAINED
        try:
            self._run(lambda: self.batch.forward(ids, stage=int(mujoco.mjtStage.mjSTAGE_VEL)))
        finally:
            flags[:] = before

    def step(self, nstep: int, ids: Ints | None = None) -> None:
        """Advance by `nstep` physics steps, as that many calls of `mj_step`."""
        if self.servos:
            for _ in range(nstep):
                self._drive(ids)
        else:
            self._run(lambda: self.batch.step(ids, nstep=nstep))
        self._moved = True

    def _drive(self, ids: Ints | None) -> None:
        """Take one physics step under what servos make of their commands, which stay as they are."""
        rows = slice(None) if ids is None else ids
        ctrl, loss = self.bind("ctrl"), self._rubbed
        told, own = ctrl[rows].copy(), _NONE if loss is None else loss[rows].copy()
        where = self.bind("qpos")[rows], self.bind("qvel")[rows], self.timestep[rows]
        # A failed world may hold any number.
        with np.errstate(invalid="ignore", over="ignore"):
            ctrl[rows], rubbed = self.servos(rows, told, own, *where)
        if loss is not None:
            loss[rows] = rubbed
        self._run(lambda: self.batch.step(ids, nstep=1))
        ctrl[rows] = told
        if loss is not None:
            loss[rows] = own

    def play(self, controls: Floats, ids: Ints, record: Collection[str] = ()) -> dict[str, Any]:
        """Advance by m physics steps, each under its own controls, and return what each of them left.

        A world that fails stops there.

        Args:
            controls: What `ctrl` holds in each physics step (k, m, nu).
            ids: Worlds (k,).
            record: MjData fields to return, (k, m, ...) each; none of `UNRECORDED`.
        """
        shape = controls.shape[:2]
        found = {name: np.zeros((*shape, *self.bind(name).shape[1:])) for name in record}
        if self.servos:
            every = None if np.array_equal(ids, np.arange(self.num_worlds)) else ids
            for i in range(shape[1]):
                self.bind("ctrl")[ids] = controls[:, i]
                self.step(1, every)
                for name, taken in found.items():
                    taken[:, i] = self.bind(name)[ids]
            return found
        self._run(lambda: self.batch.rollout(shape[1], controls, record=list(found), ids=ids, out=found))
        self._moved = True
        return found

    def _watch(self) -> None:
        """Mark worlds in which MuJoCo has warned since their reset, or a number is not finite."""
        if self._warned.any():
            self._failed |= self._warned.any(axis=1)
        for name in ("qpos", "qvel"):
            finite = np.isfinite(self.bind(name))
            if not finite.all():
                self._failed |= ~finite.all(axis=1)

    def model(self, world: int, into: mujoco.MjModel | None = None) -> mujoco.MjModel:
        """Return one world's model, with what only a renderer reads; written into `into` if given."""
        model = self.batch.get_model(world, into)
        for name, array in self._visual.items():
            *owners, last = name.split(".")
            owner: Any = model
            for part in owners:
                owner = getattr(owner, part)
            getattr(owner, last)[:] = array[world]
        return model

    def data(self, world: int, into: mujoco.MjData | None = None) -> mujoco.MjData:
        """Return one world's state, with nothing computed from it yet."""
        return self.batch.get_data(world, into)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on, as arrays."""
        state = {name: self.batch.bind(name).copy() for name in STATE_FIELDS}
        copies = {"values": self.values.copy(), "timestep": self.timestep.copy()}
        servos = {"servos": self.servos.state_dict()} if self.servos else {}
        return {"state": state, "failed": self.failed.copy(), **copies, **servos}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit.

        Raises:
            ValueError: If it is of another number of worlds or another model.
        """
        for name, array in saved["state"].items():
            if self.batch.bind(name).shape != array.shape:
                raise ValueError(
                    f"saved worlds have {name} {array.shape}, here {self.batch.bind(name).shape}"
                )
        self.set_domains(np.arange(self.num_worlds), saved["values"], saved["timestep"])
        for name, array in saved["state"].items():
            self.batch.bind(name)[:] = array
        self.forward(positions_only=True)
        if self.servos:
            self.servos.load_state_dict(saved["servos"])
        self.failed[:] = saved["failed"]

    def _run(self, call: Callable[[], object]) -> Ints:
        """Call the engine; mark and return the worlds in which it raised."""
        try:
            call()
        except SimulationError as error:
            self.failed[error.ids] = True
            return error.ids
        return np.zeros(0, dtype=np.int64)


def _derives(name: str) -> bool:
    """Whether `mj_setConst` derives anything from a field."""
    return name in _DERIVE or (name.startswith("opt.") and name not in _FORCES)
