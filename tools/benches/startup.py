"""Row 9: how soon the command line answers, and how soon the randomizers are imported."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benches.contest import OURS, Contest
from benches.figures import Bar, Figure, Mode, Outcome

IMPORT = "import randomizers"


def startup(mode: Mode) -> Outcome:
    """Start fresh processes in turn, an empty Python among them."""
    python, command = sys.executable, str(Path(sys.executable).parent / "sim2real")
    with Contest(mode, "start") as contest:
        contest.add(OURS, process([command, "--help"]))
        contest.add(IMPORT, process([python, "-c", IMPORT]))
        contest.add("empty Python", process([python, "-c", "pass"]))
        contest.run()
        figures = [
            contest.cost("sim2real --help", OURS, 1.0, "s", Bar("<", 0.4)),
            contest.cost(IMPORT, IMPORT, 1.0, "s", Bar("<", 0.5)),
            Figure(
                "heavy libraries that it imports", float(len(heavy())), unit="", bar=Bar("<=", 0),
                note=", ".join(heavy()) or "neither torch nor gymnasium nor scipy",
            ),
            contest.cost("an empty Python", "empty Python", 1.0, "s"),
        ]  # fmt: skip
        return Outcome(figures, contest.table())


def process(words: list[str]) -> Callable[[float], float]:
    """Return what times one run of a command."""

    def measure(window: float) -> float:
        begin = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    return measure


def heavy() -> list[str]:
    """Return which of the heavy libraries come with the randomizers."""
    code = f"import sys; {IMPORT}; print(*sorted({{'torch', 'gymnasium', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()
