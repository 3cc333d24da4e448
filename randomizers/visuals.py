"""What a camera sees: colours and materials, lights, cameras. Physics never changes."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from randomizers.base import Fields, Parameter, Randomizer
from randomizers.distributions import Floats, Uniform
from randomizers.units import parse_quantity

_XYZ = ("x", "y", "z")
_RGB = ("red", "green", "blue")
# MuJoCo lets the material's colour through only where the geom has this one.
_UNSET_RGBA = np.array([0.5, 0.5, 0.5, 1.0])


class CameraJitter(BaseModel):
    """How far every camera of the model may move and turn."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    position: float = Field(0.0, ge=0, description="largest shift along each axis [m]")
    angle: float = Field(0.0, ge=0, le=np.pi, description="largest turn about each axis [rad]")

    @field_validator("position", mode="before")
    @classmethod
    def _metres(cls, raw: object) -> float:
        return parse_quantity(raw, "m")

    @field_validator("angle", mode="before")
    @classmethod
    def _radians(cls, raw: object) -> float:
        return parse_quantity(raw, "rad")


class Visuals(Randomizer):
    """Colours of geoms and materials, position and brightness of lights, pose of cameras."""

    writes: ClassVar[tuple[str, ...]] = (
        "geom_rgba",
        "mat_rgba",
        "light_pos",
        "light_diffuse",
        "vis.headlight.diffuse",
        "cam_pos",
        "cam_quat",
    )

    colors: float = Field(0.0, ge=0, le=1, description="largest change of each colour channel")
    lights: float = Field(0.0, ge=0, le=1, description="largest shift [m] and relative change of brightness")
    camera: CameraJitter = Field(default_factory=lambda: CameraJitter.model_validate({}))

    @field_validator("colors", "lights", mode="before")
    @classmethod
    def _fraction(cls, raw: object) -> float:
        return parse_quantity(raw, "")

    @model_validator(mode="after")
    def _something_varies(self) -> "Visuals":
        if not (self.colors or self.lights or self.camera.position or self.camera.angle):
            raise ValueError("nothing varies; give colors, lights or camera")
        return self

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each channel of each surface, light and camera that varies.

        Raises:
            ValueError: If the model has none.
        """
        geoms, materials = _surfaces(model)
        labels: dict[str, float] = {}
        if self.colors:
            surfaces = [f"geom{i}" for i in geoms] + [f"material{i}" for i in materials]
            labels |= {f"colors.{s}.{c}": self.colors for s in surfaces for c in _RGB}
        if self.lights:
            labels |= {f"lights.{i}.{a}": self.lights for i in range(model.nlight) for a in _XYZ}
            labels |= {f"lights.{i}.diffuse": self.lights for i in [*range(model.nlight), "head"]}
        for i in range(model.ncam):
            if self.camera.position:
                labels |= {f"camera.{i}.{axis}": self.camera.position for axis in _XYZ}
            if self.camera.angle:
                labels |= {f"camera.{i}.turn_{axis}": self.camera.angle for axis in _XYZ}
        if not labels:
            raise ValueError("the model has nothing of the kind that is to vary, such as a camera")
        return {label: Parameter(Uniform(-size, size), 0.0) for label, size in labels.items()}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the fields; see `Randomizer.apply`."""
        n = len(values)
        columns = iter(values.T)

        def take(*shape: int) -> NDArray[np.float64]:
            count = int(np.prod(shape))
            return np.stack([next(columns) for _ in range(count)], 1).reshape(n, *shape)

        geoms, materials = _surfaces(nominal)
        if self.colors and len(geoms):
            _shift_colors(fields["geom_rgba"], geoms, take(len(geoms), 3))
        if self.colors and len(materials):
            _shift_colors(fields["mat_rgba"], materials, take(len(materials), 3))
        if self.lights and nominal.nlight:
            fields["light_pos"][:] += take(nominal.nlight, 3)
        if self.lights and nominal.nlight:
            fields["light_diffuse"][:] *= 1 + take(nominal.nlight, 1)
        if self.lights:
            fields["vis.headlight.diffuse"][:] *= 1 + take(1)
        for i in range(nominal.ncam):
            if self.camera.position:
                fields["cam_pos"][:, i] += take(3)
            if self.camera.angle:
                fields["cam_quat"][:, i] = _turned(fields["cam_quat"][:, i], take(3))


def _surfaces(model: mujoco.MjModel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the geoms that show their own colour, and the materials that show theirs."""
    own = (model.geom_rgba != _UNSET_RGBA).any(axis=1) | (model.geom_matid < 0)
    visible = model.geom_rgba[:, 3] > 0
    materials = np.unique(model.geom_matid[~own & visible])
    return np.flatnonzero(own & visible), materials


def _shift_colors(rgba: NDArray[np.float64], ids: NDArray[np.int64], shift: Floats) -> None:
    """Add shifts (n, k, 3) to the colours of rows `ids`, inside [0, 1]."""
    shifted = np.clip(rgba[:, ids, :3] + shift, 0.0, 1.0)
    rgba[:, ids, :3] = np.where(shift == 0, rgba[:, ids, :3], shifted)


def _turned(quat: Floats, angles: Floats) -> Floats:
    """Turn quaternions (n, 4) by rotation vectors (n, 3) [rad] in the camera's own frame."""
    result = quat.copy()
    for i, (start, angle) in enumerate(zip(quat, angles, strict=True)):
        if angle.any():
            result[i] = start
            mujoco.mju_quatIntegrate(result[i], angle, 1.0)
    return result
