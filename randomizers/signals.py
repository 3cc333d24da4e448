"""Terms on the way between policy and plant: latency and sensor noise.

They share the cube with everything else, but act on the action and observation paths, not on the model.
"""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Delay, Noise, Parameter
from randomizers.operations import OperationTerm

LONGEST = 2.0
"""Longest latency accepted [s]; more is surely a unit mistake."""


class ActionLatency(OperationTerm, Delay):
    """Time from the policy's decision to its effect on the plant, rounded to the nearest physics step."""

    path: ClassVar[str] = "action"
    unit: ClassVar[str] = "s"
    bounds: ClassVar[Bounds] = (0.0, LONGEST)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the delay [s]; nominally there is none."""
        return {"": self.parameter(np.zeros(1), ("",))}


class ObservationLatency(ActionLatency):
    """Age of what the policy sees, rounded to the nearest physics step."""

    path: ClassVar[str] = "observation"


class ObservationNoise(OperationTerm, Noise):
    """Standard deviation of Gaussian noise added to every number observed, fresh at every step.

    Goals are commands and not sensed, so `desired_goal` stays exact.
    """

    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the standard deviation in the observation's own units; nominally 0."""
        return {"": self.parameter(np.zeros(1), ("",))}
