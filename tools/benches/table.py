"""Which rows there are. A new one is a function from a `Mode` to an `Outcome`, and a line here."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from benches.figures import Mode, Outcome


@dataclass(frozen=True)
class Row:
    """One row of the table of benchmarks.

    Attributes:
        name: What the command line calls it.
        number: Its number in the design's list of bars.
        what: What it measures.
        function: Its function, as `module:name`; imported only when it runs.
        groups: What of the peers it needs; see `benches.venv.GROUPS`.
        by_name: Whether it runs only when it is asked for by name.
    """

    name: str
    number: int
    what: str
    function: str
    groups: tuple[str, ...] = ()
    by_name: bool = False

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"tools/bench {self.name}"

    def run(self, mode: Mode) -> Outcome:
        """Measure it."""
        module, _, name = self.function.partition(":")
        function: Callable[[Mode], Outcome] = getattr(importlib.import_module(module), name)
        return function(mode)


ROWS = (
    Row("cheetah", 1, "full vector environment, HalfCheetah-v5, 256 worlds, 2 threads",
        "benches.stepping:cheetah", ("sb3", "envpool")),
    Row("push", 2, "full vector environment, FetchPush-v4, 256 worlds, 2 threads",
        "benches.stepping:push", ("sb3", "envpool")),
    Row("domains", 3, "drawing and applying 20 parameters to 1,024 worlds", "benches.domains:domains"),
    Row("reset", 3, "a reset with a new domain, against a plain one", "benches.domains:reset"),
    Row("updates", 4, "SAC updates, 2x256 networks, twin critics, batch 256",
        "benches.updates:updates", ("sb3", "sbx")),
    Row("learning", 5, "wall time to the same return",
        "benches.learning:learning", ("sb3", "sbx"), by_name=True),
    Row("ablation", 5, "what each choice of the default preset is worth",
        "benches.ablation:ablation", by_name=True),
    Row("evaluate", 6, "evaluating held-out targets, 20 episodes of 1,000 steps each",
        "benches.evaluating:evaluating", ("sb3",)),
    Row("video", 7, "recording a side-by-side video, 640x480, 10 s", "benches.recording:recording"),
    Row("scaling", 8, "cost of a world-step by worlds and terms; memory of a world",
        "benches.scaling:scaling"),
    Row("startup", 9, "start of the command line and import of the randomizers", "benches.startup:startup"),
    Row("profile", 10, "where the time of a training run goes", "benches.spending:spending"),
    Row("hardware", 11, "what more cores, a GPU or a cluster change", "benches.hardware:hardware"),
)  # fmt: skip


def chosen(names: list[str]) -> list[Row]:
    """Return the rows of some names, in the table's order; without names, all that need not be asked for.

    Raises:
        ValueError: If a name does not exist.
    """
    unknown = sorted(set(names) - {row.name for row in ROWS})
    if unknown:
        raise ValueError(f"no row '{unknown[0]}'; there are: {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if row.name in names or (not names and not row.by_name)]
