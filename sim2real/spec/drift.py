"""Quantiles over time: how a term's draw moves inside an episode. Pure functions of key and time."""

import numpy as np
from numpy.typing import NDArray

from randomizers import Schedule
from sim2real.spec.draws import Stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BELOW_ONE = 1.0 - 2.0**-53
_LEVELS = 24
"""Halvings of the longest walk, `_SPAN` times its time; the finest is 6e-5 of that time."""
_SPAN = 1024.0


def quantiles_at(
    schedule: Schedule, stream: Stream, worlds: Ints, episodes: Ints, size: int, time: Floats
) -> Floats:
    """Return quantiles (n, size) in [0, 1) at a time (n,) [s] since each episode began.

    At time 0 every schedule but `sine` and `run` gives the draw that `reset` would.
    """
    t = (time / schedule.seconds)[:, None] if schedule.drifts else np.zeros((len(time), 1))
    if schedule.kind == "run":
        return stream.uniform(worlds, np.zeros_like(episodes), size)
    if schedule.kind == "every":
        index = np.floor(t[:, 0] + 1e-9).astype(np.int64)
        return stream.uniform(worlds, episodes, size, index * size)
    first = stream.uniform(worlds, episodes, size)
    if schedule.kind == "ramp":
        second = stream.uniform(worlds, episodes, size, size)
        return first + np.minimum(t, 1.0) * (second - first)
    if schedule.kind == "sine":
        return np.minimum(0.5 - 0.5 * np.cos(2 * np.pi * (t + first)), _BELOW_ONE)
    if schedule.kind == "walk":
        return _reflected(first + _brownian(stream, worlds, episodes, size, t[:, 0]))
    return first


def _reflected(x: Floats) -> Floats:
    """Fold the line onto [0, 1) as by mirrors at both ends."""
    folded = np.abs((x + 1.0) % 2.0 - 1.0)
    return np.minimum(folded, _BELOW_ONE)


def _brownian(stream: Stream, worlds: Ints, episodes: Ints, size: int, t: Floats) -> Floats:
    """Return standard Brownian motion (n, size) at times t (n,), by Lévy's midpoint construction.

    Each level adds one tent function with a keyed normal height, so that any time can be asked for in any
    order: B(t) = Z₀ s + Σ_j 2^{-j/2-1} tent(2^j s mod 1) Z_{j, floor(2^j s)} for s = t / span, times √span.
    """
    s = np.minimum(t / _SPAN, _BELOW_ONE)
    # The draws of `every` and its kin come first in the stream; the walk's lie far beyond.
    base = 1 << 40
    line = s[:, None] * stream.normal(worlds, episodes, size, base)
    level = np.arange(_LEVELS)[:, None]
    scaled = s * 2.0**level  # (levels, n)
    piece = np.floor(scaled)
    tent = 2.0 ** (-level / 2 - 1) * (1.0 - np.abs(2.0 * (scaled - piece) - 1.0))
    at = base + (2**level + piece.astype(np.int64)) * size
    every = (np.tile(worlds, _LEVELS), np.tile(episodes, _LEVELS), size, at.ravel())
    height = stream.normal(*every).reshape(_LEVELS, len(s), size)
    return np.sqrt(_SPAN) * (line + (tent[:, :, None] * height).sum(axis=0))
