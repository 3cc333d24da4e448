"""The physics time step, under a control period that stays."""

from typing import ClassVar

import mujoco
import numpy as np
from pydantic import model_validator

from randomizers.base import Bounds, Parameter
from randomizers.distributions import Floats
from randomizers.kinds import Clock
from randomizers.operations import OperationTerm


class Timestep(OperationTerm, Clock):
    """Physics time step; the control period stays, so it is rounded to a whole number of steps in it."""

    unit: ClassVar[str] = "s"
    bounds: ClassVar[Bounds] = (1e-5, 0.1)

    @model_validator(mode="after")
    def _steady(self) -> "Timestep":
        if self.when.drifts:
            raise ValueError(f"the time step cannot change inside an episode, as '{self.when.kind}' would")
        return self

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the time step [s] or the factor on it."""
        return {"": self.parameter(np.array([model.opt.timestep]), ("",))}

    def timestep(self, values: Floats, nominal: float) -> Floats:
        """Return the wished time step; see `Clock.timestep`."""
        return self.combine(values, np.array([nominal]))[:, 0]

    def values(self, timestep: Floats, nominal: float) -> Floats:
        """Return the operand of a time step; see `Clock.values`."""
        inverse = {"scale": timestep / nominal, "add": timestep - nominal, "set": timestep}
        return inverse[self.operation][:, None]
