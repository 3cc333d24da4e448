"""Random numbers that depend on their key and on nothing else.

A stream is keyed by (seed, name); a number in it by (world, episode, index). So a draw does not change
with the number of worlds, the order of resets, threads, or what else is drawn.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_U64 = np.uint64
_Bits = NDArray[np.uint64]
# Constants are arrays without dimensions, with which numpy calculates twice as fast as with its scalars.
_GOLDEN, _FIRST, _SECOND = (
    np.array(x, _U64) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_S11, _S27, _S30, _S31 = (np.array(x, _U64) for x in (11, 27, 30, 31))


class Stream:
    """Uniform and normal numbers of one name.

    Args:
        seed: The run's seed.
        name: What the numbers are for, such as a term's name.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._key = _key(seed, name)

    def uniform(self, worlds: Ints, episodes: Ints, size: int, at: int | Ints = 0) -> Floats:
        """Return numbers (n, size) in [0, 1), for each pair of world and episode.

        Args:
            worlds: World indices (n,).
            episodes: Each world's episode number (n,).
            size: How many numbers each.
            at: Index of the first, to read on in the same stream; one for all, or one each (n,).
        """
        return _unit(_mix(self._counters(worlds, episodes, size, at)))

    def normal(self, worlds: Ints, episodes: Ints, size: int, at: int | Ints = 0) -> Floats:
        """Return standard normal numbers (n, size) by the Box–Muller transform; keys as in `uniform`."""
        # Number k takes the uniform numbers 2 k and 2 k + 1.
        even = self._counters(worlds, episodes, size, 2 * at, 2)
        odd = even + _GOLDEN
        radius, angle = _unit(_mix(even)), _unit(_mix(odd))
        np.log1p(np.negative(radius, out=radius), out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        angle *= 2.0 * np.pi
        radius *= np.cos(angle, out=angle)
        return radius

    def _counters(self, worlds: Ints, episodes: Ints, size: int, at: int | Ints, stride: int = 1) -> _Bits:
        """Return what is mixed to numbers (n, size), every `stride`-th of the stream."""
        rows = _rows(self._key, np.asarray(worlds, _U64), np.asarray(episodes, _U64))
        index = np.asarray(at, _U64).reshape(-1, 1) + np.arange(0, stride * size, stride, dtype=_U64)
        return rows[:, None] + index * _GOLDEN


def uniform_columns(seed: int, names: tuple[str, ...], index: Ints, worlds: Ints, episodes: Ints) -> Floats:
    """Return numbers (n, d): column j is number `index[j]` of the stream `names[j]`, all drawn at once.

    Args:
        seed: The run's seed.
        names: The streams' names (d,).
        index: Which of a stream's numbers (d,).
        worlds: World indices (n,).
        episodes: Each world's episode number (n,).
    """
    rows = _rows(_keys(seed, names), np.asarray(worlds, _U64)[:, None], np.asarray(episodes, _U64)[:, None])
    return _unit(_mix(rows + index.astype(_U64) * _GOLDEN))


@lru_cache(4096, typed=True)
def _key(seed: int, name: str) -> _Bits:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return np.array(int.from_bytes(digest, "little"), _U64)


@lru_cache(64, typed=True)
def _keys(seed: int, names: tuple[str, ...]) -> _Bits:
    return np.array([_key(seed, name) for name in names], dtype=_U64)


def _rows(key: _Bits, worlds: _Bits, episodes: _Bits) -> _Bits:
    """Return the first counter of each pair of world and episode, of one stream or of several."""
    return _mix(_mix(key + worlds * _GOLDEN) + episodes * _GOLDEN)


def _unit(bits: _Bits) -> Floats:
    """Return numbers in [0, 1) made of the upper 53 bits."""
    numbers = np.right_shift(bits, _S11, out=bits).astype(np.float64)
    numbers *= 2.0**-53
    return numbers


def _mix(x: _Bits) -> _Bits:
    """Finalize in place as SplitMix64 does (Steele, Lea and Flood 2014): every bit reaches every bit."""
    x ^= x >> _S30
    x *= _FIRST
    x ^= x >> _S27
    x *= _SECOND
    x ^= x >> _S31
    return x


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
    worlds: Ints
    episodes: Ints
    index: Ints

    def uniform(self, size: int) -> Floats:
        """Return (n, size) in [0, 1)."""
        return self.stream.uniform(self.worlds, self.episodes, size, self.index * size)

    def normal(self, size: int) -> Floats:
        """Return (n, size) standard normal."""
        return self.stream.normal(self.worlds, self.episodes, size, self.index * size)

    def kept(self) -> "KeyedDraw":
        """Return a draw that is the same for the whole episode."""
        return self.numbered(np.zeros_like(self.index))

    def numbered(self, index: Ints) -> "KeyedDraw":
        """Return a draw keyed by `index` (n,) instead of the control step."""
        return replace(self, index=index)


@dataclass(frozen=True)
class Moment:
    """The key of whatever is drawn now for n worlds: seed, worlds, episodes, control steps (n,) each."""

    seed: int
    worlds: Ints
    episodes: Ints
    steps: Ints

    def draw(self, name: str) -> KeyedDraw:
        """Return the random numbers of what is called `name`."""
        return KeyedDraw(Stream(self.seed, name), self.worlds, self.episodes, self.steps)

    def take(self, ids: Ints) -> "Moment":
        """Return the key of the worlds at rows `ids`."""
        return Moment(self.seed, self.worlds[ids], self.episodes[ids], self.steps[ids])
