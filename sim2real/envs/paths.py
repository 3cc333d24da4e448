"""The way from the policy's action to the plant, and from the plant to the policy's observation.

Both ways carry *packets*, one for each control step. An action's packet, distorted first, takes effect when
it arrives: at its latency plus its jitter, exact to the physics step, never before an earlier one; a lost
one never, so that the plant holds the last. An observation's packet is measured so that it is exactly its
latency old when a control step ends, is distorted, and may come later or not at all; the policy reads the
newest that has come. The environment cuts its control step where something happens: nothing is interpolated.

NOTE: MuJoCo can delay actuators itself. That is not used: Fetch acts through a mocap body and has no actuator
to delay, observations need the same treatment, and under RK4 the engine's delay reads the next control early.
Under the other integrators both are equal bit for bit (`tests/envs/test_latency.py`).
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from randomizers import Distortion
from sim2real.envs.packets import Transport
from sim2real.spec import Bound, Moment, Problem, Program, ProgramError

Ints = NDArray[np.int64]
Floats = NDArray[Any]
_PATHS = ("action", "observation")


class Plant(Protocol):
    """What signals go to and come from: n worlds stepped together, or one."""

    def act(self, ids: Ints, actions: Floats) -> None:
        """Let actions (k, a) take effect in worlds (k,) from now on."""
        ...

    def look(self, ids: Ints, inside: bool) -> Floats:
        """Measure the observation (k, o) of worlds (k,); `inside` says that a control step is under way."""
        ...

    def step(self, ids: Ints, nstep: int) -> None:
        """Simulate physics steps in worlds (k,)."""
        ...

    def settle(self) -> None:
        """End the control step, before its last observations."""
        ...


def refuse_channels(program: Program, path: str, width: int) -> None:
    """Refuse distortions of numbers that a signal does not have.

    Raises:
        ProgramError: With every such term.
    """
    problems: list[Problem] = []
    for bound in program.terms(Distortion, path):
        beyond = [channel for channel in bound.term.channels or () if channel >= width]
        if beyond:
            message = f"channel {beyond[0]} does not exist; the {path} has {width} numbers"
            problems.append(Problem(("randomize", bound.name, "channels"), message))
    if problems:
        raise ProgramError(problems)


class Distortions:
    """The distortions of one path, one after the other in the spec's order.

    Args:
        program: Whose terms they are.
        path: `action` or `observation`.
        num_worlds: n.
        width: Numbers in the signal.

    Raises:
        ProgramError: With every term that names a channel which the signal does not have.
    """

    def __init__(self, program: Program, path: str, num_worlds: int, width: int) -> None:
        self.terms: list[Bound[Distortion]] = list(program.terms(Distortion, path))
        self.held = np.zeros((len(self.terms), num_worlds, width))
        refuse_channels(program, path, width)

    def __call__(self, values: Floats, ids: Ints, signal: Floats, moment: Moment, first: bool) -> Floats:
        """Return the distorted signal (k, w) of worlds (k,), whose domains are `values` (k, d)."""
        for bound, held in zip(self.terms, self.held, strict=True):
            before = signal if first else held[ids]
            draw = moment.draw(f"term:{bound.name}:signal")
            changed = bound.term.distort(values[:, bound.columns], signal, before, draw)
            if bound.term.channels is not None:
                chosen = np.zeros(signal.shape[1], dtype=bool)
                chosen[list(bound.term.channels)] = True
                changed = np.where(chosen, changed, signal)
            held[ids] = signal = changed
        return signal


class Signals:
    """Both paths of n worlds.

    Args:
        program: What may vary.
        plant: The worlds.
        num_worlds: n.
        sizes: Numbers in an action and in an observation.
        frame_skip: Physics steps in a control step, of each world (n,).
        timestep: Physics time step of each world (n,) [s].
        longest: Longest delay [control steps] of the two paths, jitter included.
    """

    def __init__(
        self,
        program: Program,
        plant: Plant,
        num_worlds: int,
        sizes: tuple[int, int],
        frame_skip: Ints,
        timestep: Floats,
        longest: tuple[int, int],
    ) -> None:
        self.program, self.plant = program, plant
        self.frame_skip, self.timestep = frame_skip, timestep
        self.sent, self.seen = (
            Transport(program, path, num_worlds, size, most)
            for path, size, most in zip(_PATHS, sizes, longest, strict=True)
        )
        self._distort = {
            path: Distortions(program, path, num_worlds, size)
            for path, size in zip(_PATHS, sizes, strict=True)
        }
        self.idle = not (self.sent.late or self.seen.late or any(d.terms for d in self._distort.values()))
        self._all = np.arange(num_worlds)
        self._dtype: Any = np.float64
        self._measured = np.zeros((num_worlds, sizes[1]))
        self.neutral = np.zeros(sizes[0])
        """What the policy is taken to have said before an episode: rest."""

    def control(self, actions: Floats, values: Floats, moment: Moment) -> Floats:
        """Simulate one control step of all worlds together, and return what the policy sees (n, o).

        Args:
            actions: What the policy does (n, a).
            values: The worlds' domains (n, d).
            moment: Their key.
        """
        if self.idle:  # the short way, equal to the other
            self.plant.act(self._all, actions)
            for steps, ids in self._groups():
                self.plant.step(ids, steps)
            self.plant.settle()
            self.seen.active[:] = self.plant.look(self._all, False)
            return self.seen.active.copy()
        self.begin(actions, values, moment)
        for steps, ids in self._groups():
            self.simulate(ids, 0, steps)
        return self.finish()

    def _groups(self) -> Iterator[tuple[int, Ints]]:
        """Yield worlds by their number of physics steps."""
        for steps in np.unique(self.frame_skip):
            yield int(steps), np.flatnonzero(self.frame_skip == steps)

    def reset(self, ids: Ints, values: Floats, moment: Moment) -> None:
        """Begin episodes in worlds (k,): forget the past, and measure the first observation.

        Args:
            ids: The worlds.
            values: Their domains (k, d).
            moment: Their key.

        Raises:
            ValueError: If a delay is longer than the memory, or the observation is not as its space says.
        """
        self._tune(ids, values)
        # What was said before the episode is still on its way, and arrives as any other packet.
        ago = self.frame_skip[ids, None] * (1 + np.arange(int(self.sent.longest)))
        earlier = self.sent.lag[ids, None] - ago
        self.sent.reset(ids, np.repeat(self.neutral[None], len(ids), axis=0), earlier)
        first = self._distort["observation"](values, ids, self.plant.look(ids, False), moment, True)
        if first.shape[1] != self.seen.width:
            raise ValueError(
                f"the observation has {first.shape[1]} numbers, but its space has {self.seen.width}"
            )
        self.seen.reset(ids, first, np.zeros((len(ids), 0), dtype=np.int64))

    def _tune(self, ids: Ints, values: Floats) -> None:
        for transport in (self.sent, self.seen):
            transport.tune(ids, values, self.timestep[ids], self.frame_skip[ids])

    def begin(self, actions: Floats, values: Floats, moment: Moment) -> None:
        """Send the policy's actions (n, a) at the beginning of a control step; worlds at `values` (n, d)."""
        self._values, self._moment = values, moment
        self._start = moment.steps * self.frame_skip
        if self.program.drifts:
            self._tune(self._all, values)
        self._sent, self._dtype = np.array(actions, dtype=np.float64), actions.dtype
        if self._distort["action"].terms:
            first = moment.steps == 0
            for ids, new in ((np.flatnonzero(first), True), (np.flatnonzero(~first), False)):
                signal = self._sent[ids], moment.take(ids), new
                self._sent[ids] = self._distort["action"](values[ids], ids, *signal)
        if self.sent.late:
            due = self._start + self.sent.lag
            self.sent.send(self._all, self._sent, self.sent.arrival(due, values, self.timestep, moment))
        self._look_at = self._start + self.frame_skip - self.seen.lag % self.frame_skip

    def simulate(self, ids: Ints, start: int, stop: int) -> None:
        """Simulate a part of the control step, from one of its physics steps to another, in some worlds."""
        looks = self._look_at[ids] - self._start[ids]
        for begin, end in pairwise(self._cuts(ids, looks, start, stop)):
            self._arrive(ids, begin)
            self.plant.step(ids, end - begin)
            early = ids[looks == end]
            if len(early) and end < self.frame_skip[ids[0]]:
                self._look(early, True)

    def _cuts(self, ids: Ints, looks: Ints, start: int, stop: int) -> list[int]:
        """Return the physics steps at which something changes hands, with the first and the last."""
        places = {start, stop, *looks.tolist()}
        if self.sent.late:
            places |= set((self.sent.pending(ids) - self._start[ids]).ravel().tolist())
        return sorted(place for place in places if start <= place <= stop)

    def finish(self) -> Floats:
        """End the control step, and return what the policy sees (n, o)."""
        self.plant.settle()
        self._look(np.flatnonzero(self._look_at == self._start + self.frame_skip), False)
        self._report()
        return self.seen.active.copy()

    def _arrive(self, ids: Ints, offset: int) -> None:
        if self.sent.late:
            fresh = self.sent.arrive(ids, self._start[ids] + offset)
            if offset == 0:
                # Until its first action arrives, a plant that would do something on its own is told to rest.
                fresh |= self._moment.steps[ids] == 0
            ids = ids[fresh]
        elif offset == 0:
            self.sent.active[ids] = self._sent[ids]
        else:
            return
        if len(ids):
            self.plant.act(ids, self.sent.active[ids].astype(self._dtype))

    def _look(self, ids: Ints, inside: bool) -> None:
        if len(ids):
            self._measured[ids] = self.plant.look(ids, inside)

    def _report(self) -> None:
        """Distort what has been measured in this control step, and put it on its way."""
        # The reset measured as step 0; a step's own measurement counts as the next.
        values, moment = self._values, replace(self._moment, steps=self._moment.steps + 1)
        signal = self._distort["observation"](values, self._all, self._measured, moment, False)
        if not self.seen.late:
            self.seen.active[:] = signal
            return
        due = self._start + (1 + self.seen.lag // self.frame_skip) * self.frame_skip
        self.seen.send(self._all, signal, self.seen.arrival(due, values, self.timestep, moment))
        self.seen.arrive(self._all, self._start + self.frame_skip)

    def state_dict(self) -> dict[str, Any]:
        """Return what is under way on both paths."""
        held = {path: distort.held.copy() for path, distort in self._distort.items()}
        return {"sent": self.sent.state_dict(), "seen": self.seen.state_dict(), "held": held}

    def load_state_dict(self, saved: dict[str, Any], values: Floats) -> None:
        """Continue from `state_dict`; worlds are in their domains (n, d) already."""
        self._tune(self._all, values)
        self.sent.load_state_dict(saved["sent"])
        self.seen.load_state_dict(saved["seen"])
        for path, held in saved["held"].items():
            self._distort[path].held[:] = held
