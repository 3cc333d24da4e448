"""Random numbers that depend on their key and on nothing else.

A stream is keyed by (seed, name); a number in it by (world, episode, index). So a draw does not change
with the number of worlds, the order of resets, threads, or what else is drawn.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_U64 = np.uint64
_GOLDEN = _U64(0x9E3779B97F4A7C15)


class Stream:
    """Uniform and normal numbers of one name.

    Args:
        seed: The run's seed.
        name: What the numbers are for, such as a term's name.
    """

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
        self._key = _U64(int.from_bytes(digest, "little"))

    def uniform(
        self,
        worlds: NDArray[np.int64],
        episodes: NDArray[np.int64],
        size: int,
        at: int | NDArray[np.int64] = 0,
    ) -> Floats:
        """Return numbers (n, size) in [0, 1), for each pair of world and episode.

        Args:
            worlds: World indices (n,).
            episodes: Each world's episode number (n,).
            size: How many numbers each.
            at: Index of the first, to read on in the same stream; one for all, or one each (n,).
        """
        with np.errstate(over="ignore"):
            row = _mix(
                _mix(self._key + np.asarray(worlds, _U64) * _GOLDEN) + np.asarray(episodes, _U64) * _GOLDEN
            )
            index = np.asarray(at, _U64).reshape(-1, 1) + np.arange(size, dtype=_U64)
            bits = _mix(row[:, None] + index * _GOLDEN)
        return (bits >> _U64(11)).astype(np.float64) * 2.0**-53

    def normal(
        self,
        worlds: NDArray[np.int64],
        episodes: NDArray[np.int64],
        size: int,
        at: int | NDArray[np.int64] = 0,
    ) -> Floats:
        """Return standard normal numbers (n, size) by the Box–Muller transform; keys as in `uniform`."""
        u = self.uniform(worlds, episodes, 2 * size, 2 * at)
        radius = np.sqrt(-2.0 * np.log1p(-u[:, ::2]))
        return radius * np.cos(2.0 * np.pi * u[:, 1::2])


@dataclass(frozen=True)
class KeyedDraw:
    """Random numbers of one name for n worlds; see `randomizers.kinds.Draw`.

    Attributes:
        stream: Where they come from.
        worlds: World indices (n,).
        episodes: Each world's episode number (n,).
        index: What else keys them (n,), by default the control step.
    """

    stream: Stream
    worlds: NDArray[np.int64]
    episodes: NDArray[np.int64]
    index: NDArray[np.int64]

    def uniform(self, size: int) -> Floats:
        """Return (n, size) in [0, 1)."""
        return self.stream.uniform(self.worlds, self.episodes, size, self.index * size)

    def normal(self, size: int) -> Floats:
        """Return (n, size) standard normal."""
        return self.stream.normal(self.worlds, self.episodes, size, self.index * size)

    def kept(self) -> "KeyedDraw":
        """Return a draw that is the same for the whole episode."""
        return self.numbered(np.zeros_like(self.index))

    def numbered(self, index: NDArray[np.int64]) -> "KeyedDraw":
        """Return a draw keyed by `index` (n,) instead of the control step."""
        return replace(self, index=index)


@dataclass(frozen=True)
class Moment:
    """The key of whatever is drawn now for n worlds: seed, worlds, episodes, control steps (n,) each."""

    seed: int
    worlds: NDArray[np.int64]
    episodes: NDArray[np.int64]
    steps: NDArray[np.int64]

    def draw(self, name: str) -> KeyedDraw:
        """Return the random numbers of what is called `name`."""
        return KeyedDraw(Stream(self.seed, name), self.worlds, self.episodes, self.steps)

    def take(self, ids: NDArray[np.int64]) -> "Moment":
        """Return the key of the worlds at rows `ids`."""
        return Moment(self.seed, self.worlds[ids], self.episodes[ids], self.steps[ids])


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalize as SplitMix64 does (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> _U64(27))) * _U64(0x94D049BB133111EB)
    return x ^ (x >> _U64(31))
