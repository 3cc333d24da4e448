"""Named domains: the held-out targets of a spec, as rows of the cube's values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from randomizers.units import bare_number_hint, parse_quantity
from randomizers.words import between, listing, shown
from sim2real.spec.model import External, Target
from sim2real.spec.program import Program
from sim2real.spec.source import Problem


@dataclass(frozen=True)
class Domain:
    """One domain with a name.

    Attributes:
        name: What the spec or a suite calls it.
        v: Its values (d,).
        given: What was set away from nominal, by name, in SI units.
        held_out: Whether training could not draw it.
        distance: See `Program.distance`.
        units: SI unit of each given value, `""` for factors.
    """

    name: str
    v: NDArray[np.float64]
    given: dict[str, float]
    held_out: bool
    distance: float
    units: dict[str, str]

    def describe(self) -> str:
        """Return what was set, as `control_delay 0.06 s, torso_mass 1.8`."""
        return ", ".join(f"{key} {value:.4g} {self.units[key]}".rstrip() for key, value in self.given.items())


def domain(program: Program, name: str, given: Mapping[str, float]) -> Domain:
    """Make a domain from nominal and the values given by term or parameter name.

    A parameter's own value wins over that of its term, in whichever order they stand.

    Raises:
        ValueError: If a name does not exist.
    """
    v = program.nominal.copy()
    columns = {key: program.columns(key) for key in given}
    for key in sorted(given, key=lambda key: -len(columns[key])):
        v[columns[key]] = given[key]
    units = {key: program.parameters[columns[key][0]].unit for key in given}
    return Domain(name, v, dict(given), not program.inside(v), program.distance(v), units)


def resolve_targets(
    program: Program, targets: Mapping[str, Target | External], refused: Collection[str] = ()
) -> tuple[dict[str, Domain], list[Problem]]:
    """Read every target of a spec.

    Args:
        program: The program its values belong to.
        targets: Targets by name; those that are environments of their own are passed over.
        refused: Terms that the program lacks because they are wrong; values for them are passed over.

    Returns:
        The domains by name, and all problems: unknown names, bad values, values outside the physical
        bounds, and targets that training could draw without saying `inside: true`.
    """
    domains: dict[str, Domain] = {}
    problems: list[Problem] = []
    for name, target in targets.items():
        if isinstance(target, External):
            continue
        values = {key: raw for key, raw in target.values.items() if key.partition(".")[0] not in refused}
        given, wrong = _read_values(program, name, values)
        problems += wrong
        if wrong or len(values) < len(target.values):
            continue
        found = domain(program, name, given)
        domains[name] = found
        columns = [j for key in given for j in program.columns(key)]
        # What the target names decides: nominal values of the rest make no held-out target.
        drawable = all(program.gap(j, float(found.v[j])) == 0 for j in columns)
        if drawable and not target.inside:
            problems.append(Problem(("targets", name), _inside_message(program, columns, found)))
    return domains, problems


def _inside_message(program: Program, columns: list[int], found: Domain) -> str:
    if not columns:
        return "names no value, so it is the nominal domain; give it values, or say inside: true"
    ranges = [
        f"{program.names[j]} = {found.v[j]:g} is in {program.parameters[j].distribution.describe()}"
        for j in columns
    ]
    return (
        f"training can draw it ({listing(ranges, most=4)}), so it is not held out; "
        "move a value out of its range, or say inside: true"
    )


def _read_values(
    program: Program, name: str, raw: Mapping[str, Any]
) -> tuple[dict[str, float], list[Problem]]:
    given: dict[str, float] = {}
    problems: list[Problem] = []
    for key, value in raw.items():
        try:
            given[key] = _read_value(program, key, value)
        except ValueError as error:
            problems.append(Problem(("targets", name, key), str(error)))
    return given, problems


def _read_value(program: Program, key: str, raw: object) -> float:
    columns = program.columns(key)
    if raw is None:
        raise ValueError("has no value")
    if isinstance(raw, list):
        raise ValueError(f"a target is a single point: give one number, not {shown(cast(object, raw))}")
    if isinstance(raw, dict):
        raise ValueError(
            f"give one number, not {shown(cast(object, raw))}; to set one of several, write '{key}.NAME: …'"
        )
    units = {program.parameters[j].unit for j in columns}
    # Hinges and slides under one name: a quantity that fits one of them does not fit the others.
    value, *_ = [parse_quantity(raw, unit) for unit in sorted(units)]
    for j in columns:
        parameter = program.parameters[j]
        low, high = parameter.bounds
        if not low <= value <= high:
            what = program.names[j] if len(columns) > 1 else "it"
            raise ValueError(
                f"{shown(raw)} is impossible: {what} must be {between(low, high, parameter.unit)}"
                f"{bare_number_hint(raw, parameter.unit)}"
            )
    return value
