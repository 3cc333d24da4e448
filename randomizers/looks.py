"""What surfaces look like: colours and materials, each a randomizer of its own. Physics never changes."""

from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from randomizers import seen
from randomizers.base import Bounds, Fields, Parameter, Randomizer, nominal_field
from randomizers.checks import Refusal, refuse
from randomizers.distributions import Floats
from randomizers.operations import ElementTerm
from randomizers.select import Selection

_ANY = (0.0, np.inf)
_RGB = ("red", "green", "blue")


class LookTerm(ElementTerm, Randomizer):
    """Numbers of each selected element that a picture shows, each number with its own draw.

    Where `select` is `.*`, elements that the number does nothing on are left out; named, they are refused.
    """

    words: ClassVar[tuple[str, ...]] = ("",)
    """What each element's numbers are called."""

    select: str = Field(description="regular expression on whole names; '.*' means all that show")

    def selection(self, model: mujoco.MjModel) -> Selection:
        """Return the selected elements; see `randomizers.seen.showing`."""
        return seen.showing(model, self.kind, self.select, self.refuses)

    def drawn(self) -> tuple[str, ...]:
        """Return the words that have a draw."""
        return self.words

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return the nominal numbers of elements (k,), one for each word drawn: (k, w)."""
        columns = [self.words.index(word) for word in self.drawn()]
        return nominal_field(model, self.writes[0])[ids].reshape(len(ids), -1)[:, columns]

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each number of each selected element, or of all when shared."""
        chosen = self.selection(model)
        refuse(self.refuses, model, chosen, self.share)
        numbers, found = self.numbers(model, chosen.ids), dict[str, Parameter]()
        alone = self.share or len(chosen.ids) == 1
        for group in [np.arange(len(numbers))] if alone else np.arange(len(numbers))[:, None]:
            labels = tuple(chosen.labels[i] for i in group)
            for word, nominal in zip(self.drawn(), numbers[group].T, strict=True):
                self._refuse_uneven_set(nominal, labels)
                label = ".".join(x for x in ("" if alone else labels[0], word) if x)
                found[label] = self.parameter(nominal, labels)
        return found

    def touches(self, model: mujoco.MjModel) -> dict[str, NDArray[np.int64]]:
        """Return the selected elements' rows."""
        return dict.fromkeys(self.writes, self.selection(model).ids)

    def apply(self, values: Floats, nominal: mujoco.MjModel, fields: Fields) -> None:
        """Write the elements whose numbers change; see `Randomizer.apply`."""
        ids = self.selection(nominal).ids
        before = self.numbers(nominal, ids)
        each = values.reshape(len(values), -1, before.shape[1])
        each = np.broadcast_to(each, (len(values), *before.shape)).reshape(len(values), -1)
        after = self.combine(each, before.ravel()).reshape(len(values), *before.shape)
        for k, i in enumerate(ids):
            changed = np.flatnonzero((after[:, k] != before[k]).any(axis=1))
            for name in self.writes:
                rows = fields[name][changed, i]
                fields[name][changed, i] = self.written(rows, after[changed, k], before[k])

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return the new rows (n, …) of one element, whose numbers (w,) become (n, w)."""
        if rows.ndim == 1:
            return after[:, 0]
        result = rows.copy()
        columns = [self.words.index(word) for word in self.drawn()]
        result[:, columns] = np.where(after == before, rows[:, columns], after)
        return result


class ColorTerm(LookTerm):
    """Red, green and blue in [0, 1], each with its own draw; `scale` is one factor on all three.

    Colours that would leave the range stop at its ends.
    """

    words: ClassVar[tuple[str, ...]] = _RGB
    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def drawn(self) -> tuple[str, ...]:
        """Return the three colours, or one word for all."""
        return ("brightness",) if self.operation == "scale" else _RGB

    def numbers(self, model: mujoco.MjModel, ids: NDArray[np.int64]) -> Floats:
        """Return the colours (k, 3), or what a factor acts on (k, 1): 1, and 0 for black."""
        colors = nominal_field(model, self.writes[0])[ids, :3]
        if self.operation != "scale":
            return colors
        return np.asarray(colors.max(axis=1, keepdims=True) > 0, dtype=np.float64)

    def operand_bounds(self, nominal: Floats, limits: Bounds | None = None) -> Bounds:
        """Return the operand's limits; a sum or product that leaves [0, 1] stops at the end."""
        return {"scale": _ANY, "add": (-1.0, 1.0), "set": (0.0, 1.0)}[self.operation]

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return colours with the alpha they had."""
        color = rows[:, :3] * after if self.operation == "scale" else after
        color = np.where(color == rows[:, :3], rows[:, :3], np.clip(color, 0.0, 1.0))
        return np.concatenate([color, rows[:, 3:]], axis=1)


class GeomColor(ColorTerm):
    """Colour of geoms that show one of their own."""

    kind: ClassVar[str] = "geom"
    writes: ClassVar[tuple[str, ...]] = ("geom_rgba",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.COLORED_GEOMS

    def written(self, rows: Floats, after: Floats, before: Floats) -> Floats:
        """Return colours, none of them exactly the one at which the material's would show."""
        color = super().written(rows, after, before)
        color[(color.astype(np.float32) == seen.UNSET_RGBA).all(axis=1), 0] += 1e-6
        return color


class MaterialColor(ColorTerm):
    """Colour of materials, where geoms show it; a texture is multiplied by it."""

    kind: ClassVar[str] = "material"
    writes: ClassVar[tuple[str, ...]] = ("mat_rgba",)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.COLORED_MATERIALS


class _MaterialTerm(LookTerm):
    kind: ClassVar[str] = "material"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    refuses: ClassVar[tuple[Refusal, ...]] = seen.SHOWN_MATERIALS


class MaterialSpecular(_MaterialTerm):
    """How strongly materials show highlights of lamps, in [0, 1]."""

    writes: ClassVar[tuple[str, ...]] = ("mat_specular",)


class MaterialShininess(_MaterialTerm):
    """How small and sharp the highlights on materials are, in [0, 1]."""

    writes: ClassVar[tuple[str, ...]] = ("mat_shininess",)
    refuses: ClassVar[tuple[Refusal, ...]] = (
        *seen.SHOWN_MATERIALS,
        Refusal(lambda m: np.asarray(m.mat_specular == 0), "has specular 0, so it shows no highlights"),
    )


class MaterialReflectance(_MaterialTerm):
    """How much of its surroundings a plane or box of a material mirrors, in [0, 1]."""

    writes: ClassVar[tuple[str, ...]] = ("mat_reflectance",)
    refuses: ClassVar[tuple[Refusal, ...]] = (*seen.SHOWN_MATERIALS, *seen.MIRRORS)


class MaterialEmission(_MaterialTerm):
    """How much materials glow of themselves, as a factor on their colour."""

    writes: ClassVar[tuple[str, ...]] = ("mat_emission",)
    bounds: ClassVar[Bounds] = _ANY


LOOKS: dict[str, type[Randomizer]] = {
    "geom_color": GeomColor,
    "material_color": MaterialColor,
    "material_specular": MaterialSpecular,
    "material_shininess": MaterialShininess,
    "material_reflectance": MaterialReflectance,
    "material_emission": MaterialEmission,
}
