"""Randomizers of actuators."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.base import Bounds, Fields, Parameter, Randomizer
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection
from randomizers.words import listing

_LINEAR_GAIN = (int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE))
_LINEAR_BIAS = (int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE))


class MotorStrength(ElementTerm, Randomizer):
    """Force that actuators give for a command: gain, bias and force range together.

    Scaling the gain of a servo alone would move its set point, so gain and bias change as one.
    """

    kind: ClassVar[str] = "actuator"
    bounds: ClassVar[Bounds] = (0.0, np.inf)
    writes: ClassVar[tuple[str, ...]] = (
        "actuator_gainprm",
        "actuator_biasprm",
        "actuator_forcerange",
    )

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return 1 for each selected actuator: strength is relative, (k,)."""
        return np.ones(len(ids.ids))

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One strength for each selected actuator, or one in all when shared.

        Raises:
            ValueError: For muscles and user-defined actuators, whose force is not linear in the gain.
        """
        chosen = self.selection(model)
        odd = [
            label
            for i, label in zip(chosen.ids, chosen.labels, strict=True)
            if model.actuator_gaintype[i] not in _LINEAR_GAIN
            or model.actuator_biastype[i] not in _LINEAR_BIAS
        ]
        if odd:
            raise ValueError(f"motor_strength needs fixed or affine gains; {listing(odd)} have others")
        return super().parameters(model)

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected actuators for the three fields."""
        ids = self.selection(model).ids
        return {name: ids for name in self.writes}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Scale the three fields; see `Randomizer.apply`."""
        ids = self.selection(nominal).ids
        strength = self.combine(values, np.ones(len(ids)))
        for name in self.writes:
            fields[name][:, ids] = getattr(nominal, name)[ids] * strength[:, :, None]
