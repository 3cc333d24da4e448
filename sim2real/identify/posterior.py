"""What logs say of parameters, and what they leave open: a Gaussian posterior in normal scores.

Around the most likely scores z* the errors are taken as linear, e(z) ≈ e* + J (z − z*), and Gaussian with a
spread of each joint's own. With the prior N(0, C) the posterior is N(z*, (Jᵀ W J + C⁻¹)⁻¹): Laplace's
approximation, with secants as wide as the posterior itself in place of derivatives. What errors do not
depend on keeps its prior exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.objective import FINEST, Objective
from sim2real.identify.space import FARTHEST, Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TOLD = 0.1
"""Share of the prior's variance that logs must have taken from a parameter for them to determine it."""
_TOGETHER = 0.9
"""Correlation from which two parameters are determined only together."""
_FLAT = 0.05
"""Autocorrelation below which errors count as independent."""
_STEPS = (0.01, 0.5)
"""Narrowest and widest half of a secant, in units of the prior's standard deviation."""


@dataclass(frozen=True)
class Sampling:
    """What sampling a posterior came to.

    Attributes:
        samples: How many were drawn.
        effective: How many independent ones they are worth.
        wanted: How many that had to be for their moments to be the posterior's.
    """

    samples: int
    effective: float
    wanted: int

    @property
    def enough(self) -> bool:
        """Whether they count."""
        return self.effective >= max(self.wanted, 1)

    def __str__(self) -> str:
        worth = f"{self.samples} samples, worth {self.effective:.0f} independent ones"
        return f"{worth}" if self.enough else f"Laplace's approximation, for {worth}, not {self.wanted}"


@dataclass(frozen=True)
class Posterior:
    """Parameters after the logs were seen.

    Attributes:
        space: The parameters, and their prior.
        mean: Of their scores (k,).
        covariance: Of their scores (k, k).
        peak: The most likely scores (k,), if they are not the mean.
        sampling: How it was sampled, if it was.
    """

    space: Space
    mean: Floats
    covariance: Floats
    peak: Floats | None = None
    sampling: Sampling | None = None

    @property
    def best(self) -> Floats:
        """The most likely scores (k,)."""
        return self.mean if self.peak is None else self.peak

    @property
    def std(self) -> Floats:
        """Standard deviation of each score (k,); 1 is the prior's."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Floats:
        """Correlation of scores (k, k)."""
        return self.covariance / np.outer(self.std, self.std)

    @property
    def shrinkage(self) -> Floats:
        """Share of the prior's variance that the logs have taken away (k,): 1 is certainty, 0 nothing."""
        return 1.0 - np.diag(self.covariance)

    @property
    def open(self) -> tuple[str, ...]:
        """Parameters that the logs do not determine."""
        return tuple(name for name, s in zip(self.space.names, self.shrinkage, strict=True) if s < TOLD)

    @property
    def together(self) -> tuple[tuple[str, str, float], ...]:
        """Pairs that are determined only together, and their correlation."""
        names, found = self.space.names, self.correlation
        pairs = zip(*np.nonzero(np.triu(np.abs(found) > _TOGETHER, 1)), strict=True)
        return tuple((names[i], names[j], float(found[i, j])) for i, j in pairs)

    def verdict(self, column: int) -> str:
        """Say in words what the logs tell of a parameter."""
        name = self.space.names[column]
        if name in self.open:
            return "not determined by these logs"
        others = [b if a == name else a for a, b, _ in self.together if name in (a, b)]
        return f"only together with {', '.join(others)}" if others else "determined"

    def draw(self, count: int, seed: int) -> Floats:
        """Draw scores (count, k)."""
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(self.mean, self.covariance, count, method="cholesky")


def weights(objective: Objective, errors: Floats) -> Floats:
    """Return one over the standard deviation that each error (m,) counts with (m,).

    It is the joint's root mean square error, times the root of how many rows tell only one row's worth: the
    integrated autocorrelation time of its errors.
    """
    found = np.zeros(len(errors))
    for j in range(len(objective.joints)):
        own = np.flatnonzero(objective.joint == j)
        spread = max(float(np.sqrt(np.mean(errors[own] ** 2))), FINEST)
        found[own] = 1.0 / (spread * np.sqrt(_worth(errors[own], objective.piece[own])))
    return found


def _worth(errors: Floats, piece: Ints) -> float:
    """Return 1 + 2 Σ ρ(lag) of errors (m,) in pieces, up to the first lag at which they are independent."""
    total, sum_ = float(errors @ errors), 1.0
    longest = int(np.bincount(piece).max())
    for lag in range(1, longest if total > 0 else 0):
        same = piece[lag:] == piece[:-lag]
        rho = float((errors[lag:] * errors[:-lag])[same].sum()) / total
        if rho < _FLAT:
            break
        sum_ += 2 * rho
    return sum_


def posterior(objective: Objective, z: Floats, weight: Floats, rounds: int = 2) -> Posterior:
    """Return the posterior around the most likely scores.

    Args:
        objective: Errors of candidates.
        z: The scores (k,).
        weight: See `weights`.
        rounds: How often secants are fitted to the width of the posterior.
    """
    space, precision = objective.space, objective.space.precision
    information = np.zeros_like(precision)
    steps = np.full(len(z), 0.1)
    for _ in range(rounds):
        told = secants(objective, z, steps)[1] * weight[:, None]
        information = told.T @ told
        steps = np.clip(1 / np.sqrt(np.diag(information + precision)), *_STEPS)
    covariance = _inverse(information + precision)
    return Posterior(space, z, covariance)


def secants(objective: Objective, z: Floats, steps: Floats, both: bool = True) -> tuple[Floats, Floats]:
    """Return errors (m,) at scores z (k,) and how they change with each (m, k), by steps (k,) up and down.

    Only up is half the work.
    """
    k = len(z)
    ends = [np.clip(z + sign * np.diag(steps), -FARTHEST, FARTHEST) for sign in ((1, -1) if both else (1,))]
    errors = objective.errors(np.concatenate([z[None], *ends]))
    below = (errors[k + 1 :], ends[1]) if both else (errors[:1], z)
    widths = np.maximum((ends[0] - below[1]).diagonal(), 1e-12)
    return errors[0], (errors[1 : k + 1] - below[0]).T / widths


def _inverse(matrix: Floats) -> Floats:
    found = np.linalg.inv(matrix)
    return (found + found.T) / 2
