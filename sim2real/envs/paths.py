"""The way from the policy's action to the plant, and from the plant to the policy's observation.

Both ways carry *packets*, one for each control step. An action's packet, distorted first, takes effect when
it arrives: at its latency plus its jitter, exact to the physics step, never before an earlier one; a lost
one never, so that the plant holds the last. An observation's packet is measured so that it is exactly its
latency old when a control step ends, is distorted, and may come later or not at all; the policy reads the
newest that has come. The environment cuts its control step where something happens: nothing is interpolated.
Where actions are simply controls, the engine takes all of a control step's in one call, with the same result.

NOTE: MuJoCo can delay actuators itself. That is not used: Fetch acts through a mocap body and has no actuator
to delay, observations need the same treatment, and under RK4 the engine's delay reads the next control early.
Under the other integrators both are equal bit for bit (`tests/envs/test_latency.py`).
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from randomizers import Clock, Distortion
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


@runtime_checkable
class Player(Plant, Protocol):
    """A plant that can do in one call what `act`, `step` and `look` do in turn."""

    def play(self, ids: Ints, actions: Floats, looks: Ints) -> Floats | None:
        """Simulate physics steps under an action each.

        Args:
            ids: Worlds (k,).
            actions: What acts in which of the m steps (k, m, a).
            looks: After which step to measure (k,).

        Returns:
            The observations (j, o) of those worlds that are looked at before the last step; None if none is.
        """
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
        self._player = plant if isinstance(plant, Player) else None
        self.frame_skip, self.timestep = frame_skip, timestep
        self.sent, self.seen = (
            Transport(program, path, num_worlds, size, most)
            for path, size, most in zip(_PATHS, sizes, longest, strict=True)
        )
        self._distort = {
            path: Distortions(program, path, num_worlds, size)
            for path, size in zip(_PATHS, sizes, strict=True)
        }
        self._clocks = next(program.terms(Clock), None) is not None
        self.idle = not (self.sent.late or self.seen.late or any(d.terms for d in self._distort.values()))
        self._all = np.arange(num_worlds)
        self._dtype: Any = np.float64
        self._measured = np.zeros((num_worlds, sizes[1]))
        # The physics step, counted in its control step, after which each world is looked at.
        self._looks, self._early = frame_skip.copy(), False
        self.neutral = np.zeros(sizes[0])
        """What the policy is taken to have said before an episode: rest."""

    def control(self, actions: Floats, values: Floats, moment: Moment) -> None:
        """Simulate one control step of all worlds together; `seen.active` is then what the policy sees.

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
            return
        self.begin(actions, values, moment)
        for steps, ids in self._groups():
            if self._player and (self.sent.late or self._early):
                self._play(self._player, ids, steps)
            else:
                self.simulate(ids, 0, steps)
        self.finish()

    def _groups(self) -> Iterator[tuple[int, Ints]]:
        """Yield worlds by their number of physics steps."""
        if not self._clocks:
            yield int(self.frame_skip[0]), self._all
            return
        for steps in np.unique(self.frame_skip):
            yield int(steps), np.flatnonzero(self.frame_skip == steps)

    def _play(self, player: Player, ids: Ints, steps: int) -> None:
        """Simulate a control step in one call; it gives what `simulate` does in pieces."""
        actions, looks = self._coming(ids, 0, steps)[0], self._looks[ids]
        seen = player.play(ids, actions.astype(self._dtype), looks)
        if seen is not None:
            self._measured[ids[looks < steps]] = seen

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
        self.sent.reset(ids, self.neutral, self.sent.lag[ids, None] - ago)
        first = self._distort["observation"](values, ids, self.plant.look(ids, False), moment, True)
        if first.shape[1] != self.seen.width:
            raise ValueError(
                f"the observation has {first.shape[1]} numbers, but its space has {self.seen.width}"
            )
        self.seen.reset(ids, first, np.zeros((len(ids), 0), dtype=np.int64))

    def _tune(self, ids: Ints, values: Floats) -> None:
        frame_skip = self.frame_skip[ids]
        for transport in (self.sent, self.seen):
            transport.tune(ids, values, self.timestep[ids], frame_skip)
        if self.seen.late or self._clocks:
            self._looks[ids] = frame_skip - self.seen.lag[ids] % frame_skip
            self._early = bool((self._looks < self.frame_skip).any())

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
                if len(ids):
                    signal = self._sent[ids], moment.take(ids), new
                    self._sent[ids] = self._distort["action"](values[ids], ids, *signal)
        if self.sent.late:
            due = self._start + self.sent.lag
            self.sent.send(self._sent, self.sent.arrival(due, values, self.timestep, moment))

    def simulate(self, ids: Ints, start: int, stop: int) -> None:
        """Simulate a part of the control step, from one of its physics steps to another, in some worlds."""
        looks = self._looks[ids]
        actions, fresh = self._coming(ids, start, stop)
        places = {start, stop, *(start + np.flatnonzero(fresh.any(axis=0))).tolist()}
        if self._early:
            places |= {place for place in np.unique(looks).tolist() if start < place < stop}
        for begin, end in pairwise(sorted(places)):
            acting = np.flatnonzero(fresh[:, begin - start])
            if len(acting):
                self.plant.act(ids[acting], actions[acting, begin - start].astype(self._dtype))
            self.plant.step(ids, end - begin)
            if self._early and end < self.frame_skip[ids[0]]:
                self._look(ids[looks == end], True)

    def _coming(self, ids: Ints, start: int, stop: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the actions in physics steps of the control step (k, m, a), and where one is new (k, m)."""
        if self.sent.late:
            actions, fresh = self.sent.timeline(ids, self._start[ids] + start, stop - start)
            if start == 0:
                # Until its first action arrives, a plant that would do something on its own is told to rest.
                fresh[:, 0] |= self._moment.steps[ids] == 0
            return actions, fresh
        self.sent.active[ids] = self._sent[ids]
        fresh = np.zeros((len(ids), stop - start), dtype=bool)
        fresh[:, 0] = start == 0
        return np.repeat(self._sent[ids][:, None], stop - start, axis=1), fresh

    def finish(self) -> Floats:
        """End the control step, and return what the policy sees (n, o), live."""
        self.plant.settle()
        self._look(np.flatnonzero(self._looks == self.frame_skip) if self._early else self._all, False)
        self._report()
        return self.seen.active

    def _look(self, ids: Ints, inside: bool) -> None:
        if len(ids):
            self._measured[ids] = self.plant.look(ids, inside)

    def _report(self) -> None:
        """Distort what has been measured in this control step, and put it on its way."""
        if not (self.seen.late or self._distort["observation"].terms):
            self.seen.active[:] = self._measured
            return
        # The reset measured as step 0; a step's own measurement counts as the next.
        values, moment = self._values, replace(self._moment, steps=self._moment.steps + 1)
        signal = self._distort["observation"](values, self._all, self._measured, moment, False)
        if not self.seen.late:
            self.seen.active[:] = signal
            return
        due = self._start + (1 + self.seen.lag // self.frame_skip) * self.frame_skip
        self.seen.send(signal, self.seen.arrival(due, values, self.timestep, moment))
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
