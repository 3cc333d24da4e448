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

    Attributes:
        active: What the receiver holds (n, width): the last packet that has arrived.
    """

    NEVER: ClassVar[int] = 2**62

    def __init__(self, num_worlds: int, width: int, longest: int) -> None:
        self.width, self.longest = width, longest
        self._packets = np.zeros((longest + 2, num_worlds, width))
        self._arrival = np.full((longest + 2, num_worlds), self.NEVER)
        self._last = np.zeros(num_worlds, dtype=np.int64)
        self._head = 0
        self.active = np.zeros((num_worlds, width))

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
        """Forget the packets of some worlds; their receivers hold `value` (k, width).

        Args:
            ids: The worlds (k,).
            value: What they hold, and what each of the earlier packets says.
            arrivals: When the packets of one, two, … control steps ago arrive (k, m); negative for the past.
        """
        self._arrival[:, ids] = self.NEVER
        for ago, when in enumerate(arrivals.T[: len(self._packets)]):
            slot = (self._head - ago) % len(self._packets)
            self._packets[slot, ids] = value
            self._arrival[slot, ids] = np.where(when < 0, self.NEVER, when)
        self._last[ids] = 0
        self.active[ids] = value

    def advance(self) -> None:
        """Begin a new control step, whose packets `put` then writes."""
        self._head = (self._head + 1) % len(self._packets)
        self._arrival[self._head] = self.NEVER

    def put(self, ids: Ints, value: Floats, arrival: Ints) -> None:
        """Put this control step's packets (k, width) on their way, to arrive at `arrival` (k,) or never."""
        comes = arrival < self.NEVER
        self._last[ids] = np.where(comes, np.maximum(arrival, self._last[ids]), self._last[ids])
        self._packets[self._head, ids] = value
        self._arrival[self._head, ids] = np.where(comes, self._last[ids], self.NEVER)

    def send(self, ids: Ints, value: Floats, arrival: Ints) -> None:
        """Begin a new control step and put its packets on their way."""
        self.advance()
        self.put(ids, value, arrival)

    def pending(self, ids: Ints) -> Ints:
        """Return when the packets of some worlds arrive, in no order (m, k)."""
        return self._arrival[:, ids]

    def arrive(self, ids: Ints, now: Ints) -> NDArray[np.bool_]:
        """Deliver all packets due by `now` (k,), and return where there were any (k,)."""
        size = len(self._packets)
        # Newest first: of several that are due, the newest counts.
        order = (self._head - np.arange(size)) % size
        due = self._arrival[order][:, ids] <= now
        any_due: NDArray[np.bool_] = np.logical_or.reduce(due, axis=0)
        newest = order[due.argmax(axis=0)]
        self.active[ids[any_due]] = self._packets[newest[any_due], ids[any_due]]
        arrived = self._arrival[:, ids]
        self._arrival[:, ids] = np.where(arrived <= now, self.NEVER, arrived)
        return any_due

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

    def tune(self, ids: Ints, values: Floats, timestep: Floats, frame_skip: Ints) -> None:
        """Take the latencies of worlds (k,) from their domains (k, d).

        Raises:
            ValueError: If a packet could be longer under way than the memory is.
        """
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
