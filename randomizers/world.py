"""Randomizers of the whole world."""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Fields, Parameter, Randomizer
from randomizers.distributions import Floats
from randomizers.operations import OperationTerm


class Gravity(OperationTerm, Randomizer):
    """Magnitude of gravity; its direction stays."""

    unit: ClassVar[str] = "m/s^2"
    bounds: ClassVar[Bounds] = (0.0, np.inf)
    writes: ClassVar[tuple[str, ...]] = ("opt.gravity",)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the magnitude [m/s^2]."""
        return {"": self.parameter(np.array([_size(model.opt.gravity)]), ("",))}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the vector; where the nominal one is zero it points down."""
        vector = np.array(nominal.opt.gravity)
        size = _size(vector)
        if size == 0:
            vector, unit = np.array([0.0, 0.0, -1.0]), 1.0
        else:
            unit = size
        magnitude = self.combine(values, np.array([size]))
        # Dividing magnitudes first makes the factor exactly 1 at nominal.
        fields["opt.gravity"][:] = vector * (magnitude / unit) + 0.0  # never −0


def _size(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
