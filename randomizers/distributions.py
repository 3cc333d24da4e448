"""Distributions of one physical value, by their inverse CDF: quantile in [0, 1) → value.

Each is a frozen value object with `ppf`, `support` and `==`; none holds a random state, so that a
draw is a pure function of its quantile.
"""

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """One physical value's distribution; see the subclasses."""

    name: ClassVar[str] = ""

    def ppf(self, q: Floats) -> Floats:
        """Map quantiles q (n,) in [0, 1) to values (n,); nondecreasing in q."""
        raise TypeError(f"{type(self).__name__} defines no ppf")

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and the largest value it can give."""
        raise TypeError(f"{type(self).__name__} defines no support")

    def contains(self, value: float) -> bool:
        """Whether a draw could give `value`."""
        low, high = self.support
        return low <= value <= high

    def describe(self) -> str:
        """A short text for tables, as one would write it in YAML."""
        values = ", ".join(f"{getattr(self, f.name):.6g}" for f in fields(self))
        return f"{self.name}({values})"


@dataclass(frozen=True)
class Constant(Distribution):
    """Always `value`."""

    value: float
    name: ClassVar[str] = "constant"

    def ppf(self, q: Floats) -> Floats:
        """Return `value` for every quantile."""
        return np.full_like(q, self.value)

    @property
    def support(self) -> tuple[float, float]:
        """The value twice."""
        return self.value, self.value

    def describe(self) -> str:
        """The number alone."""
        return f"{self.value:.6g}"


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform on [low, high].

    Raises:
        ValueError: If low > high.
    """

    low: float
    high: float
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)

    def ppf(self, q: Floats) -> Floats:
        """Return low + q (high − low), kept inside [low, high] against rounding."""
        return np.clip(self.low + q * (self.high - self.low), self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    def describe(self) -> str:
        """As the YAML list it came from."""
        return f"[{self.low:.6g}, {self.high:.6g}]"


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Uniform in the logarithm on [low, high].

    Raises:
        ValueError: If low ≤ 0 or low > high.
    """

    low: float
    high: float
    name: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"log_uniform needs low > 0, given {self.low:g}")

    def ppf(self, q: Floats) -> Floats:
        """Return low (high / low)^q, kept inside [low, high] against rounding."""
        values = self.low * np.exp(q * math.log(self.high / self.low))
        return np.clip(values, self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with mean and standard deviation; its support is the whole line.

    Raises:
        ValueError: If std ≤ 0.
    """

    mean: float
    std: float
    name: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _positive(self.std, "std")

    def ppf(self, q: Floats) -> Floats:
        """Return mean + std Φ⁻¹(q); q = 0 is taken as the smallest positive quantile."""
        from scipy.special import ndtri

        return self.mean + self.std * ndtri(np.maximum(q, 2.0**-54))

    @property
    def support(self) -> tuple[float, float]:
        """(−∞, ∞)."""
        return -math.inf, math.inf


@dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """Normal(mean, std) conditioned on [low, high], by its own inverse CDF and not by clipping.

    Raises:
        ValueError: If std ≤ 0, low > high, or the interval has no measurable probability.
    """

    mean: float
    std: float
    low: float
    high: float
    name: ClassVar[str] = "truncated_normal"

    def __post_init__(self) -> None:
        _positive(self.std, "std")
        _ordered(self.low, self.high)
        nearest = min(max(self.mean, self.low), self.high)
        if abs(nearest - self.mean) > 8 * self.std:
            raise ValueError(f"[{self.low:g}, {self.high:g}] lies more than 8 std from the mean")

    def ppf(self, q: Floats) -> Floats:
        """Return mean + std Φ⁻¹(Φ(a) + q (Φ(b) − Φ(a))) for the standardized ends a, b."""
        from scipy.special import ndtr, ndtri

        a, b = ((end - self.mean) / self.std for end in (self.low, self.high))
        # The upper tail loses digits near 1: mirror it to the lower one.
        sign = -1.0 if a > 0 else 1.0
        below, above = ndtr(sign * a), ndtr(sign * b)
        values = self.mean + sign * self.std * ndtri(below + q * (above - below))
        return np.clip(values, self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high


@dataclass(frozen=True)
class Beta(Distribution):
    """Beta(a, b) stretched to [low, high].

    Raises:
        ValueError: If a ≤ 0, b ≤ 0 or low > high.
    """

    a: float
    b: float
    low: float
    high: float
    name: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        _positive(self.a, "a")
        _positive(self.b, "b")
        _ordered(self.low, self.high)

    def ppf(self, q: Floats) -> Floats:
        """Return low + (high − low) I⁻¹(q; a, b)."""
        from scipy.special import betaincinv

        # Below any quantile that is drawn, scipy's inverse gives NaN.
        share = betaincinv(self.a, self.b, np.where(q < 2.0**-64, 0.0, q))
        values = self.low + (self.high - self.low) * share
        return np.clip(values, self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high


@dataclass(frozen=True)
class Choice(Distribution):
    """One of the listed values, each as likely; kept in ascending order.

    Raises:
        ValueError: If the list is empty.
    """

    values: tuple[float, ...]
    name: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choice needs at least one value")
        object.__setattr__(self, "values", tuple(sorted(self.values)))

    def ppf(self, q: Floats) -> Floats:
        """Return the value in whose equal share of [0, 1) the quantile falls."""
        index = np.minimum((q * len(self.values)).astype(int), len(self.values) - 1)
        return np.asarray(self.values)[index]

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and the largest of the values."""
        return self.values[0], self.values[-1]

    def contains(self, value: float) -> bool:
        """Whether `value` is one of the listed ones."""
        return value in self.values

    def describe(self) -> str:
        """The values listed."""
        return f"choice({', '.join(f'{value:.6g}' for value in self.values)})"


@dataclass(frozen=True)
class Bernoulli(Distribution):
    """1 with probability p, else 0.

    Raises:
        ValueError: If p is not a probability.
    """

    p: float
    name: ClassVar[str] = "bernoulli"

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be between 0 and 1, given {self.p:g}")

    def ppf(self, q: Floats) -> Floats:
        """Return 1 in the upper share p of the quantiles."""
        return (q >= 1 - self.p).astype(np.float64)

    @property
    def support(self) -> tuple[float, float]:
        """(0, 1)."""
        return 0.0, 1.0

    def contains(self, value: float) -> bool:
        """Whether `value` is 0 or 1."""
        return value in (0.0, 1.0)


# YAML word → (class, names of its numbers in order); `choice` takes a list of any length
BY_NAME: dict[str, type[Distribution]] = {
    cls.name: cls for cls in (Uniform, LogUniform, Normal, TruncatedNormal, Beta, Choice, Bernoulli, Constant)
}


def _ordered(low: float, high: float) -> None:
    if not low <= high:
        raise ValueError(f"low {low:g} is above high {high:g}")


def _positive(value: float, name: str) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be > 0, given {value:g}")
