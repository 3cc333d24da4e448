"""Randomizers of how heavy bodies are."""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Fields
from randomizers.checks import Refusal, fixed_body, massless
from randomizers.distributions import Floats
from randomizers.elements import ElementRandomizer
from randomizers.select import Selection
from randomizers.volumes import body_volumes


class Mass(ElementRandomizer):
    """Mass of bodies; the inertia follows, as for the same shape in another density."""

    kind: ClassVar[str] = "body"
    unit: ClassVar[str] = "kg"
    # MuJoCo's own smallest mass of a moving body.
    bounds: ClassVar[Bounds] = (1e-15, np.inf)
    refuses: ClassVar[tuple[Refusal, ...]] = (fixed_body("mass"), massless("no inertia to go with it"))
    writes: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal masses, (k,) [kg]."""
        return np.array(model.body_mass[ids.ids], dtype=np.float64)

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write mass m and inertia I · m / m₀."""
        ids = self.rows(nominal)
        fields["body_mass"][:, ids] = after
        fields["body_inertia"][:, ids] = nominal.body_inertia[ids] * (after / before)[:, :, None]


class Density(ElementRandomizer):
    """Mean density of bodies: mass and inertia follow from the volume of their geoms."""

    kind: ClassVar[str] = "body"
    unit: ClassVar[str] = "kg/m^3"
    bounds: ClassVar[Bounds] = (1e-15, np.inf)
    refuses: ClassVar[tuple[Refusal, ...]] = (
        *Mass.refuses,
        Refusal(lambda model: body_volumes(model) == 0, "has no volume, so no density"),
    )
    writes: ClassVar[tuple[str, ...]] = Mass.writes

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal mass over the volume, (k,) [kg/m^3]."""
        return model.body_mass[ids.ids] / body_volumes(model)[ids.ids]

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write mass and inertia, both in proportion."""
        ids, ratio = self.rows(nominal), after / before
        fields["body_mass"][:, ids] = nominal.body_mass[ids] * ratio
        fields["body_inertia"][:, ids] = nominal.body_inertia[ids] * ratio[:, :, None]
