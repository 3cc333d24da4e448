"""A spec bound to a compiled model: quantiles → values → fields.

The cube [0, 1)^d and the map out of it live here. A *domain* is one row `v` of values (n, d); whatever
says "the physics" anywhere in this project is such a row.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Delay, Jitter, Parameter, Randomizer, Term, nominal_field
from randomizers.columns import Columns
from randomizers.words import did_you_mean
from sim2real.spec.correlation import Correlate, bind_correlations
from sim2real.spec.draws import Stream, uniform_columns
from sim2real.spec.drift import quantiles_at
from sim2real.spec.overlaps import overlaps
from sim2real.spec.source import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
T = TypeVar("T", bound=Term)
ROUNDING = 1e-9
"""Share of a range's width below which a value counts as its end: 9 ms and 0.009 differ in the last bit."""


@dataclass(frozen=True)
class Bound(Generic[T]):
    """A term with its columns of the values array."""

    name: str
    term: T
    columns: slice
    parameters: tuple[Parameter, ...]


class Program:
    """The terms of a spec on one model.

    Args:
        model: The nominal model; read only.
        terms: Terms by name, in the spec's order.
        correlate: Groups of parameters that are drawn together, by name.

    Raises:
        ProgramError: With every term that cannot be bound, and every overlap.

    Attributes:
        names: Parameter names (d,): the term's name, or `term.label`.
        nominal: The nominal domain (d,).
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        terms: Mapping[str, Term],
        correlate: Mapping[str, Correlate] | None = None,
    ) -> None:
        self.model = model
        self._made_of = terms, correlate
        self.bound: list[Bound[Any]] = []
        self._found: dict[tuple[type[Term], str | None], list[Bound[Any]]] = {}
        names: list[str] = []
        problems: list[Problem] = []
        for name, term in terms.items():
            try:
                found = term.parameters(model)
            except ValueError as error:
                problems.append(Problem(("randomize", name), str(error)))
                continue
            columns = slice(len(names), len(names) + len(found))
            names += [f"{name}.{label}" if label else name for label in found]
            self.bound.append(Bound(name, term, columns, tuple(found.values())))
        problems += overlaps(model, {b.name: b.term for b in self.bound})
        self.names = tuple(names)
        self.parameters = tuple(p for bound in self.bound for p in bound.parameters)
        self.nominal = np.array([p.nominal for p in self.parameters], dtype=np.float64)
        refused = terms.keys() - {b.name for b in self.bound}
        self._correlations, wrong = bind_correlations(correlate or {}, self, refused)
        if problems or wrong:
            raise ProgramError(problems + wrong)

    def rebound(self, model: mujoco.MjModel) -> "Program":
        """Return the same program on another compiled model.

        Raises:
            ProgramError: As when it was made.
        """
        return Program(model, *self._made_of)

    @property
    def d(self) -> int:
        """Dimension of the cube."""
        return len(self.names)

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """Every model field some term may write."""
        fields = [f for b in self.terms(Randomizer) for f in b.term.writes]
        return tuple(dict.fromkeys(fields))

    def values(self, q: Floats) -> Floats:
        """Map quantiles (n, d) to values (n, d)."""
        return self._columns.ppf(q)

    @cached_property
    def _columns(self) -> Columns:
        return Columns([parameter.distribution for parameter in self.parameters])

    @cached_property
    def nominal_quantiles(self) -> Floats:
        """Quantiles of the nominal domain (d,): the nearest if it lies outside, the middle of several."""
        low, high = np.zeros((2, self.d)), np.ones((2, self.d))
        for _ in range(60):  # bisection: inf {q: value(q) >= nominal}, and sup {q: value(q) <= nominal}
            middle = (low + high) / 2
            values = self.values(middle)
            above = np.stack([values[0] >= self.nominal, values[1] > self.nominal])
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.minimum(((low + high) / 2).mean(axis=0), 1.0 - 2.0**-53)

    @cached_property
    def correlation(self) -> Floats:
        """Correlation of the parameters' normal scores (d, d): that of `correlate`, else the identity."""
        found = np.eye(self.d)
        for group in self._correlations:
            found[np.ix_(group.columns, group.columns)] = group.matrix
        return found

    @cached_property
    def drifts(self) -> bool:
        """Whether any term's values change inside an episode."""
        return any(bound.term.when.drifts for bound in self.bound)

    @cached_property
    def moves(self) -> tuple[str, ...]:
        """Every model field that may change inside an episode: those that a drifting term leads to."""
        randomizers = list(self.terms(Randomizer))
        found = {name for b in randomizers if b.term.when.drifts for name in b.term.writes}
        size = -1
        while size < len(found):  # a term that shares a field is applied again, and writes all of its own
            size = len(found)
            found |= {name for b in randomizers if found & {*b.term.writes} for name in b.term.writes}
        return tuple(name for name in self.writes if name in found)

    def quantiles(self, seed: int, worlds: Ints, episodes: Ints, time: Floats | None = None) -> Floats:
        """Draw quantiles (n, d), keyed by (seed, term, world, episode) and by nothing else.

        Args:
            seed: The run's seed.
            worlds: World indices (n,).
            episodes: Each world's episode number (n,).
            time: Time since each episode began (n,) [s], for terms that drift; None for its beginning.
        """
        q = uniform_columns(seed, *self._streams, worlds, episodes)
        time = np.zeros(len(worlds)) if time is None else time
        for b in self.bound:
            if b.term.when.kind == "reset":
                continue
            stream = Stream(seed, f"term:{b.name}")
            q[:, b.columns] = quantiles_at(b.term.when, stream, worlds, episodes, len(b.parameters), time)
        for correlation in self._correlations:
            q[:, correlation.columns] = correlation.apply(q[:, correlation.columns])
        return q

    @cached_property
    def _streams(self) -> tuple[tuple[str, ...], Ints]:
        """Return each column's stream, and which of its numbers the column is."""
        names = [f"term:{b.name}" for b in self.bound for _ in b.parameters]
        return tuple(names), np.array([j for b in self.bound for j in range(len(b.parameters))], np.int64)

    def terms(self, kind: type[T], path: str | None = None) -> Iterator[Bound[T]]:
        """Yield the terms of a kind in the spec's order; of one path (action, observation), if given."""
        if (kind, path) not in self._found:
            self._found[kind, path] = [
                bound
                for bound in self.bound
                if isinstance(bound.term, kind) and path in (None, getattr(bound.term, "path", None))
            ]
        return iter(cast(list[Bound[T]], self._found[kind, path]))

    def fields(self, v: Floats, names: Collection[str] | None = None) -> dict[str, Floats]:
        """Map values (n, d) to written fields (n, ...), each starting from the nominal model.

        Args:
            v: The values.
            names: `writes`, if not given, or `moves`.
        """
        names, n = self.writes if names is None else names, len(v)
        result = {name: np.repeat(nominal_field(self.model, name)[None], n, axis=0) for name in names}
        for bound in self.terms(Randomizer):
            if not result.keys().isdisjoint(bound.term.writes):
                bound.term.apply(v[:, bound.columns], self.model, result)
        return result

    def delay(self, path: str, v: Floats) -> Floats:
        """Return the delay (n,) [s] of a path, `action` or `observation`, without jitter."""
        total = np.zeros(len(v))
        for bound in self.terms(Delay, path):
            total += bound.term.seconds(v[:, bound.columns])
        return total

    def jitter(self, path: str, v: Floats) -> Floats:
        """Return the largest further delay (n,) [s] that jitter adds to a path."""
        total = np.zeros(len(v))
        for bound in self.terms(Jitter, path):
            total += bound.term.seconds(v[:, bound.columns])
        return total

    def longest_delay(self, path: str, v: Floats | None = None) -> float:
        """Return the longest delay [s] that a path can have: in the source, or in domains v (n, d)."""
        ends = [p.distribution.support[1] for p in self.parameters]
        rows = [np.array([ends]), self.nominal[None]] + ([v] if v is not None else [])
        every = np.concatenate(rows)
        return float((self.delay(path, every) + self.jitter(path, every)).max()) if self.d else 0.0

    def inside(self, v: Floats) -> bool:
        """Whether training could draw the domain v (d,)."""
        return self.distance(v) == 0.0

    def distance(self, v: Floats) -> float:
        """Return how far the domain v (d,) lies outside the source: 0 inside.

        It is the largest excess of one parameter over its range, in units of that range's width (of the
        larger end, where the width is 0).
        """
        return max((self.gap(j, float(x)) for j, x in enumerate(v)), default=0.0)

    def gap(self, column: int, value: float) -> float:
        """Return how far the value of one parameter lies outside its source, as in `distance`."""
        distribution = self.parameters[column].distribution
        if distribution.contains(value):
            return 0.0
        low, high = distribution.support
        excess = max(low - value, value - high, 0.0)
        if excess == 0.0:  # between the values of a choice
            excess = min(abs(value - x) for x in getattr(distribution, "values", (low, high)))
        gap = excess / ((high - low) or max(abs(high), abs(value)))
        return gap if gap > ROUNDING else 0.0

    def columns(self, name: str) -> list[int]:
        """Return the columns that a term's or a parameter's name means.

        Raises:
            ValueError: If there is none; names the nearest.
        """
        if name in self.names:
            return [self.names.index(name)]
        for bound in self.bound:
            if bound.name == name:
                return list(range(bound.columns.start, bound.columns.stop))
        known = dict.fromkeys([*(bound.name for bound in self.bound), *self.names])
        raise ValueError(f"no term or parameter '{name}' under randomize{did_you_mean(name, known)}")


class ProgramError(ValueError):
    """Terms that cannot be bound to a model; `problems` lists them all."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(p.message for p in problems))
