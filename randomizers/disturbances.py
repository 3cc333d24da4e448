"""Forces from outside: pushes and constant loads, on bodies in world axes."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from randomizers.base import Bounds, Parameter
from randomizers.distributions import Floats
from randomizers.kinds import Disturbance, Draw
from randomizers.operations import OperationTerm
from randomizers.select import select
from randomizers.units import parse_quantity
from randomizers.words import listing


class _OnBodies(OperationTerm, Disturbance):
    """A force on selected bodies, nominally 0."""

    unit: ClassVar[str] = "N"
    select: str = Field(description="regular expression on whole names of bodies")

    def bodies(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the selected bodies, (k,).

        Raises:
            ValueError: If none matches, or one is fixed to the world.
        """
        chosen = select(model, "body", self.select)
        fixed = [
            label for i, label in zip(chosen.ids, chosen.labels, strict=True) if model.body_weldid[i] == 0
        ]
        if fixed:
            raise ValueError(f"{listing(fixed)} cannot move, so a force does nothing; use a narrower select")
        return chosen.ids


class Push(_OnBodies):
    """Force of pushes: one in every interval, at a random time, on one of the bodies, horizontally."""

    bounds: ClassVar[Bounds] = (0.0, np.inf)
    every: float = Field(2.0, gt=0, description="one push in each interval of this length [s]")
    duration: float = Field(0.1, gt=0, description="how long a push lasts [s]")

    @field_validator("every", "duration", mode="before")
    @classmethod
    def _seconds(cls, raw: object) -> float:
        return parse_quantity(raw, "s")

    @model_validator(mode="after")
    def _fits(self) -> "Push":
        if self.duration > self.every:
            raise ValueError(f"a push of {self.duration:g} s does not fit into every {self.every:g} s")
        return self

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the force [N]."""
        self.bodies(model)
        return {"": self.parameter(np.zeros(1), ("",))}

    def wrench(self, values: Floats, time: Floats, period: float, count: int, draw: Draw) -> Floats:
        """Return the push's mean force over the control step, so that its impulse is exact."""
        interval = np.floor((time + 1e-9) / self.every)
        when, angle, which = draw.numbered(interval.astype(np.int64)).uniform(3).T
        start = interval * self.every + when * (self.every - self.duration)
        overlap = np.minimum(time + period, start + self.duration) - np.maximum(time, start)
        force = values[:, 0] * np.clip(overlap, 0, None) / period
        direction = np.stack([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)], axis=1)
        result = np.zeros((len(values), count, 6))
        result[np.arange(len(values)), (which * count).astype(int), :2] = force[:, None] * direction
        return result


class ExternalForce(_OnBodies):
    """Constant force on bodies, as of a taut cable or a slope."""

    bounds: ClassVar[Bounds] = (-np.inf, np.inf)
    axes: str = Field("xyz", pattern="^(x?y?z?)$", min_length=1, description="world axes it may point along")

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One component [N] for each axis."""
        self.bodies(model)
        return {axis: self.parameter(np.zeros(1), (axis,)) for axis in self.axes}

    def wrench(self, values: Floats, time: Floats, period: float, count: int, draw: Draw) -> Floats:
        """Return the same force in every step."""
        result = np.zeros((len(values), count, 6))
        result[:, :, ["xyz".index(axis) for axis in self.axes]] = values[:, None]
        return result
