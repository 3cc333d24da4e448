"""Quantities with units: `40 ms`, `3 deg`, `±10 %`. A bare number is in SI units.

A number of hinges and slides has the unit `rad or m`, and is a quantity in one of the two.
"""

import math
import re
from collections.abc import Mapping
from typing import cast

from randomizers.words import did_you_mean, shown

# unit → (SI unit it measures, factor to it)
UNITS: dict[str, tuple[str, float]] = {
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "m": ("m", 1.0),
    "cm": ("m", 1e-2),
    "mm": ("m", 1e-3),
    "kg": ("kg", 1.0),
    "g": ("kg", 1e-3),
    "rad": ("rad", 1.0),
    "deg": ("rad", math.pi / 180),
    "m/s^2": ("m/s^2", 1.0),
    "%": ("", 1e-2),
}

_LONGEST = 1000
_QUANTITY = re.compile(
    r"^\s*(?P<pm>±|\+/-)?\s*(?P<number>[+-]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][+-]?\d+)?)"
    r"\s*(?P<unit>[^\d\s].*?)?\s*$"
)


def parse_quantity(raw: object, unit: str) -> float:
    """Read a number or a text such as `40 ms` as a float in the SI `unit`.

    PyYAML reads `1e-3` as text; it is accepted here as the number it is.

    Args:
        raw: What YAML gave: an int, a float or a text.
        unit: The SI unit expected, `""` for a plain factor.

    Raises:
        ValueError: If it is no number, or its unit measures something else.
    """
    symmetric, value = parse_signed(raw, unit)
    if symmetric:
        raise ValueError(f"{shown(raw)} is a range (±); a single quantity is wanted here")
    return value


def parse_signed(raw: object, unit: str) -> tuple[bool, float]:
    """Like `parse_quantity`, also telling whether the text began with ±.

    Returns:
        (symmetric, value): the value in SI units, and True for `±10 %` or `+/- 2 cm`.

    Raises:
        ValueError: If it is no number, or its unit measures something else.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"{shown(raw)} is not a number")
    if not isinstance(raw, str):
        return False, _finite(raw, raw)
    # The pattern takes time as the square of the length.
    match = _QUANTITY.match(raw) if len(raw) <= _LONGEST else None
    if match is None:
        raise ValueError(f"{shown(raw)} is not a number or a quantity such as '40 ms'")
    factor = _factor(match["unit"], unit, raw)
    return match["pm"] is not None, _finite(float(match["number"].replace("_", "")) * factor, raw)


def bare_number_hint(raw: object, unit: str) -> str:
    """Return `"; a bare number is in s"` for a number without a unit where one is usual, else `""`."""
    known = any(measures in alternatives(unit) for measures, _ in UNITS.values()) and unit
    bare = not isinstance(raw, str) or raw.strip()[-1:].isdigit()
    return f"; a bare number is in {unit}" if known and bare else ""


def alternatives(unit: str) -> list[str]:
    """Return the units that `rad or m` names, of a hinge and of a slide; one that names no two alone."""
    return unit.split(" or ")


def units_in(raw: object, unit: str) -> frozenset[str]:
    """Return which alternatives of `unit` the quantities in an operand are given in; bare numbers in none."""
    if isinstance(raw, Mapping):
        raw = list(cast(Mapping[object, object], raw).values())
    if isinstance(raw, list | tuple):
        return frozenset[str]().union(*(units_in(item, unit) for item in cast(list[object], raw)))
    match = _QUANTITY.match(raw) if isinstance(raw, str) and len(raw) <= _LONGEST else None
    given = str(match["unit"]) if match else ""
    return frozenset({UNITS.get(given, (given, 1.0))[0]}) & frozenset(alternatives(unit))


def _factor(given: str | None, wanted: str, raw: str) -> float:
    if given is None or given in alternatives(wanted):
        return 1.0
    if given not in UNITS:
        raise ValueError(f"unknown unit {shown(given)} in {shown(raw)}{did_you_mean(given, UNITS)}")
    measures, factor = UNITS[given]
    if measures not in alternatives(wanted):
        wants = f"a quantity in {wanted}" if wanted else "a plain factor or %"
        raise ValueError(f"{shown(raw)} is in {given}, but {wants} is wanted here")
    return factor


def _finite(value: float, raw: object) -> float:
    try:
        value = float(value)
    except OverflowError:  # a whole number beyond every float
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{shown(raw)} is not a finite number")
    return value
