"""Bands in which the next motion should lie, by what logs leave open and by what no domain explains.

The posterior predictive of a joint's position is the mixture of its replays in domains drawn from the
posterior, each spread as measurements were around the most likely domain in the pieces that were fitted. That
is taken as it was found, for joints that stick make it anything but normal.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.objective import Objective
from sim2real.logs import Log

Floats = NDArray[np.float64]
SHARE = 0.9
"""Share of samples that a band should cover."""
DRAWS = 8
"""Domains drawn from the posterior."""


def residuals(objective: Objective, z: Floats) -> dict[str, Floats]:
    """Return by joint, in ascending order, how far measurements are from scores z (k,) in all pieces."""
    errors = -objective.errors(z[None])[0]
    return {name: np.sort(errors[objective.joint == j]) for j, name in enumerate(objective.joints)}


def covered(log: Log, drawn: Floats, spread: Mapping[str, Floats]) -> float:
    """Return the share of a log's samples inside the central band of the posterior predictive.

    Args:
        log: What was measured.
        drawn: Where its joints are in drawn domains (m, n, j); those that became unstable are left out.
        spread: See `residuals`; joints that were not fitted are left out.
    """
    drawn = drawn[np.isfinite(drawn).all(axis=(1, 2))][:, log.seen]
    known = [i for i, name in enumerate(log.joints) if name in spread]
    if not (len(drawn) and known):
        return float("nan")
    inside: list[Floats] = []
    for i in known:
        own = spread[log.joints[i]]
        off = log.position[log.seen, i] - drawn[:, :, i]
        below, above = (np.searchsorted(own, off, side).mean(axis=0) / len(own) for side in ("left", "right"))
        low, high = (1 - SHARE) / 2, (1 + SHARE) / 2
        inside.append((above >= low) & (below <= high))
    return float(np.mean(inside))
