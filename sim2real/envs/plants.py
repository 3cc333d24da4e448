"""What signals act on: a task's worlds; and the forces from outside."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Clock, Delay, Disturbance
from sim2real.envs.task import State, Task
from sim2real.spec import Moment, Program
from sim2real.worlds import UNRECORDED, Servos, Worlds

Ints = NDArray[np.int64]
Floats = NDArray[Any]


class TaskPlant:
    """N worlds of a native task, as `sim2real.envs.paths.Plant`.

    Args:
        worlds: The worlds.
        task: How actions act and what is observed.
        state: The task's live view of the worlds.
    """

    def __init__(self, worlds: Worlds, task: Task, state: State) -> None:
        self.worlds, self.task, self.state = worlds, task, state
        self._under_way = False

    def act(self, ids: Ints, actions: Floats) -> None:
        """Hand actions (k, a) to the actuators."""
        if self._under_way and self.task.settles:
            # An action that arrives late sees the present, as one that arrives in time does.
            self.worlds.forward(ids, positions_only=True)
        self.task.act(self.worlds, ids, actions)

    def step(self, ids: Ints, nstep: int) -> None:
        """Simulate physics steps in worlds (k,)."""
        self.task.advance(self.worlds, None if len(ids) == self.worlds.num_worlds else ids, nstep)
        self._under_way = True

    def settle(self) -> None:
        """End the control step."""
        self.task.settle(self.worlds)
        self._under_way = False

    def look(self, ids: Ints, inside: bool) -> Floats:
        """Return the observation (k, o) of worlds (k,)."""
        if inside and self.task.settles:
            self.worlds.forward(ids, positions_only=True)
        if len(ids) == self.worlds.num_worlds:
            return self.task.observe(self.state)
        return self.task.observe(self.state.take(ids))


class PlainPlant(TaskPlant):
    """N worlds of a task whose actions are its controls, as `sim2real.envs.paths.Player`."""

    def play(self, ids: Ints, actions: Floats, looks: Ints) -> Floats | None:
        """Simulate physics steps under an action each; see `sim2real.envs.paths.Player`."""
        early = np.flatnonzero(looks < actions.shape[1])
        found = self.worlds.play(actions, ids, self.task.reads if len(early) else ())
        if not len(early):
            return None
        left = {name: field[early, looks[early] - 1] for name, field in found.items()}
        return self.task.observe(State(left | {"goal": self.state.goal[ids[early]]}))


def plant_of(worlds: Worlds, task: Task, state: State) -> TaskPlant:
    """Return the plant of a task: one that plays, if the task leaves acting and stepping as they are."""
    own = type(task)
    plain = own.act is Task.act and own.advance is Task.advance and not task.settles and task.slew is None
    return (PlainPlant if plain and UNRECORDED.isdisjoint(task.reads) else TaskPlant)(worlds, task, state)


def drive(
    servos: Servos, model: mujoco.MjModel, data: mujoco.MjData, nstep: int, take_steps: Callable[[int], None]
) -> None:
    """Take physics steps of one world under what servos make of its controls, which stay as they are."""
    for _ in range(nstep):
        told, loss = data.ctrl.copy(), model.dof_frictionloss.copy()
        timestep = np.array([model.opt.timestep])
        ctrl, rubbed = servos(slice(None), told[None], loss[None], data.qpos[None], data.qvel[None], timestep)
        data.ctrl[:], model.dof_frictionloss[:] = ctrl[0], rubbed[0]
        take_steps(1)
        data.ctrl[:], model.dof_frictionloss[:] = told, loss


class Forces:
    """The disturbances of a program, as what `xfrc_applied` shall hold.

    Args:
        program: Whose terms they are.
    """

    def __init__(self, program: Program) -> None:
        model = program.model
        self._terms = [(bound, bound.term.bodies(model)) for bound in program.terms(Disturbance)]
        self._nbody = model.nbody

    def __bool__(self) -> bool:
        return bool(self._terms)

    def __call__(self, values: Floats, period: float, moment: Moment) -> Floats:
        """Return force [N] and torque [N m] on every body in world axes (n, nbody, 6)."""
        total = np.zeros((len(values), self._nbody, 6))
        for bound, bodies in self._terms:
            draw, time = moment.draw(f"term:{bound.name}:force"), (moment.steps * period).astype(np.float64)
            own = values[:, bound.columns]
            total[:, bodies] += bound.term.wrench(own, time, period, len(bodies), draw)
        return total


def clocked(program: Program, values: Floats, period: float) -> tuple[Ints, Floats]:
    """Return physics steps in a control step (n,), and the time step [s] (n,) that fits in whole steps."""
    nominal = float(program.model.opt.timestep)
    wished = np.full(len(values), nominal)
    for bound in program.terms(Clock):
        wished = bound.term.timestep(values[:, bound.columns], nominal)
    steps = np.maximum(np.rint(period / wished), 1).astype(np.int64)
    # Where nothing is asked for, the nominal step stays bit for bit.
    return steps, np.where(wished == nominal, nominal, period / steps)


def applied(program: Program, values: Floats, period: float) -> Floats:
    """Return the domains (n, d) as applied: latencies in whole physics steps, a time step that fits."""
    result = values.copy()
    _, timestep = clocked(program, values, period)
    nominal = float(program.model.opt.timestep)
    for bound in program.terms(Clock):
        result[:, bound.columns] = bound.term.values(timestep, nominal)
    for bound in program.terms(Delay):
        seconds = bound.term.seconds(values[:, bound.columns])
        result[:, bound.columns.start] = np.rint(seconds / timestep) * timestep
    return result
