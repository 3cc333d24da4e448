"""What the posterior says of each value: its mean and spread, and a distribution that a spec can name."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from randomizers import Distribution, Normal, TruncatedNormal

Floats = NDArray[np.float64]
_FARTHEST = 6.0
"""How many of its own standard deviations a truncated normal's mean may lie outside its ends."""


def moments(prior: Distribution, mean: float, std: float) -> tuple[float, float]:
    """Return mean and standard deviation of a value whose score is normal.

    Args:
        prior: Of the value; its quantile function leads from scores to values.
        mean: Of the score.
        std: Of the score.
    """
    points, share = _hermite()
    values = _values(prior, mean + std * points)
    centre = float(share @ values)
    return centre, float(np.sqrt(share @ (values - centre) ** 2))


def margin(prior: Distribution, mean: float, std: float) -> Normal | TruncatedNormal:
    """Return the normal distribution, truncated where the prior ends, that is nearest to a value's.

    Nearest in the 2-Wasserstein distance, which compares quantiles: exact if the prior is normal, close if it
    is uniform or the score is well known.

    Args:
        prior: Of the value.
        mean: Of its score.
        std: Of its score.
    """
    from scipy.optimize import least_squares

    if isinstance(prior, Normal):
        return Normal(prior.mean + prior.std * mean, prior.std * std)
    low, high = prior.support
    q = (np.arange(25) + 0.5) / 25
    wanted = _values(prior, mean + std * Normal(0.0, 1.0).ppf(q))
    centre, spread = moments(prior, mean, std)
    width = high - low
    spread = max(spread, 1e-9 * width)

    def truncated(x: Floats) -> TruncatedNormal:
        own = spread * float(np.exp(x[1]))
        centre_ = centre + spread * x[0]
        return TruncatedNormal(
            float(np.clip(centre_, low - _FARTHEST * own, high + _FARTHEST * own)), own, low, high
        )

    most = np.log(10 * width / spread)
    found = least_squares(
        lambda x: (truncated(x).ppf(q) - wanted) / spread, [0.0, 0.0], bounds=([-20, -3], [20, max(most, 1)])
    )
    return truncated(found.x)


@cache
def _hermite() -> tuple[Floats, Floats]:
    points, share = np.polynomial.hermite_e.hermegauss(41)
    return points, share / share.sum()


def _values(prior: Distribution, scores: Floats) -> Floats:
    from scipy.special import ndtr

    return prior.ppf(np.minimum(ndtr(scores), 1.0 - 2.0**-53))
