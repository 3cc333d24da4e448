"""Randomizers of contacts and shapes that are no single number of a field."""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Fields, nominal_field
from randomizers.checks import (
    LARGEST_IMPEDANCE,
    SMALLEST_IMPEDANCE,
    Refusal,
    contacts_of,
    other_than,
    pairs_of,
)
from randomizers.distributions import Floats
from randomizers.elements import ElementRandomizer, ShareRandomizer
from randomizers.select import Selection

_PRIMITIVES = (
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX,
)


class ContactImpedance(ElementRandomizer):
    """Full impedance (solimp dmax) of contacts of geoms: nearer to 1 is harder."""

    kind: ClassVar[str] = "geom"
    bounds: ClassVar[Bounds] = (SMALLEST_IMPEDANCE, LARGEST_IMPEDANCE)
    refuses: ClassVar[tuple[Refusal, ...]] = contacts_of(1, "it")
    writes: ClassVar[tuple[str, ...]] = ("geom_solimp",)

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal dmax, (k,)."""
        return nominal_field(model, self.writes[0])[ids.ids, 1]

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return dmin and dmax."""
        return {self.writes[0]: (0, 1)}

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write dmax, and dmin where it would be above it."""
        ids, name = self.rows(nominal), self.writes[0]
        fields[name][:, ids, 0] = np.minimum(nominal_field(nominal, name)[ids, 0], after)
        fields[name][:, ids, 1] = after


class PairImpedance(ContactImpedance):
    """Full impedance (solimp dmax) of explicit contact pairs: nearer to 1 is harder."""

    kind: ClassVar[str] = "pair"
    refuses: ClassVar[tuple[Refusal, ...]] = pairs_of(1, "it")
    writes: ClassVar[tuple[str, ...]] = ("pair_solimp",)


class GeomSize(ShareRandomizer):
    """Factor on all size numbers of primitive geoms; mass and inertia stay, position too."""

    kind: ClassVar[str] = "geom"
    bounds: ClassVar[Bounds] = (1e-15, np.inf)
    refuses: ClassVar[tuple[Refusal, ...]] = (
        other_than("geom_type", _PRIMITIVES, "has no size of its own (mesh, plane, hfield or sdf)"),
        Refusal(
            lambda model: model.geom_fluid[:, 0] != 0,
            "has ellipsoid fluid coefficients, which would not follow its size",
        ),
    )
    writes: ClassVar[tuple[str, ...]] = ("geom_size",)
