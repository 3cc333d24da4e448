"""Logs matched to a model: whose joints they name, in which units, and which way round."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from randomizers.words import did_you_mean
from sim2real.logs.log import Floats, Log, LogError

UNITS = {
    "rad": "radians",
    "deg": "degrees",
    "m100_100": "LeRobot's −100 to 100, over the joint's range",
    "0_100": "LeRobot's 0 to 100, over the joint's range",
}
"""Units that positions and commands may be in; slides are in metres where these say an angle."""
KINDS = ("position", "command", "velocity")


@dataclass(frozen=True)
class Joints:
    """The joints of a model that a log may name.

    Attributes:
        names: Their names (j,).
        low: Lower ends of their ranges (j,) [rad] or [m]; −inf without one.
        high: Upper ends (j,).
        hinge: Which turn; the others slide (j,).
    """

    names: tuple[str, ...]
    low: Floats
    high: Floats
    hinge: NDArray[np.bool_]

    def take(self, names: tuple[str, ...]) -> "Joints":
        """Return those with some names, in that order."""
        rows = [self.names.index(name) for name in names]
        return Joints(names, self.low[rows], self.high[rows], self.hinge[rows])


@dataclass(frozen=True)
class Reading:
    """What has to be known to read a log, and it does not say.

    Attributes:
        units: A key of `UNITS` for `""` (all), a kind (`command`), a joint, or `kind.joint`: the narrowest
            holds.
        reverse: Joints that count the other way round, or columns of theirs, as `kind.joint`.
        rename: The model's name for names in the log.
        topics: In a bag, which topic is the `state` and which the `command`.
    """

    units: Mapping[str, str] = field(default_factory=dict[str, str])
    reverse: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict[str, str])
    topics: Mapping[str, str] = field(default_factory=dict[str, str])

    def unit(self, kind: str, joint: str) -> str:
        """Return the unit of what the log says of a joint."""
        keys = (f"{kind}.{joint}", joint, kind, "")
        return next((self.units[key] for key in keys if key in self.units), "rad")

    def turned(self, kind: str, joint: str) -> bool:
        """Whether what the log says of a joint has the wrong sign."""
        return (joint in self.reverse) != (f"{kind}.{joint}" in self.reverse)


def matched(log: Log, joints: Joints, reading: Reading | None = None) -> Log:
    """Return a log in SI units, with the model's names for its joints, in the model's order.

    Joints that the log does not name are left out.

    Raises:
        LogError: If the log, or `reading`, names what there is not; with all such names.
    """
    reading = reading or Reading()
    named = tuple(reading.rename.get(name, name) for name in log.joints)
    _check(log, named, joints, reading)
    names = tuple(name for name in joints.names if name in named)
    order, model = [named.index(name) for name in names], joints.take(names)
    read: dict[str, Floats] = {}
    for kind in KINDS:
        if (raw := getattr(log, kind)) is not None:
            offset, factor = _affine(kind, model, reading)
            read[kind] = raw[:, order] * factor + (0.0 if kind == "velocity" else offset)
    if log.current is not None:
        read["current"] = log.current[:, order]
    return replace(log, joints=names, **read)


def _affine(kind: str, joints: Joints, reading: Reading) -> tuple[Floats, Floats]:
    """Return offset and factor (j,) from what a log says to SI units."""
    offset, factor = np.zeros(len(joints.names)), np.ones(len(joints.names))
    for i, name in enumerate(joints.names):
        unit, low, high = reading.unit(kind, name), joints.low[i], joints.high[i]
        if unit == "deg" and joints.hinge[i]:
            factor[i] = math.pi / 180
        elif unit in ("m100_100", "0_100"):
            share = 200 if unit == "m100_100" else 100
            factor[i] = (high - low) / share
            offset[i] = low if unit == "0_100" else (low + high) / 2
        if reading.turned(kind, name):
            offset[i], factor[i] = -offset[i], -factor[i]
    return offset, factor


def _check(log: Log, named: tuple[str, ...], joints: Joints, reading: Reading) -> None:
    wrong: list[str] = []
    for raw in reading.rename:
        if raw not in log.joints:
            wrong.append(f"cannot rename '{raw}', which it does not name{did_you_mean(raw, log.joints)}")
    for raw, name in zip(log.joints, named, strict=True):
        if name not in joints.names:
            wrong.append(f"the model has no joint '{name}'{did_you_mean(name, joints.names)}")
            if raw == name:
                wrong[-1] += f" (--rename {name}=JOINT says which it is)"
    if len(set(named)) < len(named):
        wrong.append("two of its joints are one of the model's")
    known = [*named, *(f"{kind}.{name}" for kind in KINDS for name in named)]
    for name in reading.reverse:
        if name not in known:
            wrong.append(f"cannot reverse '{name}', which it does not name{did_you_mean(name, known)}")
    wrong += _check_units(named, joints, reading)
    if wrong:
        raise LogError("\n".join(f"{log.source}: {message}" for message in wrong))


def _check_units(named: tuple[str, ...], joints: Joints, reading: Reading) -> list[str]:
    known = ["", *KINDS, *named, *(f"{kind}.{name}" for kind in KINDS for name in named)]
    wrong: list[str] = []
    for key, unit in reading.units.items():
        if key not in known:
            wrong.append(f"a unit is given for '{key}', which it does not name{did_you_mean(key, known[1:])}")
        if unit not in UNITS:
            wrong.append(f"there is no unit '{unit}'{did_you_mean(unit, UNITS)}")
    for name in named:
        ranged = any(reading.unit(kind, name) in ("m100_100", "0_100") for kind in KINDS)
        if ranged and name in joints.names:
            one = joints.take((name,))
            if not np.isfinite([one.low[0], one.high[0]]).all():
                wrong.append(f"'{name}' has no range in the model that a share of it could be taken of")
    return wrong
