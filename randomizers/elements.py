"""Randomizers that write whole rows of the elements they select."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Randomizer, nominal_field
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection


class ElementRandomizer(ElementTerm, Randomizer):
    """One number of each selected element, from which all the rows in `writes` follow."""

    def rows(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the row of each selected element in the fields, (k,)."""
        return self.selection(model).ids

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected elements' rows, the same in every field."""
        rows = self.rows(model)
        return dict.fromkeys(self.writes, rows)

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the rows; see `Randomizer.apply`."""
        chosen = self.selection(nominal)
        before = self.nominal_values(nominal, chosen)
        after = self.combine(values, before)
        # What is computed at nominal may differ in its last bits from what was there, which is put back.
        world, k = np.nonzero(after == before)
        touched = {name: rows for name, rows in self.touches(nominal).items() if len(rows) and len(world)}
        found = {name: fields[name][world, rows[k]] for name, rows in touched.items()}
        self.write(after, before, nominal, fields)
        for name, rows in touched.items():
            fields[name][world, rows[k]] = found[name]

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the rows for the new numbers (n, k) in place of the nominal ones (k,)."""
        raise TypeError(f"{type(self).__name__} defines no write")


class ShareRandomizer(ElementRandomizer):
    """A factor on all numbers of each selected element in the fields, nominally 1."""

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return 1 for each selected element: the number is relative, (k,)."""
        return np.ones(len(ids.ids))

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the products."""
        rows = self.rows(nominal)
        for name in self.writes:
            fields[name][:, rows] *= after[:, :, None]


class WidthRandomizer(ElementRandomizer):
    """Width of a range in the one field it writes; the middle stays."""

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal widths, (k,)."""
        ends = nominal_field(model, self.writes[0])[self.rows(model)]
        return ends[:, 1] - ends[:, 0]

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write middle ± width / 2."""
        rows, name = self.rows(nominal), self.writes[0]
        middle = nominal_field(nominal, name)[rows].mean(axis=1)
        fields[name][:, rows] = np.stack([middle - after / 2, middle + after / 2], axis=-1)


class OffsetRandomizer(ElementRandomizer):
    """A number added to all columns of each selected element in the fields, nominally 0."""

    bounds: ClassVar[Bounds] = (-np.inf, np.inf)

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return 0 for each selected element, (k,)."""
        return np.zeros(len(ids.ids))

    def write(self, after: Floats, before: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the sums."""
        rows = self.rows(nominal)
        for name in self.writes:
            old = fields[name][:, rows]
            fields[name][:, rows] = old + after.reshape(*after.shape, *[1] * (old.ndim - 2))
