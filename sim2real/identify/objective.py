"""How far simulated joints are from measured ones, for many candidates at once."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.segments import Segment
from sim2real.identify.space import Space
from sim2real.replay import Player

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_MOST = 64
"""Worlds that are simulated at once."""
_LOST = np.pi
"""Error of a world that became unstable, at every joint and time [rad] or [m]."""
FINEST = 1e-5
"""Errors below this count as none [rad] or [m]: no encoder tells them."""


class Objective:
    """Errors of candidates in all pieces of logs.

    Args:
        space: What is searched.
        player_in: Makes worlds in domains (w, d).
        pieces: Pieces of logs; all candidates begin them alike.

    Attributes:
        space: What is searched.
        joints: Names of the joints measured (j,).
        joint: Whose each error is (m,), an index of `joints`.
        piece: In which piece (m,).
        candidates: How many have been simulated.
    """

    def __init__(
        self, space: Space, player_in: Callable[[Floats], Player], pieces: Sequence[Segment]
    ) -> None:
        self.space, self._pieces, self._player_in = space, pieces, player_in
        self._players: dict[int, Player] = {}
        self.joints = tuple(dict.fromkeys(name for piece in pieces for name in piece.log.joints))
        rows = [int(piece.counted.sum()) for piece in pieces]
        own = [[self.joints.index(name) for name in piece.log.joints] for piece in pieces]
        self.joint = np.concatenate([np.repeat(j, n) for j, n in zip(own, rows, strict=True)])
        sizes = [len(j) * n for j, n in zip(own, rows, strict=True)]
        self.piece = np.repeat(np.arange(len(pieces)), sizes)
        self.candidates = 0

    def errors(self, z: Floats) -> Floats:
        """Return simulated minus measured positions (n, m) of scores (n, k), joint by joint in each piece."""
        parts = [self._errors(z[start : start + _MOST]) for start in range(0, len(z), _MOST)]
        return np.concatenate(parts)

    def _errors(self, z: Floats) -> Floats:
        v = self.space.values(z)
        player = self._players.get(len(v))
        if player is None:
            player = self._players[len(v)] = self._player_in(v)
        else:
            player.move(v)
        self.candidates += len(v)
        found: list[Floats] = []
        for piece in self._pieces:
            error = (player.play(piece.log) - piece.log.position)[:, piece.counted]
            found.append(np.swapaxes(error, 1, 2).reshape(len(v), -1))
        errors = np.concatenate(found, axis=1)
        return np.where(np.isfinite(errors), np.clip(errors, -_LOST, _LOST), _LOST)

    def loss(self, z: Floats) -> Floats:
        """Return minus the log posterior of scores (n, k), but for a constant: (n,).

        The spread of each joint's noise is unknown, and takes its most likely value (it is profiled out). A
        piece counts as one measurement of each of its joints, since errors in one are alike.
        """
        return self._misfit(self.errors(z)) + 0.5 * np.einsum("nk,kl,nl->n", z, self.space.precision, z)

    def _misfit(self, errors: Floats) -> Floats:
        total = np.zeros(len(errors))
        for j in range(len(self.joints)):
            own = self.joint == j
            pieces = len(np.unique(self.piece[own]))
            total += 0.5 * pieces * np.log(np.mean(errors[:, own] ** 2, axis=1) + FINEST**2)
        return total
