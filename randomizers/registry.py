"""Randomizers by name: those of this package, and those other packages register.

Another package adds one through the entry-point group `sim2real.randomizers`; names are listed without
importing anything, and `type: package.module:Class` works with no packaging at all.
"""

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from randomizers.actuators import MotorStrength
from randomizers.base import Term
from randomizers.bodies import Mass
from randomizers.fields import ROWS, field_randomizer
from randomizers.signals import ActionLatency, ObservationLatency, ObservationNoise
from randomizers.visuals import Visuals
from randomizers.words import did_you_mean
from randomizers.world import Gravity

GROUP = "sim2real.randomizers"

BUILTIN: dict[str, type[Term]] = {
    "mass": Mass,
    **{row.type: field_randomizer(row) for row in ROWS},
    "motor_strength": MotorStrength,
    "gravity": Gravity,
    "action_latency": ActionLatency,
    "observation_latency": ObservationLatency,
    "observation_noise": ObservationNoise,
    "visuals": Visuals,
}


def plugins() -> dict[str, EntryPoint]:
    """Return the entry points of other packages by name, without importing them.

    Raises:
        ValueError: If one claims a name that is taken.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILTIN or point.name in found:
            raise ValueError(f"randomizer '{point.name}' is registered twice (by {point.value})")
        found[point.name] = point
    return found


def names() -> list[str]:
    """Return every randomizer's name, sorted."""
    return sorted([*BUILTIN, *plugins()])


@cache
def lookup(name: str) -> type[Term]:
    """Find a randomizer class by its name or as `package.module:Class`.

    Raises:
        ValueError: If there is none, or its package cannot be imported; names the nearest one.
    """
    if name in BUILTIN:
        return BUILTIN[name]
    external = plugins()
    if name not in external and ":" not in name:
        raise ValueError(f"unknown randomizer '{name}'{did_you_mean(name, names())}")
    try:
        if name in external:
            cls = external[name].load()
        else:
            module, _, attribute = name.partition(":")
            cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"randomizer '{name}' cannot be loaded: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Term)):
        raise ValueError(f"randomizer '{name}' is not a Term")
    if cls.parameters is Term.parameters:
        raise ValueError(f"randomizer '{name}' defines no parameters")
    return cls
