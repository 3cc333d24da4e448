"""What a randomizer is: parameters with distributions, and a pure map from values to model fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from randomizers.distributions import Distribution, Floats
from randomizers.schedule import Schedule, When

Fields = Mapping[str, NDArray[np.float64]]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Parameter:
    """One coordinate of the cube: a scalar that may vary.

    Attributes:
        distribution: How training draws it.
        nominal: The value that leaves the nominal model as it is.
        unit: Its SI unit, `""` for a factor.
        bounds: Physical limits (low, high) that no value may leave.
    """

    distribution: Distribution
    nominal: float
    unit: str = ""
    bounds: Bounds = (-np.inf, np.inf)


class Term(BaseModel):
    """One entry under `randomize:`: what may vary, and how its values are drawn."""

    # Validators are built when a term is first read: to build all takes a third of this package's import.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: str = Field(description="which randomizer; see `sim2real list randomizers`")
    when: When = Schedule()

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """Return this term's scalars by label, in order; `""` labels the only one.

        Raises:
            ValueError: If the term cannot mean anything on this model.
        """
        raise TypeError(f"{type(self).__name__} defines no parameters")


class Randomizer(Term):
    """A term that edits model fields.

    `apply` is a pure function of the values and the nominal model, so that nothing accumulates. A
    subclass declares in `writes` every field it may touch, by the name `mujoco.batch.Batch.expand`
    knows it by, such as `body_mass` or `opt.gravity`.

    A term that `composes` acts on what earlier terms left in the fields, instead of on the nominal model;
    so it may stand after a term that writes the same numbers.
    """

    writes: ClassVar[tuple[str, ...]] = ()
    composes: ClassVar[bool] = False

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the rows it writes of each field; by default every row of every field in `writes`."""
        return {name: np.arange(np.atleast_1d(nominal_field(model, name)).shape[0]) for name in self.writes}

    def columns(self, model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
        """Return the columns it writes of those rows, for each field of which it leaves some alone.

        Two terms may not write the same number, which is a row and a column, unless the later composes.
        """
        return {}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the fields of n worlds.

        Args:
            values: (n, d), one column for each of `parameters`, in their order.
            nominal: The model as compiled; read, never written.
            fields: For each name in `writes` an array (n, ...) that holds nominal values, but for what
                earlier terms wrote.
        """
        raise TypeError(f"{type(self).__name__} defines no apply")


def nominal_field(model: mujoco.MjModel, name: str) -> NDArray[np.float64]:
    """Read a field by the name `mujoco.batch` uses: `body_mass`, `opt.gravity`.

    Raises:
        AttributeError: If the model has no such field.
    """
    owner: object = model
    for part in name.split("."):
        owner = getattr(owner, part)
    return np.asarray(owner, dtype=np.float64)
