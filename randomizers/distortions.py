"""Imperfect sensors and actuators: terms that change the numbers of an observation or an action.

Several act in the order of the spec. Goals are commands and not sensed: `desired_goal` stays exact.
"""

from typing import ClassVar

import numpy as np

from randomizers.base import Bounds
from randomizers.distributions import Floats
from randomizers.kinds import Distortion, Draw, Path
from randomizers.signals import PathTerm


class ObservationNoise(PathTerm, Distortion):
    """Standard deviation of Gaussian noise on every number observed, fresh at every step."""

    path: ClassVar[Path] = "observation"
    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Add σ z; see `Distortion.distort`."""
        return signal + values * draw.normal(signal.shape[1])


class ActionNoise(ObservationNoise):
    """Standard deviation of Gaussian noise on every action, in its own units, fresh at every step."""

    path: ClassVar[Path] = "action"


class ObservationBias(PathTerm, Distortion):
    """Standard deviation of an offset that each number observed keeps for the episode."""

    path: ClassVar[Path] = "observation"
    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Add σ z with the episode's own z; see `Distortion.distort`."""
        return signal + values * draw.kept().normal(signal.shape[1])


class StuckSensor(PathTerm, Distortion):
    """Probability that a number observed never leaves its first value of the episode."""

    path: ClassVar[Path] = "observation"
    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Hold the value before; see `Distortion.distort`."""
        stuck = draw.kept().uniform(signal.shape[1]) < values
        return np.where(stuck, held, signal)


class Quantization(PathTerm, Distortion):
    """Step between the numbers that a sensor can tell apart; each observation is rounded to one."""

    path: ClassVar[Path] = "observation"
    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Round to the nearest multiple of the step, where it is not 0; see `Distortion.distort`."""
        step = np.where(values > 0, values, 1.0)
        return np.where(values > 0, np.rint(signal / step) * step, signal)


class DeadZone(PathTerm, Distortion):
    """Actions smaller than this do nothing; larger ones lose as much."""

    path: ClassVar[Path] = "action"
    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Return sign(a) max(|a| − w, 0); see `Distortion.distort`."""
        return np.where(values > 0, np.sign(signal) * np.maximum(np.abs(signal) - values, 0), signal)


class Backlash(PathTerm, Distortion):
    """Play between command and effect: after a reversal the action must travel this far before it bites."""

    path: ClassVar[Path] = "action"
    bounds: ClassVar[Bounds] = (0.0, np.inf)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Follow the play operator of width b: clip the last output to a ± b/2; see `Distortion.distort`."""
        return np.clip(held, signal - values / 2, signal + values / 2)
