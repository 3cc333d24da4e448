"""Why a term that should change something changes nothing: what MuJoCo ignores without a word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Delay, Jitter, Randomizer
from randomizers.words import listing
from sim2real.inspection.stage import STEPS, Meeting, Rollout
from sim2real.inspection.tables import is_visual
from sim2real.spec import Bound, Program

Floats = NDArray[np.float64]
# geom_friction's columns, and the contact dimension from which each counts
_SLIDING = 0
_NEEDS_DIM = {0: 3, 1: 4, 2: 6}


@dataclass(frozen=True)
class Cases:
    """What is known of the nominal rollout.

    Attributes:
        program: What may vary.
        reference: The nominal rollout, with its contacts.
    """

    program: Program
    reference: Rollout

    @property
    def model(self) -> mujoco.MjModel:
        """The nominal model."""
        return self.program.model

    def name(self, kind: str, i: int) -> str:
        """Return an element's name, or its number; a geom without one is named after its body."""
        own = getattr(self.model, kind)(i).name
        if not own and kind == "geom":
            return f"geom {i} of {self.model.body(int(self.model.geom_bodyid[i])).name}"
        return own or f"{kind} {i}"


def why_nothing(cases: Cases, bound: Bound[Any], values: Floats) -> str:
    """Explain why a term's values (k,) changed nothing; empty where no reason is known.

    Args:
        cases: The nominal rollout.
        bound: The term.
        values: Its values, which had no effect.
    """
    if (values == [p.nominal for p in bound.parameters]).all():
        return "this end is the nominal value"
    if isinstance(bound.term, Delay | Jitter):
        half = 500 * float(cases.model.opt.timestep)
        return f"it is below half a physics step ({half:g} ms) and rounds to none"
    if is_visual(bound.term):
        return "the camera does not see what it changes"
    if not isinstance(bound.term, Randomizer):
        return ""
    touched = bound.term.touches(cases.model)
    for field, explain in _BY_FIELD.items():
        if field in touched:
            return explain(cases, bound, values, touched[field])
    return ""


def _friction(cases: Cases, bound: Bound[Any], values: Floats, geoms: NDArray[np.int64]) -> str:
    met = [m for m in cases.reference.met if set(m.geoms) & set(geoms.tolist())]
    if not met:
        return f"{_some(cases, geoms)} touched nothing in {STEPS} steps"
    column = _column(cases, bound, values)
    reasons = dict.fromkeys(reason for m in met for reason in _lost(cases, bound, values, m, geoms, column))
    return "; ".join(reasons)


def _column(cases: Cases, bound: Bound[Any], values: Floats) -> int:
    """Return which of the three frictions a term writes."""
    fields = cases.program.fields(_with(cases.program, bound, values))
    changed = fields["geom_friction"][0] != cases.model.geom_friction
    return int(np.flatnonzero(changed.any(axis=0))[0]) if changed.any() else _SLIDING


def _lost(
    cases: Cases, bound: Bound[Any], values: Floats, m: Meeting, geoms: NDArray[np.int64], column: int
) -> Iterator[str]:
    """Yield why a friction is not felt in one contact."""
    model, names = cases.model, [cases.name("geom", g) for g in m.geoms]
    pair = " and ".join(names)
    if m.pair >= 0:
        yield f"{pair} meet in an explicit <pair>, whose own friction counts; use pair_friction"
        return
    if m.dim < _NEEDS_DIM[column]:
        what = "torsional" if column == 1 else "rolling" if column == 2 else "all"
        yield f"contacts of {pair} have condim {m.dim}, which knows no {what} friction"
        return
    mine = [g for g in m.geoms if g in geoms]
    others = [g for g in m.geoms if g not in geoms]
    for own in mine:
        for other in others:
            if model.geom_priority[other] > model.geom_priority[own]:
                yield f"{cases.name('geom', other)} has the higher priority, so its friction counts alone"
                continue
            if text := _outdone(cases, bound, values, (own, other), column):
                yield text


def _outdone(cases: Cases, bound: Bound[Any], values: Floats, geoms: tuple[int, int], column: int) -> str:
    """Say that the other geom's friction is the larger, if it is so before and after."""
    own, other = geoms
    if cases.model.geom_priority[own] > cases.model.geom_priority[other]:
        return ""
    now = cases.program.fields(_with(cases.program, bound, values))["geom_friction"][0, own, column]
    its = cases.model.geom_friction[other, column]
    if max(now, cases.model.geom_friction[own, column]) > its:
        return ""
    return (
        f"a contact takes the larger friction of its geoms, and {cases.name('geom', other)} has {its:g}; "
        "select both, with share: true"
    )


def _contact(cases: Cases, bound: Bound[Any], values: Floats, geoms: NDArray[np.int64]) -> str:
    met = [m for m in cases.reference.met if set(m.geoms) & set(geoms.tolist())]
    if not met:
        return f"{_some(cases, geoms)} touched nothing in {STEPS} steps"
    if all(m.pair >= 0 for m in met):
        return f"{_some(cases, geoms)} met others only in explicit <pair>s, which have their own numbers"
    return ""


def _pair(cases: Cases, bound: Bound[Any], values: Floats, pairs: NDArray[np.int64]) -> str:
    touched = any(m.pair in pairs for m in cases.reference.met)
    return "" if touched else f"the geoms of these pairs did not touch in {STEPS} steps"


def _limit(cases: Cases, bound: Bound[Any], values: Floats, joints: NDArray[np.int64]) -> str:
    return f"no joint came to its limit in {STEPS} steps"


def _servo(cases: Cases, bound: Bound[Any], values: Floats, actuators: NDArray[np.int64]) -> str:
    return f"no control or force came to its limit in {STEPS} steps"


def _still(cases: Cases, bound: Bound[Any], values: Floats, dofs: NDArray[np.int64]) -> str:
    moved = np.ptp(cases.reference.qpos, axis=0)
    address = cases.model.jnt_qposadr[cases.model.dof_jntid[dofs]]
    return f"these joints did not move in {STEPS} steps" if (moved[address] == 0).all() else ""


def _medium(cases: Cases, bound: Bound[Any], values: Floats, rows: NDArray[np.int64]) -> str:
    opt = cases.model.opt
    if opt.density == 0 and opt.viscosity == 0:
        return "the medium has neither density nor viscosity, so wind moves nothing; give density"
    return ""


def _body(cases: Cases, bound: Bound[Any], values: Floats, bodies: NDArray[np.int64]) -> str:
    return f"{listing(cases.name('body', int(b)) for b in bodies[:3])} did not move, or nothing bore on it"


_BY_FIELD: dict[str, Callable[[Cases, Bound[Any], Floats, NDArray[np.int64]], str]] = {
    "geom_friction": _friction,
    "geom_solref": _contact,
    "geom_solimp": _contact,
    "geom_margin": _contact,
    "geom_gap": _contact,
    "geom_size": _contact,
    "pair_friction": _pair,
    "jnt_range": _limit,
    "jnt_margin": _limit,
    "jnt_solref": _limit,
    "actuator_ctrlrange": _servo,
    "actuator_forcerange": _servo,
    "dof_damping": _still,
    "dof_frictionloss": _still,
    "dof_armature": _still,
    "opt.wind": _medium,
    "body_mass": _body,
    "body_ipos": _body,
}


def _some(cases: Cases, geoms: NDArray[np.int64]) -> str:
    return listing((cases.name("geom", int(g)) for g in geoms), most=3)


def _with(program: Program, bound: Bound[Any], values: Floats) -> Floats:
    v = program.nominal.copy()
    v[bound.columns] = values
    return v[None]
