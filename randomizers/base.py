"""What a randomizer is: parameters with distributions, and a pure map from values to model fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from randomizers.distributions import Distribution, Floats

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

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(description="which randomizer; see `sim2real list randomizers`")

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
    """

    writes: ClassVar[tuple[str, ...]] = ()

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the rows it writes of each field; two terms may not share one.

        By default every row of every field in `writes`.
        """
        return {name: np.arange(np.atleast_1d(nominal_field(model, name)).shape[0]) for name in self.writes}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the fields of n worlds.

        Args:
            values: (n, d), one column for each of `parameters`, in their order.
            nominal: The model as compiled; read, never written.
            fields: For each name in `writes` an array (n, ...) that holds nominal values.
        """
        raise TypeError(f"{type(self).__name__} defines no apply")


class Delay(Term):
    """A term that delays a signal: `path` says which."""

    path: ClassVar[str] = ""

    def seconds(self, values: Floats) -> Floats:
        """Map values (n, d) to each world's delay (n,) [s]."""
        return values[:, 0]


class Noise(Term):
    """A term that adds zero-mean noise to the observation at every step."""

    def std(self, values: Floats) -> Floats:
        """Map values (n, d) to each world's standard deviation (n,), in the observation's units."""
        return values[:, 0]


def nominal_field(model: mujoco.MjModel, name: str) -> NDArray[np.float64]:
    """Read a field by the name `mujoco.batch` uses: `body_mass`, `opt.gravity`.

    Raises:
        AttributeError: If the model has no such field.
    """
    owner: object = model
    for part in name.split("."):
        owner = getattr(owner, part)
    return np.asarray(owner, dtype=np.float64)
