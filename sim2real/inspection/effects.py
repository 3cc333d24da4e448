"""Whether each term alone changes anything, at both ends of its range."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.inspection.reasons import Cases, why_nothing
from sim2real.inspection.stage import Rollout, Stage
from sim2real.inspection.tables import is_visual
from sim2real.spec import Bound, Bundle
from sim2real.worlds import RenderingUnavailableError

Floats = NDArray[np.float64]
TOP = 1 - 2.0**-53


@dataclass(frozen=True)
class Effect:
    """What a term does alone at one end of its range.

    Attributes:
        values: The term's values there (k,).
        moved: Largest change of any number observed over the rollout; of a pixel, for what is only seen.
        travelled: Largest change of any position; 0 for what is only seen.
        failed: Whether the simulation became unstable.
        why: Why nothing changed, where that is known; empty where something did.
    """

    values: Floats
    moved: float
    travelled: float
    failed: bool
    why: str = ""

    @property
    def nothing(self) -> bool:
        """Whether nothing at all changed."""
        return self.moved == 0 == self.travelled and not self.failed


def effects(bundle: Bundle) -> dict[str, tuple[Effect, Effect]]:
    """Run each term alone at the low and at the high end of its range, against nominal.

    All rollouts start alike and take the same random actions.

    Returns:
        For each term the effects at both ends; a term that needs pictures is left out where there is no
        OpenGL, and all are where the environment cannot be randomized.
    """
    if not bundle.program.bound:
        return {}
    stage = Stage(bundle)
    try:
        return dict(_effects(stage)) if stage.host is not None else {}
    finally:
        stage.close()


def _effects(stage: Stage) -> Iterator[tuple[str, tuple[Effect, Effect]]]:
    reference = stage.run(stage.program.nominal, contacts=True)
    cases = Cases(stage.program, reference)
    for bound in stage.program.bound:
        try:
            low, high = (_effect(stage, bound, end, cases) for end in (0.0, TOP))
        except RenderingUnavailableError:
            continue
        yield bound.name, (low, high)


def _effect(stage: Stage, bound: Bound[Any], end: float, cases: Cases) -> Effect:
    v = stage.program.nominal.copy()
    own = np.array([p.distribution.ppf(np.array([end]))[0] for p in bound.parameters])
    v[bound.columns] = own
    if is_visual(bound.term):
        before, after = (stage.picture(x).astype(float) for x in (stage.program.nominal, v))
        effect = Effect(own, float(np.abs(after - before).max()), 0.0, False)
    else:
        effect = _compared(own, cases.reference, stage.run(v))
    if not effect.nothing:
        return effect
    return Effect(own, 0.0, 0.0, False, why_nothing(cases, bound, own))


def _compared(own: Floats, reference: Rollout, other: Rollout) -> Effect:
    k = min(len(reference.seen), len(other.seen))
    moved = float(np.abs(other.seen[:k] - reference.seen[:k]).max())
    travelled = float(np.abs(other.qpos[:k] - reference.qpos[:k]).max(initial=0))
    return Effect(own, moved, travelled, other.failed)
