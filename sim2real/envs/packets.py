"""Packets of a signal under way: each arrives at its own physics step, none before an earlier one."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from randomizers import Delay, Jitter, Loss
from sim2real.spec import Moment, Program

Ints = NDArray[np.int64]
Floats = NDArray[Any]


class Packets:
    """The packets of n worlds, and the last that has arrived in each.

    Times are physics steps since a world's episode began.

    Args:
        num_worlds: n.
        width: Numbers in a packet.
        longest: Longest time under way [control steps].
    """

    NEVER: ClassVar[int] = 2**62

    def __init__(self, num_worlds: int, width: int, longest: int) -> None:
        self.width, self.longest = width, longest
        # A ring of packets, and last what is held.
        self._memory = np.zeros((longest + 3, num_worlds, width))
        self._arrival = np.full((longest + 2, num_worlds), self.NEVER)
        self._last = np.zeros(num_worlds, dtype=np.int64)
        self._head = 0

    @property
    def active(self) -> Floats:
        """What the receiver holds (n, width), live: the last packet that has arrived."""
        return self._memory[-1]

    @property
    def _packets(self) -> Floats:
        return self._memory[:-1]

    def check(self, longest: int) -> None:
        """Refuse delays [control steps] that reach beyond the memory.

        Raises:
            ValueError: If one does.
        """
        if longest > self.longest:
            raise ValueError(
                f"a lag of {longest} control steps is longer than the {self.longest} that the source and "
                "the first domains needed"
            )

    def reset(self, ids: Ints, value: Floats, arrivals: Ints) -> None:
        """Forget the packets of some worlds; their receivers hold `value`.

        Args:
            ids: The worlds (k,).
            value: What they hold (k, width) or (width,), and what each of the earlier packets says.
            arrivals: When the packets of one, two, … control steps ago arrive (k, m); negative for the past.
        """
        self._arrival[:, ids] = self.NEVER
        for ago, when in enumerate(arrivals.T[: len(self._packets)]):
            slot = (self._head - ago) % len(self._packets)
            self._packets[slot, ids] = value
            self._arrival[slot, ids] = np.where(when < 0, self.NEVER, when)
        self._last[ids] = 0
        self.active[ids] = value

    def send(self, value: Floats, arrival: Ints) -> None:
        """Begin a new control step, and put its packets (n, width) on their way.

        Args:
            value: What they say.
            arrival: When they arrive (n,), or never; none overtakes an earlier one.
        """
        self._head = (self._head + 1) % len(self._packets)
        comes = arrival < self.NEVER
        np.maximum(self._last, arrival, out=self._last, where=comes)
        self._packets[self._head] = value
        self._arrival[self._head] = np.where(comes, self._last, self.NEVER)

    def arrive(self, ids: Ints, now: Ints) -> NDArray[np.bool_]:
        """Deliver all packets due by `now` (k,), and return where there were any (k,)."""
        fresh = np.zeros(len(ids), dtype=bool)
        for slot in self._due(ids, now):
            due = self._arrival[slot, ids] <= now
            worlds = ids[due]
            self.active[worlds] = self._packets[slot, worlds]
            self._arrival[slot, worlds] = self.NEVER
            fresh |= due
        return fresh

    def timeline(self, ids: Ints, start: Ints, steps: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Deliver all packets due within a number of physics steps.

        Args:
            ids: The worlds (k,).
            start: The first of the physics steps (k,).
            steps: How many there are.

        Returns:
            What is held in each of them (k, steps, width), and where it has just arrived (k, steps).
        """
        now = start[:, None] + np.arange(steps)
        count = self._memory.shape[1]
        # Rows of the memory: at first those of `active`, in which column 0 only serves to compare with.
        rows = np.repeat(((len(self._memory) - 1) * count + ids)[:, None], steps + 1, axis=1)
        for slot in self._due(ids, now[:, -1]):
            due = self._arrival[slot, ids][:, None] <= now
            np.copyto(rows[:, 1:], (slot * count + ids)[:, None], where=due)
            self._arrival[slot, ids[due[:, -1]]] = self.NEVER
        held = self._memory.reshape(-1, self.width).take(rows[:, 1:], axis=0)
        self.active[ids] = held[:, -1]
        return held, rows[:, 1:] != rows[:, :-1]

    def _due(self, ids: Ints, now: Ints) -> Ints:
        """Return the slots of which any is due, the oldest first: of several due the newest counts."""
        # Nearly always these are one or two, however far back the memory reaches.
        found: NDArray[np.bool_] = np.logical_or.reduce(self._arrival[:, ids] <= now, axis=1)
        order = (self._head + 1 + np.arange(len(found))) % len(found)
        return order[found[order]]

    def state_dict(self) -> dict[str, Any]:
        """Return what is under way."""
        return {
            "packets": self._packets.copy(),
            "arrival": self._arrival.copy(),
            "last": self._last.copy(),
            "active": self.active.copy(),
            "head": self._head,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._head = saved["head"]
        for name, array in (
            ("packets", self._packets),
            ("arrival", self._arrival),
            ("last", self._last),
            ("active", self.active),
        ):
            array[:] = saved[name]


class Transport(Packets):
    """The packets of one path: how late each is, and which are lost.

    Args:
        program: Whose terms say so.
        path: `action` or `observation`.
        num_worlds: n.
        width: Numbers in a packet.
        longest: Longest time under way [control steps].

    Attributes:
        late: Whether anything can be late or lost; if not, packets need not be kept.
        lag: The latency of each world (n,) [physics steps], to the nearest.
    """

    def __init__(self, program: Program, path: str, num_worlds: int, width: int, longest: int) -> None:
        super().__init__(num_worlds, width, longest)
        self._program, self._path = program, path
        self._jitters, self._losses = list(program.terms(Jitter, path)), list(program.terms(Loss, path))
        self.late = bool(self._jitters or self._losses or list(program.terms(Delay, path)))
        self.lag = np.zeros(num_worlds, dtype=np.int64)

    def reset(self, ids: Ints, value: Floats, arrivals: Ints) -> None:
        """Forget the packets of some worlds; see `Packets.reset`."""
        if self.late:
            super().reset(ids, value, arrivals)
        else:
            self.active[ids] = value

    def tune(self, ids: Ints, values: Floats, timestep: Floats, frame_skip: Ints) -> None:
        """Take the latencies of worlds (k,) from their domains (k, d).

        Raises:
            ValueError: If a packet could be longer under way than the memory is.
        """
        if not self.late:
            return
        self.lag[ids] = np.rint(self._program.delay(self._path, values) / timestep)
        jitter = np.rint(self._program.jitter(self._path, values) / timestep)
        self.check(int(np.ceil((self.lag[ids] + jitter) / frame_skip).max(initial=0)))

    def arrival(self, due: Ints, values: Floats, timestep: Floats, moment: Moment) -> Ints:
        """Return when packets arrive (k,) that would be due (k,): later by jitter, or never."""
        for bound in self._jitters:
            most = bound.term.seconds(values[:, bound.columns]) / timestep
            share = moment.draw(f"term:{bound.name}:jitter").uniform(1)[:, 0]
            due = due + np.rint(most * share).astype(np.int64)
        for bound in self._losses:
            p = bound.term.probability(values[:, bound.columns])
            lost = moment.draw(f"term:{bound.name}:loss").uniform(1)[:, 0] < p
            due = np.where(lost, self.NEVER, due)
        return due
