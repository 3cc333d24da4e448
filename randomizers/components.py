"""Terms with several operands, each an offset that is nominally 0: x, y, z and the like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from randomizers.base import Bounds, Parameter, Term
from randomizers.checks import Refusal, refuse
from randomizers.distributions import Distribution, Floats
from randomizers.operands import parse_operand
from randomizers.select import Selection, select
from randomizers.units import bare_number_hint
from randomizers.words import between, listing


@dataclass(frozen=True)
class Component:
    """One operand: its unit and bounds, and the parameters (labels) that it stands for."""

    labels: tuple[str, ...]
    unit: str = ""
    bounds: Bounds = (-np.inf, np.inf)


class ComponentTerm(Term):
    """A term whose YAML keys are its components, of which at least one is given."""

    components: ClassVar[Mapping[str, Component]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _read_component(cls, raw: object, info: ValidationInfo) -> object:
        component = cls.components.get(str(info.field_name))
        if component is None:
            return raw
        if raw is None:
            raise ValueError("a value is missing")
        operand = parse_operand(raw, component.unit)
        (least, most), (low, high) = operand.support, component.bounds
        if not (low <= least and most <= high):
            allowed = between(low, high, component.unit)
            hint = bare_number_hint(0, component.unit)
            raise ValueError(f"{operand.describe()} is impossible: it must be {allowed}{hint}")
        return operand

    @model_validator(mode="after")
    def _something_varies(self) -> "ComponentTerm":
        if not any(self.given(name) for name in self.components):
            raise ValueError(f"nothing varies; give {listing(self.components)}")
        return self

    def given(self, component: str) -> bool:
        """Whether the spec gives a component."""
        return getattr(self, component) is not None

    def offsets_by_label(self) -> dict[str, tuple[Distribution, Component]]:
        """Return what each label draws, in order, where given."""
        return {
            label: (getattr(self, name), component)
            for name, component in self.components.items()
            if self.given(name)
            for label in component.labels
        }

    def component_parameters(self, prefixes: tuple[str, ...] = ("",)) -> dict[str, Parameter]:
        """Return one parameter for each prefix and given label."""
        return {
            f"{prefix}{label}": Parameter(operand, 0.0, component.unit, component.bounds)
            for prefix in prefixes
            for label, (operand, component) in self.offsets_by_label().items()
        }

    def offsets(self, values: Floats, count: int = 1) -> dict[str, Floats]:
        """Sort values (n, d) by label, for `count` elements: (n, count) each, 0 where not given."""
        labels = list(self.offsets_by_label())
        columns = values.reshape(len(values), values.shape[1] // len(labels), len(labels))
        every = [label for component in self.components.values() for label in component.labels]
        zero = np.zeros((len(values), count))
        return {
            label: zero + columns[:, :, labels.index(label)] if label in labels else zero for label in every
        }

    def stacked(self, values: Floats, count: int, component: str) -> Floats:
        """Return one component's offsets (n, count, labels of the component)."""
        offsets = self.offsets(values, count)
        return np.stack([offsets[label] for label in self.components[component].labels], axis=-1)


class ElementComponents(ComponentTerm):
    """Components of each element that `select` matches, each with its own draws or one for all."""

    kind: ClassVar[str] = "body"
    refuses: ClassVar[tuple[Refusal, ...]] = ()

    select: str = Field(description="regular expression on whole names")
    share: bool = Field(False, description="one draw for all selected elements")

    def selection(self, model: mujoco.MjModel) -> Selection:
        """Return the selected elements; see `randomizers.select.select`."""
        return select(model, self.kind, self.select)

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each component, of each selected element or of all when shared."""
        chosen = self.selection(model)
        refuse(self.refuses, model, chosen)
        alone = self.share or len(chosen.ids) == 1
        return self.component_parameters(("",) if alone else tuple(f"{name}." for name in chosen.labels))
