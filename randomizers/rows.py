"""Randomizers made from a row of a table: one number of one model field."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Parameter, Randomizer, nominal_field
from randomizers.checks import Refusal
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection
from randomizers.words import listing


@dataclass(frozen=True)
class Row:
    """One number that may vary.

    Attributes:
        type: The randomizer's name in YAML.
        field: MuJoCo's name of the array.
        kind: What `select` names; see `randomizers.select`.
        columns: The columns of a two-dimensional field that hold the number; `()` if it has one dimension.
        unit: SI unit of the number; `rad or m` where it is another for hinges and for slides.
        bounds: Physical limits of the number.
        doc: One line for people.
        refuses: Elements on which the number would do nothing, or something else.
        least: The lower limit on a given model, where `bounds` does not tell it.
        note: What to say about that limit.
    """

    type: str
    field: str
    kind: str
    columns: tuple[int, ...]
    unit: str
    bounds: Bounds
    doc: str
    refuses: tuple[Refusal, ...] = ()
    least: Callable[[mujoco.MjModel], float] | None = None
    note: str = ""


class FieldRandomizer(ElementTerm, Randomizer):
    """Vary one number of each selected element's row in a model field."""

    row: ClassVar[Row]

    def limits(self, model: mujoco.MjModel) -> Bounds:
        """Return the limits of the number on this model."""
        return (self.row.least(model), self.bounds[1]) if self.row.least else self.bounds

    def rows(self, model: mujoco.MjModel, chosen: Selection) -> list[NDArray[np.int64]]:
        """Return, for each selected element, the rows of the field that belong to it.

        A joint owns as many rows of a `dof_` field as it has degrees of freedom.
        """
        if self.row.field.startswith("qpos"):
            return [np.array([model.jnt_qposadr[i]]) for i in chosen.ids]
        if not self.row.field.startswith("dof_"):
            return [np.array([i]) for i in chosen.ids]
        owner = np.asarray(model.dof_jntid)
        return [np.flatnonzero(owner == joint) for joint in chosen.ids]

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the number at the first row of each selected element, (k,)."""
        field = nominal_field(model, self.row.field)
        column = field[:, self.row.columns[0]] if self.row.columns else field
        return np.array([column[rows[0]] for rows in self.rows(model, ids)], dtype=np.float64)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each selected element, or one in all when shared.

        Raises:
            ValueError: Also where one new value would replace numbers that differ.
        """
        found = super().parameters(model)
        chosen = self.selection(model)
        numbers = nominal_field(model, self.row.field)
        numbers = numbers[:, list(self.row.columns)] if self.row.columns else numbers
        spread = [np.ptp(numbers[rows]) for rows in self.rows(model, chosen)]
        uneven = [label for label, width in zip(chosen.labels, spread, strict=True) if width > 0]
        if self.operation == "set" and uneven:
            raise ValueError(f"{listing(uneven)} has several {self.type} that differ; use scale or add")
        return found

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected elements' rows of the one field."""
        return {self.row.field: np.concatenate(self.rows(model, self.selection(model)))}

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return the columns that hold the number."""
        return {self.row.field: self.row.columns} if self.row.columns else {}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the combined numbers; see `Randomizer.apply`."""
        field, target = nominal_field(nominal, self.row.field), fields[self.row.field]
        rows = self.rows(nominal, self.selection(nominal))
        every = np.concatenate(rows)
        owner = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        value = values[:, np.minimum(owner, values.shape[1] - 1)]
        for at in [(every, column) for column in self.row.columns] or [(every,)]:
            before = field[at]
            after = self.combine(value, before)
            target[:, *at] = np.where(after == before, before, after)  # keeps the sign of a zero


def field_randomizer(row: Row, module: str) -> type[FieldRandomizer]:
    """Make the randomizer class of a table row, as a class of `module`; there pickle looks for it."""
    return type(
        "".join(word.title() for word in row.type.split("_")),
        (FieldRandomizer,),
        {
            "__doc__": row.doc,
            "__module__": module,
            "row": row,
            "kind": row.kind,
            "unit": row.unit,
            "bounds": row.bounds,
            "limits_note": row.note,
            "refuses": row.refuses,
            "writes": (row.field,),
            "__annotations__": {
                "row": ClassVar[Row],
                "kind": ClassVar[str],
                "unit": ClassVar[str],
                "bounds": ClassVar[Bounds],
                "limits_note": ClassVar[str],
                "refuses": ClassVar[tuple[Refusal, ...]],
                "writes": ClassVar[tuple[str, ...]],
            },
        },
    )
