"""What a benchmark says: figures, held against bars."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["reached", "missed", "missing", ""]
Table = list[dict[str, str]]


@dataclass(frozen=True)
class Bar:
    """What a figure should be.

    Attributes:
        sense: Whether it should be at least or at most the limit.
        limit: In the figure's unit.
    """

    sense: Literal[">=", "<=", "<"]
    limit: float

    def holds(self, value: float) -> bool:
        """Return whether a value is on the right side."""
        if self.sense == ">=":
            return value >= self.limit
        return value <= self.limit if self.sense == "<=" else value < self.limit


@dataclass(frozen=True)
class Figure:
    """One measured number: the median of paired rounds, and their range.

    Attributes:
        what: What was compared with what.
        value: The median; None where it could not be measured.
        low: The least of the rounds.
        high: The greatest of the rounds.
        unit: Such as `x` for a ratio, or `ms`.
        bar: What it should be; None for a figure that is only stated.
        note: How to read it: settings, sizes, what was extrapolated.
        missing: Why there is no value.
    """

    what: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = "x"
    bar: Bar | None = None
    note: str = ""
    missing: str = ""

    @property
    def verdict(self) -> Verdict:
        """What the bar says; nothing where there is none."""
        if self.value is None:
            return "missing"
        if self.bar is None:
            return ""
        return "reached" if self.bar.holds(self.value) else "missed"

    def show(self) -> str:
        """Return the number as text, such as `1.32 x [1.21, 1.40]`."""
        if self.value is None:
            return f"missing: {self.missing}"
        spread = "" if self.low is None or self.high is None else f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.value:.3g} {self.unit}{spread}"

    def show_bar(self) -> str:
        """Return the bar as text, such as `>= 1.2 x`."""
        return "" if self.bar is None else f"{self.bar.sense} {self.bar.limit:g} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the verdict among them."""
        return asdict(self) | {"verdict": self.verdict}


@dataclass
class Outcome:
    """What one row found.

    Attributes:
        figures: The figures, in the order in which they are shown.
        table: What lies under them, for the row's CSV file.
        peers: Versions and settings of each peer that took part.
    """

    figures: list[Figure] = field(default_factory=list)
    table: Table = field(default_factory=list)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Mode:
    """How long to measure.

    Attributes:
        quick: A shortened run, whose numbers are for a look only.
        rounds: Paired rounds.
        window: Least time [s] of one entrant in one round.
        tables: Train nothing: say what the curves that there are say.
    """

    quick: bool = False
    rounds: int = 7
    window: float = 1.0
    tables: bool = False

    @classmethod
    def shortened(cls) -> "Mode":
        """Return the mode of `--quick`."""
        return cls(quick=True, rounds=5, window=0.12)


def markdown(rows: Table) -> str:
    """Return rows as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *[[row[key].replace("|", "\\|") for key in head] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
