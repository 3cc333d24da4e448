"""Lights and cameras, each property a randomizer of its own. Physics never changes."""

from typing import ClassVar, Literal

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from randomizers import seen
from randomizers.base import Bounds, Fields, Parameter, Randomizer
from randomizers.checks import Refusal
from randomizers.distributions import Floats
from randomizers.looks import LookTerm
from randomizers.operations import OperationTerm

_LINE = (-np.inf, np.inf)
_ANY = (0.0, np.inf)


class _PlaceTerm(LookTerm):
    words: ClassVar[tuple[str, ...]] = ("x", "y", "z")
    bounds: ClassVar[Bounds] = _LINE
    unit: ClassVar[str] = "m"

    axes: str = Field("xyz", pattern="^(x?y?z?)$", min_length=1, description="axes along which it may vary")

    def drawn(self) -> tuple[str, ...]:
        """Return the axes that vary."""
        return tuple(self.axes)


class _TurnTerm(_PlaceTerm):
    unit: ClassVar[str] = "rad"
    bounds: ClassVar[Bounds] = (-np.pi, np.pi)

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return zeros (k, w): turns begin from where the element points."""
        return np.zeros((len(ids), len(self.axes)))

    def rotation(self, after: Floats) -> Floats:
        """Return the quaternions (n, 4) of rotation vectors whose components on `axes` are (n, w) [rad]."""
        vectors, quats = np.zeros((len(after), 3)), np.zeros((len(after), 4))
        vectors[:, ["xyz".index(axis) for axis in self.axes]] = after
        quats[:, 0] = 1.0
        for quat, vector in zip(quats, vectors, strict=True):
            mujoco.mju_quatIntegrate(quat, vector, 1.0)
        return quats


class LightPosition(_PlaceTerm):
    """Position of lights in the frame of their body; directional lights have none."""

    kind: ClassVar[str] = "light"
    writes: ClassVar[tuple[str, ...]] = ("light_pos",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.PLACED_LIGHTS


class LightDirection(_TurnTerm):
    """Angle by which the direction of lights turns about each axis of their body's frame."""

    kind: ClassVar[str] = "light"
    writes: ClassVar[tuple[str, ...]] = ("light_dir",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.AIMED_LIGHTS

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return the turned directions (n, 3)."""
        result = np.zeros_like(rows)
        for new, old, quat in zip(result, rows, self.rotation(after), strict=True):
            mujoco.mju_rotVecQuat(new, old, quat)
        return result


class LightDiffuse(LookTerm):
    """Brightness of lights, as a factor on their diffuse light."""

    kind: ClassVar[str] = "light"
    bounds: ClassVar[Bounds] = _ANY
    writes: ClassVar[tuple[str, ...]] = ("light_diffuse",)
    refuses: ClassVar[tuple[Refusal, ...]] = (
        *seen.SHINING,
        Refusal(lambda m: ~m.light_diffuse.any(axis=1), "has no diffuse light to scale"),
    )

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return 1 for each light: brightness is relative, (k, 1)."""
        return np.ones((len(ids), 1))

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return the brightened colours (n, 3)."""
        return rows * after


class Headlight(OperationTerm, Randomizer):
    """Brightness of the light at the camera and of the ambient light, as factors on the model's own."""

    bounds: ClassVar[Bounds] = _ANY
    writes: ClassVar[tuple[str, ...]] = ("vis.headlight.diffuse", "vis.headlight.ambient")

    part: Literal["diffuse", "ambient"] | None = Field(
        None, description="only the camera's lamp (diffuse), or only the ambient light; both if not given"
    )

    def parts(self, model: mujoco.MjModel) -> tuple[str, ...]:
        """Return the parts that vary; of both, those that are not dark."""
        lit = tuple(name for name in ("diffuse", "ambient") if getattr(model.vis.headlight, name).any())
        return tuple(name for name in lit if self.part in (None, name))

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One factor for each part.

        Raises:
            ValueError: If the headlight is off or dark.
        """
        if not model.vis.headlight.active:
            raise ValueError("the model's headlight is switched off")
        if not self.parts(model):
            what = self.part or "diffuse or ambient"
            raise ValueError(f"the model's headlight has no {what} light to scale")
        return {part: self.parameter(np.ones(1), (part,)) for part in self.parts(model)}

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return all numbers of the parts that vary."""
        parts = self.parts(model)
        return {name: np.arange(3 if name.split(".")[-1] in parts else 0) for name in self.writes}

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Scale the parts; see `Randomizer.apply`."""
        ones: Floats = np.ones(len(self.parts(nominal)))
        factors = self.combine(values, ones)
        for part, factor in zip(self.parts(nominal), factors.T, strict=True):
            fields[f"vis.headlight.{part}"][:] *= factor[:, None]


class CameraPosition(_PlaceTerm):
    """Position of cameras in the frame of their body."""

    kind: ClassVar[str] = "camera"
    writes: ClassVar[tuple[str, ...]] = ("cam_pos",)


class CameraAngle(_TurnTerm):
    """Angle by which cameras turn about their own axes: x points right, y up, z backwards."""

    kind: ClassVar[str] = "camera"
    writes: ClassVar[tuple[str, ...]] = ("cam_quat",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.AIMED_CAMERAS

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return the turned quaternions (n, 4)."""
        result = np.zeros_like(rows)
        for new, old, quat in zip(result, rows, self.rotation(after), strict=True):
            mujoco.mju_mulQuat(new, old, quat)
            mujoco.mju_normalize4(new)
        return result


class FieldOfView(LookTerm):
    """Vertical field of view of cameras; in radians or as `45 deg`, though MuJoCo keeps degrees."""

    kind: ClassVar[str] = "camera"
    unit: ClassVar[str] = "rad"
    bounds: ClassVar[Bounds] = (float(np.radians(1)), float(np.radians(179)))
    writes: ClassVar[tuple[str, ...]] = ("cam_fovy",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.SIMPLE_LENSES

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return the angles (k, 1) [rad]."""
        return np.radians(model.cam_fovy[ids])[:, None]

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return the angles (n,) [deg]."""
        return np.degrees(after[:, 0])


class FocalLength(LookTerm):
    """Focal length of cameras with a sensor, as a factor on the model's own in both directions."""

    kind: ClassVar[str] = "camera"
    bounds: ClassVar[Bounds] = (1e-3, np.inf)
    writes: ClassVar[tuple[str, ...]] = ("cam_intrinsic",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.SENSORS

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return 1 for each camera: the length is relative, (k, 1)."""
        return np.ones((len(ids), 1))

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return rows with both focal lengths scaled, the principal point as it was (n, 4)."""
        return np.concatenate([rows[:, :2] * after, rows[:, 2:]], axis=1)


OPTICS: dict[str, type[Randomizer]] = {
    "light_position": LightPosition,
    "light_direction": LightDirection,
    "light_diffuse": LightDiffuse,
    "headlight": Headlight,
    "camera_position": CameraPosition,
    "camera_angle": CameraAngle,
    "field_of_view": FieldOfView,
    "focal_length": FocalLength,
}
