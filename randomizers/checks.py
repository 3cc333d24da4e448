"""What a number cannot mean on an element of a model, or what MuJoCo would silently make of it: nothing.

Each mask is over all elements of a kind, or over the one model, and True where it would be wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.select import Selection
from randomizers.words import listing

Mask = Callable[[mujoco.MjModel], NDArray[np.bool_]]
_Off = mujoco.mjtDisableBit

LARGEST_IMPEDANCE, SMALLEST_IMPEDANCE = 0.9999, 0.0001
"""MuJoCo clamps impedances between these (mjMAXIMP, mjMINIMP)."""


@dataclass(frozen=True)
class Refusal:
    """Elements that a randomizer refuses.

    Attributes:
        wrong: The mask of such elements, or one truth for all.
        why: The rest of a sentence that begins with their names.
        idle: They would only do nothing, so that one draw shared with others may include them.
        advice: What to do about it.
    """

    wrong: Mask
    why: str
    idle: bool = False
    advice: str = "use a narrower select"


def refuse(
    refusals: Sequence[Refusal], model: mujoco.MjModel, chosen: Selection, share: bool = False
) -> None:
    """Check the chosen elements.

    Raises:
        ValueError: At the first refusal that some of them meet; names those.
    """
    for refusal in refusals:
        mask = np.asarray(refusal.wrong(model))
        wrong = mask[chosen.ids] if mask.ndim else np.full(len(chosen.ids), mask)
        if not wrong.any() or (refusal.idle and share and not wrong.all()):
            continue
        labels = [label for label, bad in zip(chosen.labels, wrong, strict=True) if bad]
        raise ValueError(f"{listing(labels)} {refusal.why}; {refusal.advice}")


def refuse_world(refusal: Refusal, model: mujoco.MjModel, name: str) -> None:
    """Check a term that acts on the whole world.

    Raises:
        ValueError: If the model meets the refusal; calls it by the term's name.
    """
    if refusal.wrong(model):
        raise ValueError(f"{name} {refusal.why}; {refusal.advice}")


def switched_off(flag: int, what: str) -> Refusal:
    """Refuse everything where the model disables what it acts through."""
    return Refusal(
        lambda model: np.array(bool(model.opt.disableflags & flag)),
        f"does nothing, since the model disables {what}",
        advice="enable it in the model's option/flag",
    )


def fixed_body(what: str) -> Refusal:
    """Refuse bodies that are part of the world."""
    return Refusal(lambda model: model.body_weldid == 0, f"cannot move, so the {what} does nothing")


def massless(why: str) -> Refusal:
    """Refuse bodies without mass."""
    return Refusal(lambda model: model.body_mass == 0, f"has no mass, so {why}")


def meetings(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Return which geoms collide with which by their own numbers, and not by those of a pair, (n, n)."""
    masks, answers = np.asarray(model.geom_contype), np.asarray(model.geom_conaffinity)
    meet = np.asarray((masks[:, None] & answers) | (answers[:, None] & masks), dtype=bool)
    weld = model.body_weldid[model.geom_bodyid]
    meet &= weld[:, None] != weld
    if not model.opt.disableflags & int(_Off.mjDSBL_FILTERPARENT):
        parent = model.body_weldid[model.body_parentid[weld]]
        child = (parent[:, None] == weld) & (weld != 0)
        meet &= ~(child | child.T)
    excluded = np.zeros((model.nbody, model.nbody), dtype=bool)
    excluded[model.exclude_signature >> 16, model.exclude_signature & 0xFFFF] = True
    meet &= ~(excluded | excluded.T)[model.geom_bodyid][:, model.geom_bodyid]
    meet[model.pair_geom1, model.pair_geom2] = meet[model.pair_geom2, model.pair_geom1] = False
    return meet


def _below(condim: int) -> Mask:
    def mask(model: mujoco.MjModel) -> NDArray[np.bool_]:
        own, rank = np.asarray(model.geom_condim), np.asarray(model.geom_priority)
        if model.nflex:
            return own < 0  # none: any geom may touch a flex
        # The larger one counts, unless one geom has the higher priority.
        larger = np.maximum(own[:, None], own)
        of_first = np.where(rank[:, None] > rank, own[:, None], own)
        condims = np.where(rank[:, None] == rank, larger, of_first)
        return ~np.any(meetings(model) & (condims >= condim), axis=1)

    return mask


CONTACTS_ON = (
    switched_off(int(_Off.mjDSBL_CONTACT), "contacts"),
    Refusal(
        lambda model: np.array(bool(model.opt.enableflags & int(mujoco.mjtEnableBit.mjENBL_OVERRIDE))),
        "does nothing, since the model overrides all contact numbers",
        advice="disable override in the model's option/flag",
    ),
)
LIMITS_ON = switched_off(int(_Off.mjDSBL_LIMIT), "limits")
SPRINGS_ON = switched_off(int(_Off.mjDSBL_SPRING), "springs")
DAMPERS_ON = switched_off(int(_Off.mjDSBL_DAMPER), "dampers")
DRY_FRICTION_ON = switched_off(int(_Off.mjDSBL_FRICTIONLOSS), "friction loss")
ACTUATION_ON = switched_off(int(_Off.mjDSBL_ACTUATION), "actuation")
GRAVITY_ON = switched_off(int(_Off.mjDSBL_GRAVITY), "gravity")

LONELY = Refusal(
    _below(1),
    "never collides by its own numbers (see contype, conaffinity, exclude, pair), so it does nothing",
    idle=True,
    advice="vary the pair's numbers, use a narrower select, or share: true",
)


def contacts_of(condim: int, name: str) -> tuple[Refusal, ...]:
    """Refuse geoms that touch nothing, or only in contacts below a condim, which ignore the number."""
    why = f"has no contacts of condim {condim} or more, so {name} does nothing"
    return (
        *CONTACTS_ON,
        LONELY,
        Refusal(_below(condim), why, idle=True, advice="raise condim in the model, or narrow select"),
    )


def pairs_of(condim: int, name: str) -> tuple[Refusal, ...]:
    """Refuse explicit pairs below a condim, whose contacts ignore the number."""
    why = f"has a condim below {condim}, so {name} does nothing"
    low = Refusal(lambda model: model.pair_dim < condim, why, idle=True, advice="raise condim in the model")
    return *CONTACTS_ON, low


def direct_solref(field: str) -> Refusal:
    """Refuse rows of a solref field that hold (-stiffness, -damping)."""
    return Refusal(
        lambda model: (getattr(model, field) <= 0).any(axis=1),
        "has its solref in the direct form (-stiffness, -damping)",
        advice="give it as (timeconst, dampratio) in the model, or narrow select",
    )


def twice_timestep(model: mujoco.MjModel) -> float:
    """Return the smallest time constant of a solref [s] that MuJoCo does not silently raise."""
    unsafe = model.opt.disableflags & int(_Off.mjDSBL_REFSAFE)
    return 1e-15 if unsafe else 2 * model.opt.timestep


def without_limit(field: str) -> tuple[Refusal, ...]:
    """Refuse elements whose limit is off."""
    why = "has no such limit, so its numbers do nothing"
    return LIMITS_ON, Refusal(lambda model: getattr(model, field) == 0, why)


def zeros(*fields: str, why: str) -> Refusal:
    """Refuse elements whose rows are zero in all the given fields."""

    def mask(model: mujoco.MjModel) -> NDArray[np.bool_]:
        rows = [np.asarray(getattr(model, field)) for field in fields]
        return np.logical_and.reduce([(row.reshape(len(row), -1) == 0).all(axis=1) for row in rows])

    return Refusal(mask, why)


def other_than(field: str, allowed: Sequence[object], why: str) -> Refusal:
    """Refuse elements whose type is none of the allowed ones of MuJoCo's enum."""
    codes = [int(code) for code in allowed]  # type: ignore[call-overload]
    return Refusal(lambda model: ~np.isin(getattr(model, field), codes), why)


TURNING_OR_SLIDING = other_than(
    "jnt_type",
    (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE),
    "is neither a hinge nor a slide, so one number means nothing there",
)
