"""Randomizers of where a body's mass is: its centre, its spread, and what is added to it.

Inertia is handled as the second moment about the centre of mass, Σ = ∫ x xᵀ dm = ½ tr(I) 1 − I: every
positive semidefinite Σ is a body that can exist, so that the triangle inequality holds by itself.
"""

from collections.abc import Mapping
from typing import ClassVar, cast

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from randomizers.base import Fields, Randomizer
from randomizers.checks import Refusal, fixed_body, massless
from randomizers.components import Component, ElementComponents
from randomizers.distributions import Floats
from randomizers.elements import ElementRandomizer
from randomizers.operands import Operand
from randomizers.select import Selection
from randomizers.units import parse_quantity
from randomizers.words import shown

_MOVING = (fixed_body("mass"), massless("no inertia to go with it"))
_PLACE = ("body_ipos", "body_iquat")


def general_bodies(term: Randomizer, model: mujoco.MjModel) -> NDArray[np.int64]:
    """Return bodies that MuJoCo compiled as simple and that the term makes other than simple.

    These are bodies whose inertial frame it moves, which `mj_setConst` refuses, and bodies moved by a tendon
    that is given an armature, whose coupling would silently be lost. Compile them with `simple="false"`
    (`MjsBody.simple = 0`).
    """
    touched = term.touches(model)
    ids = [int(i) for name in _PLACE for i in touched.get(name, ())]
    ids += [i for tendon in touched.get("tendon_armature", ()) for i in _moved_by(model, int(tendon))]
    unique = np.unique(np.array(ids, dtype=np.int64))
    return unique[model.body_simple[unique] != 0]


def _moved_by(model: mujoco.MjModel, tendon: int) -> list[int]:
    """Return the bodies that a tendon runs over, and those that carry them."""
    owner = {
        int(mujoco.mjtWrap.mjWRAP_SITE): model.site_bodyid,
        int(mujoco.mjtWrap.mjWRAP_JOINT): model.jnt_bodyid,
        int(mujoco.mjtWrap.mjWRAP_SPHERE): model.geom_bodyid,
        int(mujoco.mjtWrap.mjWRAP_CYLINDER): model.geom_bodyid,
    }
    found: list[int] = []
    first = int(model.tendon_adr[tendon])
    for wrap in range(first, first + int(model.tendon_num[tendon])):
        kind = int(model.wrap_type[wrap])
        body = int(owner[kind][model.wrap_objid[wrap]]) if kind in owner else 0
        while body:
            found.append(body)
            body = int(model.body_parentid[body])
    return found


class CenterOfMass(ElementComponents, Randomizer):
    """Offset of the centre of mass of bodies, along the axes of the body's frame."""

    components: ClassVar[Mapping[str, Component]] = {axis: Component((axis,), "m") for axis in "xyz"}
    refuses: ClassVar[tuple[Refusal, ...]] = _MOVING
    writes: ClassVar[tuple[str, ...]] = ("body_ipos",)

    x: Operand | None = Field(None, description="offset along x [m]")
    y: Operand | None = Field(None, description="offset along y [m]")
    z: Operand | None = Field(None, description="offset along z [m]")

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected bodies."""
        return {"body_ipos": self.selection(model).ids}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the positions; see `Randomizer.apply`."""
        ids = self.selection(nominal).ids
        offset = np.stack(list(self.offsets(values, len(ids)).values()), axis=-1)
        fields["body_ipos"][:, ids] = _moved(nominal.body_ipos[ids], offset)


class PseudoInertia(ElementComponents, Randomizer):
    """Mass, centre and inertia of bodies together, by ten numbers that are always physically valid.

    The log-Cholesky perturbation of Rucker and Wensing (2022), J = U J₀ Uᵀ with
    U = e^alpha [[A, t], [0, 1]], A = [[e^d1, s12, s13], [0, e^d2, s23], [0, 0, e^d3]], of the pseudo-inertia
    about the nominal centre of mass in the body's axes. So alpha scales mass and inertia by e^(2 alpha),
    stretch and shear deform the body about its centre, and shift moves the centre.
    """

    components: ClassVar[Mapping[str, Component]] = {
        "alpha": Component(("alpha",), bounds=(-5.0, 5.0)),
        "stretch": Component(("d1", "d2", "d3"), bounds=(-5.0, 5.0)),
        "shear": Component(("s12", "s13", "s23"), bounds=(-100.0, 100.0)),
        "shift": Component(("t1", "t2", "t3"), "m"),
    }
    refuses: ClassVar[tuple[Refusal, ...]] = _MOVING
    writes: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia", *_PLACE)

    alpha: Operand | None = Field(None, description="half the logarithm of the factor on mass and inertia")
    stretch: Operand | None = Field(None, description="logarithm of the stretch along x, y and z")
    shear: Operand | None = Field(None, description="shear of x along y and z, and of y along z")
    shift: Operand | None = Field(None, description="shift of the centre of mass along x, y and z [m]")

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected bodies, for what the given components change."""
        ids, none = self.selection(model).ids, np.zeros(0, dtype=np.int64)
        deformed = self.given("stretch") or self.given("shear")
        return {
            "body_mass": ids if self.given("alpha") else none,
            "body_inertia": ids if deformed or self.given("alpha") else none,
            "body_ipos": ids if self.given("shift") else none,
            "body_iquat": ids if deformed else none,
        }

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the four fields; see `Randomizer.apply`."""
        ids = self.selection(nominal).ids
        parts = {name: self.stacked(values, len(ids), name) for name in self.components}
        factor = np.exp(2 * parts["alpha"])
        nominal_moment = second_moment(nominal.body_inertia[ids], nominal.body_iquat[ids])
        deform = np.zeros((*factor.shape[:2], 3, 3))
        deform[..., [0, 1, 2], [0, 1, 2]] = np.exp(parts["stretch"])
        deform[..., [0, 0, 1], [1, 2, 2]] = parts["shear"]
        inertia, quat = principal(deform @ nominal_moment @ deform.swapaxes(-1, -2))
        # Undeformed bodies keep their axes, which computing them anew would permute and round.
        same = (deform == np.eye(3)).all(axis=(-1, -2))[..., None]
        written = {
            "body_mass": nominal.body_mass[ids] * factor[..., 0],
            "body_inertia": np.where(same, nominal.body_inertia[ids], inertia) * factor,
            "body_ipos": _moved(nominal.body_ipos[ids], parts["shift"]),
            "body_iquat": np.where(same, nominal.body_iquat[ids], quat),
        }
        # What no given component changes is left to other terms.
        for name, rows in self.touches(nominal).items():
            if len(rows):
                fields[name][:, rows] = written[name]


class Payload(ElementRandomizer):
    """Point mass that bodies carry."""

    unit: ClassVar[str] = "kg"
    composes: ClassVar[bool] = True
    refuses: ClassVar[tuple[Refusal, ...]] = _MOVING
    writes: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia", *_PLACE)

    at: tuple[float, float, float] | None = Field(
        None, description="where, as [x, y, z] in the body's frame [m]; at its centre of mass if not given"
    )

    @field_validator("at", mode="before")
    @classmethod
    def _metres(cls, raw: object) -> tuple[float, ...]:
        place = cast(list[object], raw) if isinstance(raw, list | tuple) else []
        if len(place) != 3:
            raise ValueError(f"a place is [x, y, z], given {shown(cast(object, raw))}")
        return tuple(parse_quantity(x, "m") for x in place)

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return 0 for each selected body, (k,) [kg]."""
        return np.zeros(len(ids.ids))

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected bodies; only the mass changes without a place."""
        ids, none = self.rows(model), np.zeros(0, dtype=np.int64)
        return {name: ids if self.at or name == "body_mass" else none for name in self.writes}

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the mass, and by the parallel-axis theorem centre and inertia of both together."""
        ids = self.rows(nominal)
        mass = fields["body_mass"][:, ids]
        fields["body_mass"][:, ids] = mass + after
        if self.at:
            arm = np.array(self.at) - fields["body_ipos"][:, ids]
            reduced = mass * after / (mass + after)
            spread = reduced[..., None, None] * (arm[..., :, None] * arm[..., None, :])
            moment = second_moment(fields["body_inertia"][:, ids], fields["body_iquat"][:, ids])
            inertia, quat = principal(moment + spread)
            fields["body_ipos"][:, ids] += (after / (mass + after))[..., None] * arm
            fields["body_inertia"][:, ids], fields["body_iquat"][:, ids] = inertia, quat


def second_moment(inertia: Floats, quat: Floats) -> Floats:
    """Return Σ of bodies about their centre of mass in the body's axes, (..., 3, 3) [kg m^2].

    Args:
        inertia: Principal inertia (..., 3).
        quat: Orientation of its axes (..., 4).
    """
    w, v = quat[..., :1, None], quat[..., 1:]
    cross = np.cross(v[..., None, :], np.eye(3))  # of v with each axis, as rows: the transpose of [v]×
    turn = np.eye(3) + 2 * (cross @ cross) - 2 * w * cross
    # Bodies just at the edge of the triangle inequality may be beyond it by rounding.
    spread = np.maximum(inertia.sum(axis=-1, keepdims=True) / 2 - inertia, 0.0)
    return (turn * spread[..., None, :]) @ turn.swapaxes(-1, -2)


def principal(moment: Floats) -> tuple[Floats, Floats]:
    """Return principal inertia (..., 3) and the quaternion of its axes (..., 4) of Σ (..., 3, 3)."""
    spread, axes = np.linalg.eigh(moment)
    spread = np.maximum(spread, 0.0)
    axes[..., 0] *= np.sign(np.linalg.det(axes))[..., None]  # a rotation, not a mirror
    inertia = spread[..., [1, 0, 0]] + spread[..., [2, 2, 1]]
    quat = np.empty((*axes.shape[:-2], 4))
    for at in np.ndindex(*axes.shape[:-2]):
        mujoco.mju_mat2Quat(quat[at], np.ascontiguousarray(axes[at]).ravel())
    return inertia, quat


def _moved(place: Floats, offset: Floats) -> Floats:
    return np.where(offset == 0, place, place + offset)  # keeps the sign of a zero
