"""Procedural textures, painted over those of the model."""

from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, Literal, get_args

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from randomizers import seen
from randomizers.base import Bounds, Parameter
from randomizers.checks import Refusal, refuse
from randomizers.distributions import Choice, Distribution, Floats, Uniform
from randomizers.kinds import Paint
from randomizers.operands import Operand, parse_operand
from randomizers.select import Selection
from randomizers.words import between

Points = NDArray[np.float32]
Pattern = Literal["nominal", "checker", "gradient", "noise", "flat"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
"""The number of each pattern, as values have it, is its place; 0 leaves the texture as compiled."""

_BOUNDS: dict[str, Bounds] = {"colors": (0.0, 1.0), "cells": (1.0, 64.0)}
_COLORS = tuple(f"{which}.{c}" for which in ("first", "second") for c in ("red", "green", "blue"))
_FLAT, _CUBE = int(mujoco.mjtTexture.mjTEXTURE_2D), int(mujoco.mjtTexture.mjTEXTURE_CUBE)
_FINEST = 96
"""Noise is computed on at most this many points along a side, and repeated."""
_SLICES = 64
"""How far through the noise `variant` goes from 0 to 1: neighbouring variants blend into each other."""
# The axes (right, down, outward) of the faces of a cube map, in OpenGL's order.
_FACES = (
    ((0, 0, -1), (0, -1, 0), (1, 0, 0)),
    ((0, 0, 1), (0, -1, 0), (-1, 0, 0)),
    ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
)


class Texture(Paint):
    """Textures painted anew: checker, gradient, soft noise or one colour, in two colours drawn.

    A pattern follows from its values alone, and changes smoothly with them.
    """

    refuses: ClassVar[tuple[Refusal, ...]] = seen.SHOWN_TEXTURES

    select: str = Field(description="regular expression on whole names; '.*' means all that show")
    share: bool = Field(False, description="one draw for all selected textures")
    patterns: tuple[Pattern, ...] = Field(PATTERNS[1:], description="what to draw from")
    colors: Operand = Field(default_factory=lambda: Uniform(0.0, 1.0), description="each colour channel")
    cells: Operand = Field(default_factory=lambda: Uniform(2.0, 16.0), description="cells along a side")

    @field_validator("colors", "cells", mode="before")
    @classmethod
    def _read_operand(cls, raw: object) -> Distribution:
        return parse_operand(raw, "")

    @field_validator("patterns", mode="before")
    @classmethod
    def _read_patterns(cls, raw: object) -> object:
        return [raw] if isinstance(raw, str) else raw

    @field_validator("patterns")
    @classmethod
    def _some_pattern(cls, patterns: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
        if not patterns or patterns == ("nominal",):
            raise ValueError(f"nothing varies; name some of {', '.join(PATTERNS[1:])}")
        return tuple(dict.fromkeys(patterns))

    def selection(self, model: mujoco.MjModel) -> Selection:
        """Return the selected textures; the sky is called `skybox` where it has no name."""
        return seen.showing(model, "texture", self.select, self.refuses)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """Pattern, cells, variant and two colours of each texture, or of all when shared.

        Raises:
            ValueError: If the model has no such texture, or a number could leave its bounds.
        """
        if model.ntex == 0:
            raise ValueError("the model has no textures; use geom_color or material_color")
        chosen = self.selection(model)
        refuse(self.refuses, model, chosen, self.share)
        for name, (low, high) in _BOUNDS.items():
            least, most = getattr(self, name).support
            if not (low <= least and most <= high):
                raise ValueError(f"{name} must be {between(low, high)}")
        alone = self.share or len(chosen.ids) == 1
        prefixes = ("",) if alone else tuple(f"{label}." for label in chosen.labels)
        return {f"{prefix}{word}": found for prefix in prefixes for word, found in self._drawn().items()}

    def _drawn(self) -> dict[str, Parameter]:
        numbers = tuple(float(PATTERNS.index(pattern)) for pattern in self.patterns)
        # What does not matter to the nominal texture is nominally where its range begins.
        return {
            "pattern": Parameter(Choice(numbers), 0.0, "", (0.0, len(PATTERNS) - 1.0)),
            "cells": Parameter(self.cells, self.cells.support[0], "", _BOUNDS["cells"]),
            "variant": Parameter(Uniform(0.0, 1.0), 0.0, "", (0.0, 1.0)),
        } | {word: Parameter(self.colors, self.colors.support[0], "", _BOUNDS["colors"]) for word in _COLORS}

    def paint(self, values: Floats, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Write the textures that are not nominal; see `Paint.paint`."""
        ids = self.selection(model).ids
        rows = np.broadcast_to(values.reshape(-1, 3 + len(_COLORS)), (len(ids), 3 + len(_COLORS)))
        painted: list[int] = []
        for texture, (number, cells, variant, *colors) in zip(ids.tolist(), rows, strict=True):
            pattern = PATTERNS[round(float(number))]
            if pattern != "nominal":
                _paint(model, texture, pattern, max(1, round(float(cells))), float(variant), np.array(colors))
                painted.append(texture)
        return np.array(painted, dtype=np.int64)


def _paint(
    model: mujoco.MjModel, texture: int, pattern: Pattern, cells: int, variant: float, colors: Floats
) -> None:
    """Write one texture in colours (6,): the first and the second."""
    shape = tuple(int(getattr(model, f"tex_{side}")[texture]) for side in ("height", "width", "nchannel"))
    start = int(model.tex_adr[texture])
    pixels = model.tex_data[start : start + int(np.prod(shape))].reshape(shape)
    kind = int(model.tex_type[texture]) if shape[0] == 6 * shape[1] else _FLAT
    mix = _MIX[pattern](_points(shape[0], shape[1], kind), cells, variant)[..., None]
    first, second = (np.asarray(c * 255, dtype=np.float32) for c in np.split(colors, 2))
    color = np.asarray(np.rint(first + mix * (second - first)), dtype=np.uint8)
    if shape[2] < 3:
        pixels[..., 0] = color.mean(axis=-1)
    else:
        pixels[..., :3] = color


@lru_cache(maxsize=16)
def _points(height: int, width: int, kind: int) -> Points:
    """Return where each texel lies (height, width, 3): in the unit square, or on the unit cube.

    The second coordinate points down: in a geom's own frame, or from the zenith of the sky.
    """
    side = height if kind == _FLAT else width
    down, right = np.meshgrid((np.arange(side) + 0.5) / side, (np.arange(width) + 0.5) / width, indexing="ij")
    if kind == _FLAT:
        return np.stack([right, down, np.zeros_like(down)], axis=-1).astype(np.float32)
    at = np.stack([2 * right - 1, 2 * down - 1, np.ones_like(down)], axis=-1)
    x, y, z = np.concatenate([at @ np.array(axes, dtype=np.float64) for axes in _FACES]).transpose(2, 0, 1)
    # On geoms a cube map has the geom's axes; in the sky its y points up.
    x, y, z = (x, -z, y) if kind == _CUBE else (x, -y, z)
    return ((np.stack([x, y, z], axis=-1) + 1) / 2).astype(np.float32)


def _checker(points: Points, cells: int, variant: float) -> Points:
    # Points on the far sides of a cube belong to the last cell.
    return (np.minimum((points * cells).astype(np.int64), cells - 1).sum(axis=-1) % 2).astype(np.float32)


def _gradient(points: Points, cells: int, variant: float) -> Points:
    return points[..., 1]


def _flat(points: Points, cells: int, variant: float) -> Points:
    return np.zeros(points.shape[:2], dtype=np.float32)


def _noise(points: Points, cells: int, variant: float) -> Points:
    """Value noise of three octaves, which repeats at the edges: smooth blobs with finer detail on them."""
    height, width = points.shape[:2]
    columns = min(width, _FINEST)
    rows = max(1, round(height * columns / width))
    coarse = points[_middles(height, rows)][:, _middles(width, columns)]
    total = sum(_lattice(coarse, cells * 2**k, variant) / 2**k for k in range(3)) / 1.75
    # Value noise seldom leaves the middle half of its range, which is stretched over the whole.
    mix = np.clip(2.0 * np.asarray(total, dtype=np.float32) - 0.5, 0.0, 1.0)
    return mix[np.arange(height) * rows // height][:, np.arange(width) * columns // width]


def _middles(count: int, parts: int) -> NDArray[np.int64]:
    """Return the middle index of each of `parts` parts of `count`."""
    return ((2 * np.arange(parts) + 1) * count) // (2 * parts)


def _lattice(points: Points, cells: int, variant: float) -> Points:
    """Interpolate hashed numbers at the corners of a lattice that repeats after `cells` cells."""
    at = points * np.float32(cells)
    at[..., 2] += np.float32(variant * _SLICES)
    corner = np.floor(at)
    share = at - corner
    share = share * share * (3 - 2 * share)
    whole = corner.astype(np.int64)
    result = np.zeros(points.shape[:2], dtype=np.float32)
    for offset in np.ndindex(2, 2, 2):
        weight = np.where(np.array(offset) == 1, share, 1 - share).prod(axis=-1)
        place = whole + np.array(offset)
        result += weight * _hash(place[..., 0] % cells, place[..., 1] % cells, place[..., 2])
    return result


def _hash(x: NDArray[np.int64], y: NDArray[np.int64], z: NDArray[np.int64]) -> Points:
    """Return a number in [0, 1) that looks random, for whole numbers: the finalizer of MurmurHash3."""
    h = (x * 73856093 ^ y * 19349663 ^ z * 83492791).astype(np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return ((h ^ (h >> np.uint32(16))) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


_MIX: dict[Pattern, Callable[[Points, int, float], Points]] = {
    "checker": _checker,
    "gradient": _gradient,
    "noise": _noise,
    "flat": _flat,
}
