"""One progress display for long work: bars on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sim2real.runs import Track

_LINE_EVERY = 15.0
"""Seconds between plain lines of one task."""


class Progress:
    """Shows tasks side by side; used as a context manager around them.

    Args:
        show: False for a display that shows nothing.
    """

    def __init__(self, show: bool = True) -> None:
        self._terminal = show and sys.stderr.isatty()
        self._plain = show and not self._terminal
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, tuple[float, float]] = {}
        self._spoken: dict[str, float] = {}
        self._totals: dict[str, float] = {}

    @classmethod
    def silent(cls) -> "Progress":
        """Return a display that shows nothing."""
        return cls(show=False)

    def __enter__(self) -> "Progress":
        if self._terminal:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description:<12}"),
                progress.BarColumn(),
                progress.TaskProgressColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[note]}"),
            )
            self._bars = progress.Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal, inside the block, to a question and its answer."""
        if self._bars is not None:
            self._bars.stop()
        try:
            yield
        finally:
            if self._bars is not None:
                self._bars.start()

    def begin(self, name: str, total: float, done: float = 0) -> None:
        """Start showing a task of `total` units, of which `done` are done."""
        self._totals[name] = total
        self._began[name] = (time.monotonic(), done)
        self._spoken[name] = 0.0
        if self._bars is not None and name in self._tasks:
            self._bars.reset(self._tasks[name], total=total, completed=int(done))
        elif self._bars is not None:
            self._tasks[name] = self._bars.add_task(name, total=total, completed=done, note="")

    def update(self, name: str, row: Mapping[str, float]) -> None:
        """Show a row of training curves: `step`, `return`, `success`, `steps_per_s`."""
        parts = []
        if row.get("return", float("nan")) == row.get("return"):
            parts.append(f"return {row['return']:.1f}")
        if row.get("success", float("nan")) == row.get("success"):
            parts.append(f"success {100 * row['success']:.0f} %")
        parts.append(f"{row.get('steps_per_s', 0):.0f} steps/s")
        self.move(name, row["step"], ", ".join(parts))

    def move(self, name: str, done: float, note: str = "") -> None:
        """Show that `done` units of a task are done."""
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=done, note=note)
        if not self._plain:
            return
        now, total = time.monotonic(), self._totals[name]
        if now - self._spoken[name] < _LINE_EVERY and done < total:
            return
        self._spoken[name] = now
        began, first = self._began[name]
        left = (now - began) / max(done - first, 1) * max(total - done, 0)
        print(
            f"{name}: {min(done / total, 1):4.0%}, {int(left // 60)}:{int(left % 60):02d} left"
            f"{', ' + note if note else ''}",
            file=sys.stderr,
            flush=True,
        )

    def end(self, name: str) -> None:
        """Show that a task is done."""
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=self._totals[name])

    @contextmanager
    def watching(self, name: str, track: Track, total: float, alive: Callable[[], bool]) -> Iterator[None]:
        """Show, while the block runs, a training that another process writes to `track`."""
        self.begin(name, total)
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(2.0) and alive():
                rows = track.rows()
                if rows:
                    self.update(name, {key: float(value or "nan") for key, value in rows[-1].items()})

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
