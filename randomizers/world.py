"""Randomizers of the whole world: gravity and the air."""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from randomizers.base import Bounds, Fields, Parameter, Randomizer, nominal_field
from randomizers.checks import GRAVITY_ON, refuse_world
from randomizers.components import Component, ComponentTerm
from randomizers.distributions import Floats
from randomizers.operands import Operand
from randomizers.operations import OperationTerm
from randomizers.units import parse_quantity


class Gravity(OperationTerm, Randomizer):
    """Magnitude of gravity; its direction stays."""

    unit: ClassVar[str] = "m/s^2"
    bounds: ClassVar[Bounds] = (0.0, np.inf)
    writes: ClassVar[tuple[str, ...]] = ("opt.gravity",)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the magnitude [m/s^2]."""
        refuse_world(GRAVITY_ON, model, self.type)
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


class GravityTilt(ComponentTerm, Randomizer):
    """Tilt of gravity by roll about x, then pitch about y; its magnitude stays. Like ground that slopes."""

    components: ClassVar[Mapping[str, Component]] = {
        name: Component((name,), "rad", (-np.pi, np.pi)) for name in ("roll", "pitch")
    }
    composes: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("opt.gravity",)

    roll: Operand | None = Field(None, description="angle about the world's x [rad]")
    pitch: Operand | None = Field(None, description="angle about the world's y [rad]")

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each angle given.

        Raises:
            ValueError: If there is no gravity to tilt.
        """
        refuse_world(GRAVITY_ON, model, self.type)
        if _size(model.opt.gravity) == 0:
            raise ValueError("the model has no gravity, so tilting it does nothing; set gravity in the model")
        return self.component_parameters()

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write R_y(pitch) R_x(roll) g; see `Randomizer.apply`."""
        x, y, z = fields["opt.gravity"].T
        roll, pitch = (angle[:, 0] for angle in self.offsets(values).values())
        y, z = y * np.cos(roll) - z * np.sin(roll), y * np.sin(roll) + z * np.cos(roll)
        x, z = x * np.cos(pitch) + z * np.sin(pitch), z * np.cos(pitch) - x * np.sin(pitch)
        level = ((roll == 0) & (pitch == 0))[:, None]
        fields["opt.gravity"][:] = np.where(level, fields["opt.gravity"], np.stack([x, y, z], axis=1))


class Wind(ComponentTerm, Randomizer):
    """Wind along x, y, z of the world; it pushes only where the air has a density or a viscosity."""

    components: ClassVar[Mapping[str, Component]] = {axis: Component((axis,), "m/s") for axis in "xyz"}
    writes: ClassVar[tuple[str, ...]] = ("opt.wind", "opt.density")

    x: Operand | None = Field(None, description="wind along x [m/s]")
    y: Operand | None = Field(None, description="wind along y [m/s]")
    z: Operand | None = Field(None, description="wind along z [m/s]")
    density: float | None = Field(
        None, gt=0, description="density of the air [kg/m^3] in a model without; that of air is 1.2"
    )

    @field_validator("density", mode="before")
    @classmethod
    def _kilograms(cls, raw: object) -> float | None:
        return None if raw is None else parse_quantity(raw, "kg/m^3")

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each direction given.

        Raises:
            ValueError: If there is no air, or if there is and the term brings its own.
        """
        if self.density is None and model.opt.density == 0 and model.opt.viscosity == 0:
            raise ValueError(
                "the model has neither density nor viscosity, so wind does nothing; "
                "give density: 1.2 here, or opt.density in the model"
            )
        if self.density is not None and model.opt.density > 0:
            raise ValueError(
                f"the model's air has a density of {model.opt.density:g} already; leave density out, "
                "or vary air_density"
            )
        return self.component_parameters()

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the whole wind, and the density if the term sets it."""
        return {"opt.wind": np.arange(3), "opt.density": np.arange(int(self.density is not None))}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Add to the wind, and set the density in worlds with wind; see `Randomizer.apply`."""
        offset = np.concatenate(list(self.offsets(values).values()), axis=1)
        fields["opt.wind"][:] = np.where(offset == 0, nominal.opt.wind, nominal.opt.wind + offset)
        if self.density is not None:
            still = (offset == 0).all(axis=1)
            fields["opt.density"][:] = np.where(still, nominal.opt.density, self.density)


class AirDensity(OperationTerm, Randomizer):
    """Density of the air or water around bodies, which resists fast motion."""

    unit: ClassVar[str] = "kg/m^3"
    writes: ClassVar[tuple[str, ...]] = ("opt.density",)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, the number or the factor on it."""
        return {"": self.parameter(np.atleast_1d(nominal_field(model, self.writes[0])), ("",))}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the number; see `Randomizer.apply`."""
        number = np.atleast_1d(nominal_field(nominal, self.writes[0]))
        fields[self.writes[0]][:] = self.combine(values, number)[:, 0]


class Viscosity(AirDensity):
    """Viscosity of the air or water around bodies, which resists slow motion."""

    unit: ClassVar[str] = "Pa s"
    writes: ClassVar[tuple[str, ...]] = ("opt.viscosity",)


def _size(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
