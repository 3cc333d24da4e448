"""What a spec does that MuJoCo accepts and its author may not mean."""

from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from randomizers import Clock, Delay, OperationTerm, Randomizer
from randomizers.checks import meetings
from randomizers.words import listing
from sim2real.envs.plants import clocked
from sim2real.inspection.stage import Stage
from sim2real.spec import Bound, Program


def warnings(stage: Stage, period: float) -> Iterator[tuple[str, str]]:
    """Yield (term, warning) for everything suspicious.

    Args:
        stage: Where the spec is tried out.
        period: Control period [s]; 0 if it is not known.
    """
    program = stage.program
    for bound in program.bound:
        for check in _CHECKS:
            for message in check(program, bound, period):
                yield bound.name, message
    yield from _unshared(program)


def _too_often(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    when = bound.term.when
    if when.kind == "every" and period and when.seconds < 5 * period:
        yield (
            f"is drawn anew every {when.seconds:g} s, {when.seconds / period:.2g} control steps: so fast "
            "that it averages out, and the policy meets mean dynamics"
        )


def _rounded_clock(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    if not isinstance(bound.term, Clock) or not period:
        return
    nominal = float(program.model.opt.timestep)
    ends = np.array([[p.distribution.support[i] for p in bound.parameters] for i in (0, 1)])
    wished = bound.term.timestep(ends, nominal)
    rows = np.repeat(program.nominal[None], 2, axis=0)
    rows[:, bound.columns] = ends
    steps, applied = clocked(program, rows, period)
    if not np.allclose(wished, applied, rtol=1e-6):
        each = [f"{1000 * t:.4g} ms ({k} in a control step)" for t, k in zip(applied, steps, strict=True)]
        got = " to ".join(each)
        yield f"the control period {1000 * period:g} ms is kept, so the time step is rounded: {got}"
    shortest = _shortest_time_constant(program.model)
    if shortest < 2 * applied.max():
        yield (
            f"contacts with time constant {1000 * shortest:g} ms would need a time step of half of it; "
            f"MuJoCo silently makes them softer at {1000 * applied.max():.4g} ms"
        )


def _shortest_time_constant(model: mujoco.MjModel) -> float:
    own = np.concatenate([model.geom_solref[:, 0], model.jnt_solref[:, 0], [np.inf]])
    return float(own[own > 0].min())


def _rounded_lag(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    if not isinstance(bound.term, Delay):
        return
    low, high = bound.parameters[0].distribution.support
    step = float(program.model.opt.timestep)
    if low < high and np.rint(low / step) == np.rint(high / step):
        yield (
            f"from {1000 * low:g} to {1000 * high:g} ms is one and the same number of physics steps of "
            f"{1000 * step:g} ms: it never varies"
        )


def _reach(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    if isinstance(bound.term, Randomizer) and bound.term.writes == ("actuator_ctrlrange",):
        yield "the control range says what may be asked for; it changes what can be reached, not the plant"


def _constant(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    if isinstance(bound.term, OperationTerm) and bound.parameters:
        low, high = bound.parameters[0].distribution.support
        if low == high:
            yield f"is the same {low:g} in every world: it changes the source, and varies nothing"


def _explicit_damping(program: Program, bound: Bound[Any], period: float) -> Iterator[str]:
    explicit = int(program.model.opt.integrator) in (
        int(mujoco.mjtIntegrator.mjINT_EULER),
        int(mujoco.mjtIntegrator.mjINT_RK4),
    )
    if not explicit or not isinstance(bound.term, Randomizer) or "actuator_biasprm" not in bound.term.writes:
        return
    if (program.model.actuator_biasprm[:, 2] < 0).any():
        yield (
            "the integrator treats actuators' damping explicitly, so a high draw may explode where it would "
            "not in reality; integrator implicitfast does not"
        )


_CHECKS = (_too_often, _rounded_clock, _rounded_lag, _reach, _constant, _explicit_damping)


def _unshared(program: Program) -> Iterator[tuple[str, str]]:
    """Yield sliding frictions drawn apart for geoms that can meet: a contact takes the larger of both."""
    drawn: dict[int, tuple[str, int]] = {}
    for bound in program.terms(Randomizer):
        rows = bound.term.touches(program.model).get("geom_friction")
        if rows is None or 0 not in bound.term.columns(program.model).get("geom_friction", (0,)):
            continue
        shared = len(bound.parameters) == 1
        for k, geom in enumerate(rows.tolist()):
            drawn[geom] = (bound.name, 0 if shared else k)
    meet = meetings(program.model)
    names = dict.fromkeys(
        name
        for a, (name, draw) in drawn.items()
        for b, other in drawn.items()
        if a < b and (name, draw) != other and meet[a, b]
    )
    for name in names:
        geoms = [g for g, (term, _) in drawn.items() if term == name]
        shown = listing((program.model.geom(g).name or f"number {g}" for g in geoms), most=3)
        yield (
            name,
            f"draws friction apart for geoms that can meet ({shown}): a contact takes the larger of both "
            "draws, so what is felt lies above the range's mean; share: true draws one",
        )
