"""Times entrants in turn, round by round, so that whatever slows the machine slows all alike."""

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from benches.figures import Bar, Figure, Mode, Table
from benches.worker import Peer, PeerError

Measure = Callable[[float], float]
"""Works for at least so many seconds, and returns the cost [s] of one unit of work."""

OURS = "sim2real"


def in_turn(entrants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure A B C, A B C, … after one round that does not count; one that fails drops out.

    Args:
        entrants: Each returns what it measured.
        rounds: How often.

    Returns:
        What each measured, by name. A `PeerError` stands in place of the numbers of one that failed.
    """
    costs: dict[str, list[float]] = {name: [] for name in entrants}
    for number in range(-1, rounds):
        for name, measure in entrants.items():
            if name in costs:
                try:
                    cost = measure()
                except PeerError:
                    del costs[name]
                    continue
                if number >= 0:
                    costs[name].append(cost)
    return costs


class Contest:
    """Some entrants that do the same work, of which the first is ours.

    Args:
        mode: How long to measure.
        unit: What is counted, such as `world-step`.

    Attributes:
        costs: Seconds for each unit of work, by entrant and round.
        missing: Why an entrant could not take part.
        peers: Versions and settings, by peer.
    """

    def __init__(self, mode: Mode, unit: str) -> None:
        self.mode, self.unit = mode, unit
        self.costs: dict[str, list[float]] = {}
        self.missing: dict[str, str] = {}
        self.peers: dict[str, dict[str, Any]] = {}
        self._entrants: dict[str, Measure] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, name: str, measure: Measure) -> None:
        """Let something in this process take part."""
        self._entrants[name] = measure

    def add_peer(self, name: str, group: str, script: str, **options: Any) -> None:
        """Let a peer take part, warmed up; if it cannot, note why.

        Args:
            name: What the figures call it.
            group: What it needs installed; see `benches.venv.GROUPS`.
            script: Its file in `benches/peers`.
            options: What the script is told.
        """
        try:
            peer = self._open.enter_context(Peer(group, script, quick=self.mode.quick, **options))
        except PeerError as error:
            self.missing[name] = str(error)
            return
        self.peers[name] = peer.about
        self._entrants[name] = lambda window: self._of_peer(name, peer, window)

    def _of_peer(self, name: str, peer: Peer, window: float) -> float:
        try:
            return peer.measure(window)
        except PeerError as error:
            self.missing[name] = str(error)
            raise

    def run(self) -> None:
        """Measure everyone."""
        window = self.mode.window
        calls = {name: lambda m=measure: m(window) for name, measure in self._entrants.items()}
        self.costs = in_turn(calls, self.mode.rounds)

    def speedup(self, what: str, over: str, bar: Bar | None = None, note: str = "") -> Figure:
        """Return how many times as fast as a peer ours is."""
        return self.ratio(what, over, OURS, bar, note)

    def overhead(self, what: str, over: str, bar: Bar | None = None, note: str = "") -> Figure:
        """Return how many times the time of a peer ours takes."""
        return self.ratio(what, OURS, over, bar, note)

    def ratio(self, what: str, above: str, below: str, bar: Bar | None = None, note: str = "") -> Figure:
        """Return the cost of one entrant in units of another's, round by round."""
        for name in (above, below):
            if name in self.missing:
                return Figure(what, bar=bar, missing=self.missing[name])
        ratios = [a / b for a, b in zip(self.costs[above], self.costs[below], strict=True)]
        setting = "; ".join(
            filter(None, (self.peers.get(name, {}).get("setting", "") for name in (above, below)))
        )
        said = "; ".join(filter(None, (setting, note)))
        return Figure(what, statistics.median(ratios), min(ratios), max(ratios), "x", bar, said)

    def cost(
        self, what: str, name: str, scale: float, unit: str, bar: Bar | None = None, note: str = ""
    ) -> Figure:
        """Return the cost of one entrant in units of its own: `scale` of them are a second."""
        if name in self.missing:
            return Figure(what, unit=unit, bar=bar, missing=self.missing[name])
        costs = [scale * cost for cost in self.costs[name]]
        return Figure(what, statistics.median(costs), min(costs), max(costs), unit, bar, note)

    def table(self) -> Table:
        """Return what every entrant cost."""
        rows = [
            {
                "entrant": name,
                f"us per {self.unit}": f"{1e6 * statistics.median(costs):.4g}",
                "least": f"{1e6 * min(costs):.4g}",
                "greatest": f"{1e6 * max(costs):.4g}",
                "rounds": str(len(costs)),
                "setting": str(self.peers.get(name, {}).get("setting", "")),
            }
            for name, costs in self.costs.items()
        ]
        empty = dict.fromkeys((f"us per {self.unit}", "least", "greatest"), "")
        for name, reason in self.missing.items():
            rows.append({"entrant": name, **empty, "rounds": "0", "setting": f"missing: {reason}"})
        return rows
