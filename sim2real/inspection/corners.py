"""Whether the corners of the source are stable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.envs.vector import TaskVectorEnv
from sim2real.inspection.stage import STEPS, Stage
from sim2real.inspection.tables import is_visual
from sim2real.spec import Program

Floats = NDArray[np.float64]
_NATIVE, _FOREIGN = 64, 8
"""Corners tried, for native tasks and for the slower others."""


@dataclass(frozen=True)
class Corners:
    """What came of the corners tried.

    Attributes:
        tried: How many.
        failed: The domains of those that became unstable (k, d).
        culprits: For each parameter at one of its ends, the share of its corners that failed, where all
            failures have that in common: (name, value, share).
    """

    tried: int
    failed: Floats
    culprits: list[tuple[str, float, float]]


def corners(stage: Stage) -> Corners:
    """Roll out corners of the cube: all low, all high, and random ones, the same at each call."""
    native = isinstance(stage.env, TaskVectorEnv)
    q = _some_corners(stage.program, _NATIVE if native else _FOREIGN)
    v = stage.program.values(q)
    wrong = np.array([stage.run(row).failed for row in v])
    return Corners(len(v), v[wrong], _culprits(stage.program, q, v, wrong))


def _some_corners(program: Program, count: int) -> Floats:
    top = 1 - 2.0**-53
    q = np.random.default_rng(0).integers(0, 2, (count, program.d)) * top
    q[0], q[1] = 0.0, top
    for bound in program.bound:
        if is_visual(bound.term):
            q[:, bound.columns] = 0.0
    return np.asarray(np.unique(q, axis=0), dtype=np.float64)


def _culprits(
    program: Program, q: Floats, v: Floats, wrong: NDArray[np.bool_]
) -> list[tuple[str, float, float]]:
    if not wrong.any() or wrong.all():
        return []
    found: list[tuple[str, float, float]] = []
    for j, name in enumerate(program.names):
        ends = np.unique(q[wrong, j])
        if len(ends) == 1 and len(np.unique(q[:, j])) > 1:
            there = q[:, j] == ends[0]
            found.append((name, float(v[there, j][0]), float(wrong[there].mean())))
    return found


def describe_corners(found: Corners, program: Program) -> list[str]:
    """Return the lines of `sim2real inspect` on corners."""
    head = f"stability: {found.tried} corners of the source over {STEPS} steps of random actions, "
    if not len(found.failed):
        return [head + "all stable"]
    lines = [head + f"{len(found.failed)} UNSTABLE"]
    for name, value, share in found.culprits:
        lines.append(f"  all of them have {name} = {value:.4g}, where {100 * share:.0f} % fail")
    if not found.culprits:
        values = [f"{name} {value:.4g}" for name, value in zip(program.names, found.failed[0], strict=True)]
        lines.append("  one of them: " + ", ".join(values[:12]))
    return lines
