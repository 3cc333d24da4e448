"""The search from afar: CMA-ES in normal scores, which goes on where it was stopped.

CMA-ES (Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772) as in the library `cmaes`. It
depends on its seed and on losses alone. So losses are all that is kept: told again, they lead to the same
state bit for bit, without simulating anything twice.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.progress import Progress
from sim2real.runs import write_json

Floats = NDArray[np.float64]
_SPREAD, _REACH = 0.7, 2.0
"""Standard deviation of the first candidates in units of the prior's, and how far they lie from their mean
at most: in many dimensions all lie about as far, and too far for any to be better than it."""


class Journal:
    """Losses of each generation, and what came of it all, in a file beside the result until that is written.

    Args:
        path: The file, or None to keep none.
        key: Of everything that losses depend on; a file with another key is begun anew.

    Attributes:
        losses: Of each generation.
        found: Mean (k,) and covariance (k, k) of the posterior, once it is known.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self.losses: list[list[float]] = []
        self.found: tuple[Floats, Floats] | None = None
        if path is not None and path.exists():
            try:
                saved = json.loads(path.read_text())
                if saved["key"] == key:
                    self.losses = saved["losses"]
                    mean, covariance = saved["found"] or ([], [])
                    self.found = (np.array(mean), np.array(covariance)) if mean else None
            except (ValueError, KeyError, TypeError):
                self.losses, self.found = [], None

    def add(self, losses: Floats) -> None:
        """Keep the losses of one more generation."""
        self.losses.append(losses.tolist())
        self._write()

    def keep(self, mean: Floats, covariance: Floats) -> None:
        """Keep the posterior: what is left to do after it need not wait for it again."""
        self.found = mean, covariance
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            found = None if self.found is None else [part.tolist() for part in self.found]
            write_json(self._path, {"key": self._key, "losses": self.losses, "found": found})

    def remove(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def evolve(
    loss: Callable[[Floats], Floats],
    size: int,
    candidates: int,
    seed: int,
    journal: Journal,
    progress: Progress,
) -> tuple[Floats, float]:
    """Return the best scores found (k,), and their loss.

    Args:
        loss: Of scores (n, k), (n,).
        size: k.
        candidates: How many may be simulated.
        seed: Of the search.
        journal: What an earlier, unfinished search has found.
        progress: Where to show it.
    """
    from cmaes import CMA

    population = 4 + int(3 * np.log(size)) if size > 1 else 6
    population += population % 2
    search = CMA(np.zeros(size), min(_SPREAD, _REACH / np.sqrt(size)), seed=seed, population_size=population)
    best, least = np.zeros(size), np.inf
    rounds = max(1, candidates // population)
    progress.begin("search", rounds)
    for number in range(rounds):
        asked = np.array([search.ask() for _ in range(population)])
        if number == len(journal.losses):
            journal.add(loss(asked))
        losses = journal.losses[number]
        if min(losses) < least:
            best, least = asked[int(np.argmin(losses))], min(losses)
        search.tell(list(zip(asked, losses, strict=True)))
        progress.move("search", number + 1, f"loss {least:.2f}")
        if search.should_stop():
            break
    progress.end("search")
    middle = float(loss(search.mean[None])[0])
    return (search.mean, middle) if middle < least else (best, least)
