"""What stands behind `scale:`, `add:` and `set:` in YAML, read into a Distribution."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, cast

from pydantic import InstanceOf, WithJsonSchema

from randomizers.distributions import BY_NAME, Choice, Constant, Distribution, Uniform
from randomizers.units import parse_quantity, parse_signed
from randomizers.words import did_you_mean, listing, shown

_NUMBER: dict[str, Any] = {"type": ["number", "string"]}
_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "description": "a quantity: 40 ms, 3 deg, ±10 %"},
        {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
        {
            "type": "object",
            "properties": {
                name: {
                    "anyOf": [
                        {"type": "array", "items": _NUMBER},
                        {"type": "object", "additionalProperties": _NUMBER},
                        _NUMBER,
                    ]
                }
                for name in BY_NAME
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ],
    "description": "a number, [low, high], or one named distribution such as {log_uniform: [a, b]}",
}

Operand = Annotated[InstanceOf[Distribution], WithJsonSchema(_SCHEMA)]


def parse_operand(raw: object, unit: str, centre: float = 0.0) -> Distribution:
    """Read an operand: a number, a quantity, `[low, high]`, or `{distribution: numbers}`.

    Args:
        raw: What YAML gave, or a Distribution made in Python.
        unit: The SI unit of the operand, `""` for a factor.
        centre: What `±x` is around: 1 for `scale`, 0 for `add`.

    Raises:
        ValueError: With what is wrong, and the nearest right word.
    """
    if isinstance(raw, Distribution):
        return raw
    if isinstance(raw, Mapping):
        return _named(cast(Mapping[str, object], raw), unit)
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        pair = cast(Sequence[object], raw)
        if len(pair) != 2:
            raise ValueError(f"a range is [low, high], given {len(pair)} values")
        return Uniform(parse_quantity(pair[0], unit), parse_quantity(pair[1], unit))
    symmetric, value = parse_signed(raw, unit)
    if symmetric and value < 0:
        raise ValueError(f"{shown(raw)}: behind ± stands a number of at least 0")
    return Uniform(centre - value, centre + value) if symmetric else Constant(value)


def _named(raw: Mapping[str, object], unit: str) -> Distribution:
    if len(raw) != 1:
        given = f"{len(raw)}: {listing(raw)}" if raw else "none"
        raise ValueError(f"name exactly one distribution, given {given}")
    ((name, numbers),) = raw.items()
    if name not in BY_NAME:
        raise ValueError(f"unknown distribution '{name}'{did_you_mean(str(name), BY_NAME)}")
    cls = BY_NAME[name]
    wanted = [field.name for field in fields(cls)]
    if cls is Choice:
        return Choice(tuple(parse_quantity(x, unit) for x in _as_list(numbers, "choice")))
    if isinstance(numbers, Mapping):
        items = _by_name(name, cast(Mapping[str, object], numbers), wanted)
    elif len(wanted) == 1 and not isinstance(numbers, list):
        items = [numbers]
    else:
        items = _as_list(cast(object, numbers), name)
    if len(items) != len(wanted):
        raise ValueError(f"{name} takes [{', '.join(wanted)}], given {len(items)} values")
    # Shape parameters of beta are pure numbers, whatever the unit of the value.
    units = ["" if cls.name == "beta" and word in ("a", "b") else unit for word in wanted]
    return cls(*(parse_quantity(x, u) for x, u in zip(items, units, strict=True)))


def _by_name(name: str, numbers: Mapping[Any, object], wanted: list[str]) -> list[object]:
    for key in numbers:
        if key not in wanted:
            raise ValueError(f"{name} has no '{key}'{did_you_mean(str(key), wanted)}")
    missing = [word for word in wanted if word not in numbers]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}")
    return [numbers[word] for word in wanted]


def _as_list(raw: object, name: str) -> list[object]:
    if not isinstance(raw, list | tuple):
        raise ValueError(f"{name} takes a list of numbers, given {shown(raw)}")
    return list(cast("list[object]", raw))
