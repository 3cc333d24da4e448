"""A spec bound to a compiled model: quantiles → values → fields.

The cube [0, 1)^d and the map out of it live here. A *domain* is one row `v` of values (n, d); whatever
says "the physics" anywhere in this project is such a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Delay, Noise, Parameter, Randomizer, Term, nominal_field
from randomizers.words import did_you_mean, listing
from sim2real.spec.draws import Stream
from sim2real.spec.source import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDING = 1e-9
"""Share of a range's width below which a value counts as its end: 9 ms and 0.009 differ in the last bit."""


@dataclass(frozen=True)
class Bound:
    """A term with its columns of the values array."""

    name: str
    term: Term
    columns: slice
    parameters: tuple[Parameter, ...]


class Program:
    """The terms of a spec on one model.

    Args:
        model: The nominal model; read only.
        terms: Terms by name, in the spec's order.

    Raises:
        ProgramError: With every term that cannot be bound, and every overlap.

    Attributes:
        names: Parameter names (d,): the term's name, or `term.label`.
        nominal: The nominal domain (d,).
    """

    def __init__(self, model: mujoco.MjModel, terms: Mapping[str, Term]) -> None:
        self.model = model
        self.bound: list[Bound] = []
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
        problems += _overlaps(model, self.bound)
        if problems:
            raise ProgramError(problems)
        self.names = tuple(names)
        self.parameters = tuple(p for bound in self.bound for p in bound.parameters)
        self.nominal = np.array([p.nominal for p in self.parameters], dtype=np.float64)

    @property
    def d(self) -> int:
        """Dimension of the cube."""
        return len(self.names)

    @property
    def writes(self) -> tuple[str, ...]:
        """Every model field some term may write."""
        fields = [f for b in self.bound if isinstance(b.term, Randomizer) for f in b.term.writes]
        return tuple(dict.fromkeys(fields))

    def values(self, q: Floats) -> Floats:
        """Map quantiles (n, d) to values (n, d)."""
        v = np.empty_like(q)
        for j, parameter in enumerate(self.parameters):
            v[:, j] = parameter.distribution.ppf(q[:, j])
        return v

    def quantiles(self, seed: int, worlds: Ints, episodes: Ints) -> Floats:
        """Draw quantiles (n, d), keyed by (seed, term, world, episode) and by nothing else."""
        q = np.empty((len(worlds), self.d))
        for bound in self.bound:
            stream = Stream(seed, f"term:{bound.name}")
            q[:, bound.columns] = stream.uniform(worlds, episodes, len(bound.parameters))
        return q

    def fields(self, v: Floats) -> dict[str, Floats]:
        """Map values (n, d) to every written field (n, ...), each starting from the nominal model."""
        n = len(v)
        result = {name: np.repeat(nominal_field(self.model, name)[None], n, axis=0) for name in self.writes}
        for bound in self.bound:
            if isinstance(bound.term, Randomizer):
                bound.term.apply(v[:, bound.columns], self.model, result)
        return result

    def delay(self, path: str, v: Floats) -> Floats:
        """Return the total delay (n,) [s] of a path, `action` or `observation`."""
        total = np.zeros(len(v))
        for bound in self.bound:
            if isinstance(bound.term, Delay) and bound.term.path == path:
                total += bound.term.seconds(v[:, bound.columns])
        return total

    def longest_delay(self, path: str, v: Floats | None = None) -> float:
        """Return the longest delay [s] that a path can have: in the source, or in domains v (n, d)."""
        ends = [p.distribution.support[1] for p in self.parameters]
        rows = [np.array([ends]), self.nominal[None]] + ([v] if v is not None else [])
        return float(self.delay(path, np.concatenate(rows)).max()) if self.d else 0.0

    def noise(self, v: Floats) -> Floats:
        """Return the standard deviation (n,) of the observation noise."""
        variance = np.zeros(len(v))
        for bound in self.bound:
            if isinstance(bound.term, Noise):
                variance += bound.term.std(v[:, bound.columns]) ** 2
        return np.sqrt(variance)

    @property
    def noisy(self) -> bool:
        """Whether any term adds observation noise."""
        return any(isinstance(bound.term, Noise) for bound in self.bound)

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


class ProgramError(Exception):
    """Terms that cannot be bound to a model; `problems` lists them all."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(p.message for p in problems))


def _overlaps(model: mujoco.MjModel, bound: list[Bound]) -> list[Problem]:
    """Find terms that write the same rows of a field, or act on the same signal."""
    problems: list[Problem] = []
    owner: dict[tuple[str, int], str] = {}
    signals: dict[str, str] = {}
    for b in bound:
        path = ("randomize", b.name)
        if isinstance(b.term, Randomizer):
            taken = [(field, int(row)) for field, rows in b.term.touches(model).items() for row in rows]
            clash = [key for key in taken if key in owner]
            if clash:
                others = listing(f"'{name}'" for name in dict.fromkeys(owner[key] for key in clash))
                what = listing(dict.fromkeys(_row(model, field, row) for field, row in clash), most=4)
                message = f"writes what {others} writes already ({what}); narrow a select, or drop one term"
                problems.append(Problem(path, message))
            owner = dict.fromkeys(taken, b.name) | owner
        else:
            signal = _signal(b.term)
            if signal in signals:
                message = f"a second {signal} beside '{signals[signal]}'; keep one of them"
                problems.append(Problem(path, message))
            signals.setdefault(signal, b.name)
    return problems


def _row(model: mujoco.MjModel, field: str, row: int) -> str:
    """Name one row of a field: `body_mass of torso`."""
    kind = field.partition("_")[0]
    if kind == "dof":
        kind, row = "joint", int(model.dof_jntid[row])
    if kind not in ("body", "geom", "joint", "actuator", "light"):
        return field
    return f"{field} of {getattr(model, kind)(row).name or f'number {row}'}"


def _signal(term: Term) -> str:
    """Name what a term acts on that is not the model."""
    if isinstance(term, Delay):
        return f"{term.path}_latency"
    return "observation_noise" if isinstance(term, Noise) else term.type
