"""Finds terms of a program that would write the same thing twice."""

from collections.abc import Iterator, Mapping
from typing import cast

import mujoco
import numpy as np

from randomizers import Clock, Delay, Drive, Jitter, Loss, Randomizer, Term, nominal_field
from randomizers.words import listing
from sim2real.spec.source import Problem

Number = tuple[str, int, int]
"""A field, a row and a column of it."""


def overlaps(model: mujoco.MjModel, terms: Mapping[str, Term]) -> list[Problem]:
    """Return a problem for each term that writes numbers of a field, or acts on a signal, that another does.

    A term that composes may stand after one that writes the same numbers, not before. Distortions and
    pictures' terms act one after the other, and forces add up: those never clash.
    """
    problems: list[Problem] = []
    writers: dict[Number, list[str]] = {}
    signals: dict[str, str] = {}
    drives: dict[tuple[str, int], str] = {}
    for name, term in terms.items():
        path = ("randomize", name)
        if isinstance(term, Randomizer):
            taken = list(_numbers(model, term))
            if not term.composes:
                met = {number: writers[number] for number in taken if number in writers}
                problems += [Problem(path, text) for text in _clash(model, name, met, terms)]
            for number in taken:
                writers.setdefault(number, []).append(name)
        elif isinstance(term, Delay | Jitter | Loss | Clock):
            signal = "time step" if isinstance(term, Clock) else _signal(term)
            if signal in signals:
                problems.append(
                    Problem(path, f"a second {signal} beside '{signals[signal]}'; keep one of them")
                )
            signals.setdefault(signal, name)
        elif isinstance(term, Drive):
            problems += [Problem(path, text) for text in _twice(model, name, term, drives)]
    return problems


def _twice(
    model: mujoco.MjModel, name: str, term: Drive, drives: dict[tuple[str, int], str]
) -> Iterator[str]:
    """Say what a servo has from an earlier term already, and note what it has from this one."""
    count = len(term.parameters(model))
    effects = term.effects(np.zeros((1, count)), len(term.actuators(model)))
    for effect in effects:
        for actuator in term.actuators(model).tolist():
            other = drives.setdefault((effect, actuator), name)
            if other != name:
                called = model.actuator(actuator).name or f"number {actuator}"
                yield f"a second {effect} of {called} beside '{other}'; keep one of them"
                break


def _numbers(model: mujoco.MjModel, term: Randomizer) -> Iterator[Number]:
    """Yield the place of each number that a term writes."""
    columns = term.columns(model)
    for field, rows in term.touches(model).items():
        width = np.atleast_1d(nominal_field(model, field))[:1].size
        for row in rows:
            yield from ((field, int(row), column) for column in columns.get(field, range(width)))


def _clash(
    model: mujoco.MjModel, name: str, met: Mapping[Number, list[str]], terms: Mapping[str, Term]
) -> Iterator[str]:
    """Say what is wrong with a term that finds numbers written by earlier ones."""
    earlier = dict.fromkeys(other for others in met.values() for other in others)
    fixed = [other for other in earlier if not cast(Randomizer, terms[other]).composes]
    named = fixed or list(earlier)
    if not named:
        return
    places = (place for place, others in met.items() if set(others) & set(named))
    what = listing(dict.fromkeys(_row(model, field, row) for field, row, _ in places), most=4)
    theirs = listing(f"'{other}'" for other in named)
    if fixed:
        yield f"writes what {theirs} writes already ({what}); narrow a select, or drop one term"
    else:
        yield (
            f"would undo {theirs} ({what}): such terms act on what earlier ones leave; "
            f"put {theirs} after '{name}'"
        )


def _row(model: mujoco.MjModel, field: str, row: int) -> str:
    """Name one row of a field: `body_mass of torso`."""
    kind = field.partition("_")[0]
    if kind == "dof":
        kind, row = "joint", int(model.dof_jntid[row])
    kind = {"jnt": "joint", "mat": "material", "cam": "camera"}.get(kind, kind)
    if kind not in ("body", "geom", "joint", "actuator", "light", "tendon", "pair", "material", "camera"):
        return field
    return f"{field} of {getattr(model, kind)(row).name or f'number {row}'}"


def _signal(term: Delay | Jitter | Loss) -> str:
    what = "latency" if isinstance(term, Delay) else "jitter" if isinstance(term, Jitter) else "loss"
    return f"{term.path}_{what}"
