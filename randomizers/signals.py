"""Transport between policy and plant: latency, jitter and lost packets.

They share the cube with everything else, but act on the action and observation paths, not on the model.
"""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Parameter
from randomizers.kinds import Delay, Jitter, Loss, Path
from randomizers.operations import OperationTerm

LONGEST = 2.0
"""Longest latency accepted [s]; more is surely a unit mistake."""


class PathTerm(OperationTerm):
    """One number of a signal's path that is nominally 0."""

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, nominally 0."""
        return {"": self.parameter(np.zeros(1), ("",))}


class ActionLatency(PathTerm, Delay):
    """Time from the policy's decision to its effect on the plant, rounded to the nearest physics step."""

    path: ClassVar[Path] = "action"
    unit: ClassVar[str] = "s"
    bounds: ClassVar[Bounds] = (0.0, LONGEST)


class ObservationLatency(ActionLatency):
    """Age of what the policy sees, rounded to the nearest physics step."""

    path: ClassVar[Path] = "observation"


class ActionJitter(PathTerm, Jitter):
    """Largest further delay of an action, drawn for each; a later one never overtakes an earlier one."""

    path: ClassVar[Path] = "action"
    unit: ClassVar[str] = "s"
    bounds: ClassVar[Bounds] = (0.0, LONGEST)


class ObservationJitter(ActionJitter):
    """Largest further delay of an observation, drawn for each; the policy reads the newest that has come."""

    path: ClassVar[Path] = "observation"


class ActionLoss(PathTerm, Loss):
    """Probability that an action is lost on its way; the plant holds the last one that came."""

    path: ClassVar[Path] = "action"
    bounds: ClassVar[Bounds] = (0.0, 1.0)


class ObservationDropout(ActionLoss):
    """Probability that an observation is lost on its way; the policy sees the last one that came."""

    path: ClassVar[Path] = "observation"
