"""What is searched: the cube of a spec in normal scores, without what logs cannot tell."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from randomizers import (
    Bernoulli,
    Choice,
    Clock,
    Constant,
    Distortion,
    Disturbance,
    Jitter,
    Lens,
    Loss,
    Paint,
)
from sim2real.spec import Bound, Program

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FARTHEST = 6.0
"""Largest normal score that is looked at: beyond it lies one in a billion of the prior."""
_BY_CHANCE = "acts by chance, which the error of one replay does not tell"
_KINDS = (
    (Disturbance, "a force from outside, which a replay leaves out"),
    (Clock, "another time step, which a replay leaves out"),
    (Lens | Paint, "only seen, never felt"),
    (Jitter | Loss, _BY_CHANCE),
)


@dataclass(frozen=True)
class Space:
    """Parameters that are searched, as normal scores z (n, k), for which the prior is N(0, C).

    A score is Φ⁻¹ of a quantile, so that whatever a parameter's own distribution is, its score is standard
    normal, and nothing of it has an end.

    Attributes:
        program: Whose parameters they are.
        base: A domain (d,): what the others keep.
        columns: Which parameters (k,).
        left: Why others that vary are not searched, by parameter.
    """

    program: Program
    base: Floats
    columns: Ints
    left: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names (k,)."""
        return tuple(self.program.names[column] for column in self.columns)

    @cached_property
    def prior(self) -> Floats:
        """C, the prior's correlation of scores (k, k)."""
        return self.program.correlation[np.ix_(self.columns, self.columns)]

    @cached_property
    def precision(self) -> Floats:
        """C⁻¹ (k, k)."""
        return np.array(np.linalg.inv(self.prior), dtype=np.float64)

    def values(self, z: Floats) -> Floats:
        """Map scores (n, k) to domains (n, d)."""
        from scipy.special import ndtr

        q = np.full((len(z), self.program.d), 0.5)
        q[:, self.columns] = np.minimum(ndtr(np.clip(z, -FARTHEST, FARTHEST)), 1.0 - 2.0**-53)
        v = np.repeat(self.base[None], len(z), axis=0)
        v[:, self.columns] = self.program.values(q)[:, self.columns]
        return v


def space_of(program: Program, base: Floats, wanted: Collection[str] = ()) -> Space:
    """Return what of a program is searched.

    Args:
        program: The program.
        base: A domain (d,) for the rest.
        wanted: Names of terms or parameters; all by default.

    Raises:
        ValueError: If a name does not exist, or nothing is left to search.
    """
    asked = {column for name in wanted for column in program.columns(name)} or set(range(program.d))
    left, columns = dict[str, str](), list[int]()
    for bound in program.bound:
        for column in sorted(asked.intersection(range(bound.columns.start, bound.columns.stop))):
            distribution = program.parameters[column].distribution
            why = _kept_out(bound)
            if isinstance(distribution, Choice | Bernoulli):
                why = "one of several values, between which there is no way"
            if isinstance(distribution, Constant):
                continue
            if why:
                left[program.names[column]] = why
            else:
                columns.append(column)
    if not columns:
        reasons = "".join(f"; {name}: {why}" for name, why in left.items())
        raise ValueError(f"no term under randomize is left to identify{reasons or ': none varies'}")
    return Space(program, base, np.array(columns), left)


def _kept_out(bound: Bound[Any]) -> str:
    """Return why logs do not tell a term's values; an empty text if they may."""
    for kind, why in _KINDS:
        if isinstance(bound.term, kind):
            return why
    if isinstance(bound.term, Distortion):
        probe = _Probe()
        ones = np.ones((2, len(bound.parameters)))
        width = 1 + max(bound.term.channels or (0,))
        bound.term.distort(ones, np.ones((2, width)), np.ones((2, width)), probe)
        return _BY_CHANCE if probe.used else ""
    return ""


class _Probe:
    """A draw that remembers whether anybody drew; see `randomizers.Draw`."""

    used = False

    def uniform(self, size: int) -> Floats:
        """Return numbers."""
        self.used = True
        return np.full((2, size), 0.5)

    def normal(self, size: int) -> Floats:
        """Return numbers."""
        self.used = True
        return np.zeros((2, size))

    def kept(self) -> "_Probe":
        """Return itself."""
        return self

    def numbered(self, index: Ints) -> "_Probe":
        """Return itself."""
        return self
