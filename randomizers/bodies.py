"""Randomizers of bodies."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Randomizer
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection
from randomizers.words import listing


class Mass(ElementTerm, Randomizer):
    """Mass of bodies; the inertia follows, as for the same shape in another density."""

    kind: ClassVar[str] = "body"
    unit: ClassVar[str] = "kg"
    # MuJoCo's own smallest mass of a moving body.
    bounds: ClassVar[Bounds] = (1e-15, np.inf)
    writes: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal masses, (k,) [kg].

        Raises:
            ValueError: For bodies fixed to the world, whose mass does nothing, and for massless ones, which
                have no inertia to scale.
        """
        _refuse(ids, model.body_weldid == 0, "cannot move, so the mass does nothing")
        _refuse(ids, model.body_mass == 0, "has no mass, so no inertia to go with it")
        return np.array(model.body_mass[ids.ids], dtype=np.float64)

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected bodies for both fields."""
        ids = self.selection(model).ids
        return {name: ids for name in self.writes}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write mass m and inertia I · m / m₀; see `Randomizer.apply`."""
        ids = self.selection(nominal).ids
        before = np.array(nominal.body_mass[ids])
        mass = self.combine(values, before)
        # At nominal the ratio is exactly 1, so the nominal model comes back bit for bit.
        ratio = mass / before
        fields["body_mass"][:, ids] = mass
        fields["body_inertia"][:, ids] = nominal.body_inertia[ids] * ratio[:, :, None]


def _refuse(ids: Selection, wrong: NDArray[np.bool_], why: str) -> None:
    labels = [label for i, label in zip(ids.ids, ids.labels, strict=True) if wrong[i]]
    if labels:
        raise ValueError(f"{listing(labels)} {why}; use a narrower select")
