"""Latency on the action and observation paths, exact to the physics step.

A lag of L physics steps is L = k · frame_skip + r: k whole control steps and a remainder r. An action then
takes effect r steps into a control step; an observation was taken r steps before the end of one. The
environment cuts its control step at those places, so nothing is interpolated or rounded to control steps.
Delayed signals keep their order, because the lag is constant within an episode.

NOTE: MuJoCo can delay actuators itself. That is not used: Fetch acts through a mocap body and has no actuator
to delay, observations need the same treatment, and under RK4 the engine's delay reads the next control early.
Under the other integrators both are equal bit for bit (`tests/envs/test_latency.py`).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import State, Task
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
Floats = NDArray[Any]


class DelayLine:
    """Holds the last values of a signal for n worlds, and gives back old ones.

    Args:
        num_worlds: n.
        width: Numbers in the signal.
        longest: Longest lag [control steps].
    """

    def __init__(self, num_worlds: int, width: int, longest: int) -> None:
        self.memory = np.zeros((longest + 1, num_worlds, width))
        self.head = 0

    def fill(self, ids: Ints, value: Floats) -> None:
        """Forget the past of some worlds: every old value becomes `value` (k, width)."""
        self.memory[:, ids] = value

    def check(self, lag: Ints) -> None:
        """Refuse lags [control steps] that reach beyond the memory.

        Raises:
            ValueError: If one does.
        """
        if lag.max(initial=0) >= len(self.memory):
            raise ValueError(
                f"a lag of {lag.max()} control steps is longer than the {len(self.memory) - 1} that the "
                "source and the first domains needed"
            )

    def advance(self) -> None:
        """Begin a new control step, whose value `put` then writes."""
        self.head = (self.head + 1) % len(self.memory)

    def put(self, ids: Ints, value: Floats) -> None:
        """Write this control step's value of some worlds."""
        self.memory[self.head, ids] = value

    def get(self, ids: Ints, lag: Ints) -> Floats:
        """Return the values (k, width) of `lag` (k,) control steps ago."""
        return self.memory[(self.head - lag) % len(self.memory), ids]


class Lag:
    """The lag of each world on one path.

    Args:
        num_worlds: n.
        frame_skip: Physics steps in a control step.

    Attributes:
        whole: Whole control steps, (n,).
        rest: Physics steps beyond them, (n,), less than `frame_skip`.
    """

    def __init__(self, num_worlds: int, frame_skip: int) -> None:
        self.frame_skip = frame_skip
        self.whole = np.zeros(num_worlds, dtype=np.int64)
        self.rest = np.zeros(num_worlds, dtype=np.int64)

    def set(self, ids: Ints, seconds: Floats, timestep: float) -> None:
        """Set the lag of some worlds to the nearest physics step."""
        steps = np.rint(seconds / timestep).astype(np.int64)
        self.whole[ids], self.rest[ids] = np.divmod(steps, self.frame_skip)

    def longest(self, seconds: float, timestep: float) -> int:
        """Return the control steps a delay line must hold for a lag of `seconds`."""
        return int(np.ceil(np.rint(seconds / timestep) / self.frame_skip))


def cuts(action: Lag, observation: Lag) -> Iterator[tuple[int, int]]:
    """Yield the pieces (start, stop) of a control step in which nothing changes hands."""
    frame_skip = action.frame_skip
    places = {0, frame_skip, *action.rest.tolist()}
    places |= {frame_skip - r for r in observation.rest.tolist()}
    ordered = sorted(places)
    yield from pairwise(ordered)


class Signals:
    """The way from the policy's action to the plant, and from the plant to the policy's observation.

    Args:
        worlds: The plant.
        task: How actions act and what is observed.
        state: The task's live view of the worlds.
        sizes: Numbers in an action and in an observation.
        longest: Longest lag [s] of the two paths.
    """

    def __init__(
        self, worlds: Worlds, task: Task, state: State, sizes: tuple[int, int], longest: tuple[float, float]
    ) -> None:
        n = worlds.num_worlds
        self.worlds, self.task, self.state = worlds, task, state
        self.timestep = float(worlds.program.model.opt.timestep)
        self.action, self.observation = (Lag(n, task.frame_skip) for _ in range(2))
        lengths = [self.action.longest(seconds, self.timestep) for seconds in longest]
        self.sent = DelayLine(n, sizes[0], lengths[0])
        self.seen = DelayLine(n, sizes[1], lengths[1])
        self._all = np.arange(n)
        self._fresh = np.zeros(n, dtype=bool)

    def reset(self, ids: Ints) -> None:
        """Begin episodes: take the lags from the domains, and forget earlier actions and observations."""
        program, values = self.worlds.program, self.worlds.values[ids]
        self.action.set(ids, program.delay("action", values), self.timestep)
        self.observation.set(ids, program.delay("observation", values), self.timestep)
        for lag, line in ((self.action, self.sent), (self.observation, self.seen)):
            line.check(lag.whole[ids])
        self.sent.fill(ids, np.zeros((len(ids), self.sent.memory.shape[2])))
        self.seen.fill(ids, self.task.observe(self.state.take(ids)))
        self._fresh[ids] = True

    def run(self, actions: Floats) -> None:
        """Simulate one control step with the policy's actions (n, nu), delayed as they are."""
        self.sent.advance()
        self.seen.advance()
        self.sent.put(self._all, actions)
        self._hold_neutral(actions.dtype)
        for start, stop in cuts(self.action, self.observation):
            due = np.flatnonzero(self.action.rest == start)
            if len(due):
                self._refresh(due, start)
                arriving = self.sent.get(due, self.action.whole[due])
                self.task.act(self.worlds, due, arriving.astype(actions.dtype))
            self.worlds.step(stop - start)
            if stop < self.task.frame_skip:
                self._look(np.flatnonzero(self.observation.rest == self.task.frame_skip - stop))
        self.task.settle(self.worlds)
        on_time = np.flatnonzero(self.observation.rest == 0)
        self.seen.put(on_time, self.task.observe(self.state)[on_time])

    def received(self) -> Floats:
        """Return what the policy sees now, (n, size)."""
        return self.seen.get(self._all, self.observation.whole)

    def _hold_neutral(self, dtype: Any) -> None:
        """Until its first action arrives, a plant that would do something on its own is told to rest."""
        waiting = np.flatnonzero(self._fresh & (self.action.rest > 0))
        if len(waiting):
            self.task.act(self.worlds, waiting, np.zeros((len(waiting), self.sent.memory.shape[2]), dtype))
        self._fresh[:] = False

    def _look(self, ids: Ints) -> None:
        if len(ids) == 0:
            return
        self._refresh(ids, 1)
        self.seen.put(ids, self.task.observe(self.state.take(ids)))

    def _refresh(self, ids: Ints, start: int) -> None:
        """Bring derived fields up to date inside a control step, where the task does so at its end."""
        if self.task.settles and start > 0:
            self.worlds.forward(ids, positions_only=True)

    def state_dict(self) -> dict[str, Any]:
        """Return what is under way on both paths."""
        lines = {"sent": self.sent, "seen": self.seen}
        saved: dict[str, Any] = {k: (line.memory.copy(), line.head) for k, line in lines.items()}
        return saved | {"fresh": self._fresh.copy()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`; the worlds must be in their domains already."""
        values = self.worlds.values
        program = self.worlds.program
        self.action.set(self._all, program.delay("action", values), self.timestep)
        self.observation.set(self._all, program.delay("observation", values), self.timestep)
        for name, line in (("sent", self.sent), ("seen", self.seen)):
            line.memory[:], line.head = saved[name]
        self._fresh[:] = saved["fresh"]
