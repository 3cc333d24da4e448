"""Randomizers that vary one number of one model field: each is a row of a table.

A new field is one new row of `ROWS`.
"""

from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Randomizer
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection


@dataclass(frozen=True)
class Row:
    """One field that may vary.

    Attributes:
        type: The randomizer's name in YAML.
        field: MuJoCo's name of the array.
        kind: What `select` names: body, geom, joint or actuator.
        column: The column of a two-dimensional field, or None.
        unit: SI unit of the number.
        bounds: Physical limits of the number.
        doc: One line for people.
    """

    type: str
    field: str
    kind: str
    column: int | None
    unit: str
    bounds: Bounds
    doc: str


ROWS = (
    Row("friction", "geom_friction", "geom", 0, "", (0.0, np.inf), "Sliding friction of geoms."),
    Row(
        "damping",
        "dof_damping",
        "joint",
        None,
        "N m s/rad",
        (0.0, np.inf),
        "Viscous damping of joints.",
    ),
    Row(
        "armature",
        "dof_armature",
        "joint",
        None,
        "kg m^2",
        (0.0, np.inf),
        "Rotor inertia of joints.",
    ),
)


class FieldRandomizer(ElementTerm, Randomizer):
    """Vary one number of each selected element's row in a model field."""

    row: ClassVar[Row]

    def rows(self, model: mujoco.MjModel, chosen: Selection) -> list[NDArray[np.int64]]:
        """Return, for each selected element, the rows of the field that belong to it.

        A joint owns as many rows of a `dof_` field as it has degrees of freedom.
        """
        if not self.row.field.startswith("dof_"):
            return [np.array([i]) for i in chosen.ids]
        owner = np.asarray(model.dof_jntid)
        return [np.flatnonzero(owner == joint) for joint in chosen.ids]

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the number at the first row of each selected element, (k,)."""
        field = getattr(model, self.row.field)
        column = field if self.row.column is None else field[:, self.row.column]
        return np.array([column[rows[0]] for rows in self.rows(model, ids)], dtype=np.float64)

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected elements' rows of the one field."""
        return {self.row.field: np.concatenate(self.rows(model, self.selection(model)))}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the combined numbers; see `Randomizer.apply`."""
        before, target = np.asarray(getattr(nominal, self.row.field)), fields[self.row.field]
        if self.row.column is not None:
            before, target = before[:, self.row.column], target[:, :, self.row.column]
        for k, rows in enumerate(self.rows(nominal, self.selection(nominal))):
            value = values[:, min(k, values.shape[1] - 1)]
            target[:, rows] = self.combine(value[:, None], before[rows])


def field_randomizer(row: Row) -> type[FieldRandomizer]:
    """Make the randomizer class of a table row."""
    return type(
        "".join(word.title() for word in row.type.split("_")),
        (FieldRandomizer,),
        {
            "__doc__": row.doc,
            "__module__": __name__,
            "row": row,
            "kind": row.kind,
            "unit": row.unit,
            "bounds": row.bounds,
            "writes": (row.field,),
            "__annotations__": {
                "row": ClassVar[Row],
                "kind": ClassVar[str],
                "unit": ClassVar[str],
                "bounds": ClassVar[Bounds],
                "writes": ClassVar[tuple[str, ...]],
            },
        },
    )
