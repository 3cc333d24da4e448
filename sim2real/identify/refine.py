"""The search from near: the least squares that `mujoco.sysid` identifies with, on batched worlds.

`mujoco.minimize.least_squares` is what `mujoco.sysid.optimize` calls by default. Here its Jacobian comes from
worlds that are simulated together, and the prior is k errors more, so that it finds the posterior's maximum.
"""

from typing import Any

import numpy as np
from mujoco.minimize import IterLog, Verbosity, least_squares
from numpy.typing import NDArray

from sim2real.identify.objective import Objective
from sim2real.identify.posterior import secants, weights
from sim2real.identify.space import FARTHEST
from sim2real.progress import Progress

Floats = NDArray[np.float64]
_STEP = 0.02
"""A secant that stands for a derivative, in units of the prior's standard deviation."""
_ROUNDS = 3
"""How often weights are renewed."""
_FEWEST = 3
"""Iterations in each round, at least."""
_DAMPING: Any = {"x_scale": "jac", "mu_min": 1e-4, "mu_max": 1e3, "mu_factor": 10**0.5}
"""Of its steps, in units of each score's own curvature; by default it tries a hundred useless candidates."""
_CLOSE = 1e-4
"""Relative change of scores below which they are found."""


def refine(objective: Objective, z: Floats, candidates: int, progress: Progress) -> tuple[Floats, Floats]:
    """Return the most likely scores (k,) near others (k,), and the weights (m,) they are most likely with.

    Errors are weighted by their own spread, which is that of the last round's result; see `weights`.

    Args:
        objective: Errors of candidates.
        z: Where to begin.
        candidates: About how many may be simulated.
        progress: Where to show it.
    """
    iterations = max(_FEWEST, candidates // (_ROUNDS * (len(z) + 2)))
    progress.begin("least squares", _ROUNDS * iterations)
    weight = weights(objective, objective.errors(z[None])[0])
    for number in range(_ROUNDS):
        done = number * iterations

        def shown(trace: list[IterLog], done: int = done) -> None:
            progress.move("least squares", done + len(trace), f"loss {float(trace[-1].objective):.4g}")

        before, z = z, _least_squares(objective, z, weight, iterations, shown)
        errors = objective.errors(z[None])[0]
        weight = weights(objective, errors)
        if np.abs(z - before).max() < 10 * _CLOSE:
            break
    progress.end("least squares")
    return z, weight


def _least_squares(objective: Objective, z: Floats, weight: Floats, iterations: int, shown: object) -> Floats:
    """Minimize ‖W½ e(z)‖² + zᵀ C⁻¹ z, with weights (m,) fixed."""
    root = np.array(np.linalg.inv(np.linalg.cholesky(objective.space.prior)), dtype=np.float64)

    def residual(x: Floats) -> Floats:  # (k, n) → (m + k, n)
        return np.concatenate([objective.errors(x.T).T * weight[:, None], root @ x])

    def jacobian(x: Floats, _: Floats) -> Floats:
        found = secants(objective, x[:, 0], np.full(len(z), _STEP), both=False)[1]
        return np.concatenate([found * weight[:, None], root])

    ends = np.full(len(z), FARTHEST)
    best, _ = least_squares(
        z, residual, [-ends, ends], jacobian, xtol=_CLOSE, max_iter=iterations, **_DAMPING,
        verbose=Verbosity.SILENT, iter_callback=shown,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return np.array(best.tolist())
