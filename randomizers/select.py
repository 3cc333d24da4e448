"""Which elements of a model a pattern means, by MuJoCo's own names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.words import did_you_mean, listing

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Elements that a pattern matched.

    Attributes:
        ids: Their rows in the model's arrays, (k,); read only.
        labels: A name for each, used in parameter names and messages.
    """

    ids: Ints
    labels: tuple[str, ...]


def _body_name(model: mujoco.MjModel, body: int) -> str:
    return model.body(body).name


def _geom_owner(model: mujoco.MjModel, geom: int) -> str:
    return _body_name(model, int(model.geom_bodyid[geom]))


def _site_owner(model: mujoco.MjModel, site: int) -> str:
    return _body_name(model, int(model.site_bodyid[site]))


def _pair_geoms(model: mujoco.MjModel, pair: int) -> str:
    """Return `geom1:geom2`, since pairs seldom have names; unnamed geoms go by their bodies."""
    geoms = (int(model.pair_geom1[pair]), int(model.pair_geom2[pair]))
    return ":".join(model.geom(i).name or _geom_owner(model, i) for i in geoms)


def _joint_owner(model: mujoco.MjModel, joint: int) -> str:
    return _body_name(model, int(model.jnt_bodyid[joint]))


def _actuator_owner(model: mujoco.MjModel, actuator: int) -> str:
    if model.actuator_trntype[actuator] != int(mujoco.mjtTrn.mjTRN_JOINT):
        return ""
    return model.joint(int(model.actuator_trnid[actuator, 0])).name


# kind → (how many, name of the i-th, name of what the i-th belongs to)
_KINDS: dict[str, tuple[str, str, Callable[[mujoco.MjModel, int], str] | None]] = {
    "body": ("nbody", "body", None),
    "geom": ("ngeom", "geom", _geom_owner),
    "joint": ("njnt", "joint", _joint_owner),
    "actuator": ("nactuator", "actuator", _actuator_owner),
    "tendon": ("ntendon", "tendon", None),
    "pair": ("npair", "pair", _pair_geoms),
    "site": ("nsite", "site", _site_owner),
}


# A model's names are compiled in; looking through them would take most of the time of a reset.
_found: WeakKeyDictionary[mujoco.MjModel, dict[tuple[str, str], Selection]] = WeakKeyDictionary()


def select(model: mujoco.MjModel, kind: str, pattern: str) -> Selection:
    """Find the elements whose whole name matches a regular expression.

    A geom also answers to its body's name, as do a joint and a site, an actuator to its joint's, and a pair
    to `geom1:geom2`, because models often name only those. `=LABEL` is the one element with that label, and
    nothing that merely belongs to something of the same name.

    Args:
        model: The compiled model.
        kind: `body`, `geom`, `joint`, `actuator`, `tendon`, `pair` or `site`.
        pattern: A Python regular expression, matched against the whole name.

    Raises:
        ValueError: If the pattern is not valid or matches nothing; lists what exists.
    """
    known = _found.setdefault(model, {})
    if (kind, pattern) not in known:
        known[kind, pattern] = _select(model, kind, pattern)
    return known[kind, pattern]


def _select(model: mujoco.MjModel, kind: str, pattern: str) -> Selection:
    names = element_names(model, kind)
    owner = _KINDS[kind][2]
    owners = [owner(model, i) if owner else "" for i in range(len(names))]
    matches = matcher("" if pattern.startswith("=") else pattern)
    # The world body has no physics of its own to vary.
    first = 1 if kind == "body" else 0
    ids = [
        i
        for i in range(first, len(names))
        if pattern == ".*" or (names[i] and matches(names[i])) or (owners[i] and matches(owners[i]))
    ]
    if pattern.startswith("="):
        ids = [i for i in range(first, len(names)) if _label(names, owners, i) == pattern[1:]]
    if not ids:
        known = [name for name in dict.fromkeys(names[first:] + owners) if name]
        raise ValueError(f"'{pattern}' matches no {kind}{_hint(pattern, known)}")
    rows = np.array(ids)
    rows.flags.writeable = False
    return Selection(rows, tuple(_label(names, owners, i) for i in ids))


def matcher(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a whole name matches a regular expression.

    Raises:
        ValueError: If the pattern is not one.
    """
    try:
        return re.compile(pattern).fullmatch
    except re.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from None


def element_names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Return the names of all elements of a kind, `""` where a model gives none."""
    count, accessor, _ = _KINDS[kind]
    return [getattr(model, accessor)(i).name for i in range(getattr(model, count))]


def _label(names: list[str], owners: list[str], i: int) -> str:
    if names[i]:
        return names[i]
    same = [j for j in range(len(names)) if not names[j] and owners[j] == owners[i]]
    base = owners[i] or "#"
    unique = len(same) == 1 and owners[i] and base not in names
    return base if unique else f"{base}[{same.index(i)}]"


def _hint(pattern: str, known: list[str]) -> str:
    if not known:
        return "; the model has none"
    hint = did_you_mean(pattern, known)
    if hint.startswith("; did") and len(known) <= 12:
        hint += f" (there are: {listing(known)})"
    return hint
