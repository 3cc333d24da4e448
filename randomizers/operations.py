"""Terms that scale, add to or set a number of each selected element."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self, cast

import mujoco
import numpy as np
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from randomizers.base import Bounds, Parameter, Term
from randomizers.checks import Refusal, refuse
from randomizers.distributions import Distribution, Floats
from randomizers.operands import Operand, parse_operand
from randomizers.select import Selection, select
from randomizers.units import alternatives, bare_number_hint, units_in
from randomizers.words import between, listing

Operation = Literal["scale", "add", "set"]


class OperationTerm(Term):
    """A term whose YAML key is the operation: exactly one of `scale`, `add`, `set`.

    Subclasses say with `unit` and `bounds` what the number is, and read it in `nominal_values`.
    """

    unit: ClassVar[str] = ""
    bounds: ClassVar[Bounds] = (0.0, np.inf)
    limits_note: ClassVar[str] = ""

    scale: Operand | None = Field(None, description="factor on the nominal value")
    add: Operand | None = Field(None, description="offset to the nominal value")
    set: Operand | None = Field(None, description="new value in place of the nominal one")

    @field_validator("scale", "add", "set", mode="before")
    @classmethod
    def _read_operand(cls, raw: object, info: ValidationInfo) -> Distribution | None:
        if raw is None:
            raise ValueError("a value is missing")
        if info.field_name == "scale":
            return parse_operand(raw, "", centre=1.0)
        return parse_operand(raw, cls.unit)

    @model_validator(mode="after")
    def _one_operation(self) -> "OperationTerm":
        given = [name for name in ("scale", "add", "set") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of scale, add, set is wanted, given {' and '.join(given) or 'none'}"
            )
        return self

    @property
    def operation(self) -> Operation:
        """Which of the three it is."""
        return cast(Operation, next(n for n in ("scale", "add", "set") if getattr(self, n) is not None))

    @property
    def operand(self) -> Distribution:
        """The distribution behind the operation."""
        return cast(Distribution, getattr(self, self.operation))

    def combine(self, values: Floats, nominal: Floats) -> Floats:
        """Apply the operation to nominal numbers (k,) in n worlds: values (n, k) or (n, 1) → (n, k)."""
        if self.operation == "scale":
            return nominal * values
        if self.operation == "add":
            return nominal + values
        return np.broadcast_to(values, (len(values), len(nominal)))

    def neutral(self, nominal: float) -> float:
        """The operand that changes nothing."""
        return {"scale": 1.0, "add": 0.0, "set": nominal}[self.operation]

    def parameter(
        self,
        nominal: Floats,
        labels: tuple[str, ...],
        limits: Bounds | None = None,
        unit: str | None = None,
    ) -> Parameter:
        """Make the Parameter of an operand that acts on all the given nominal numbers (k,).

        Args:
            nominal: The numbers.
            labels: Names of what they belong to, (k,).
            limits: Physical limits on this model, where they are narrower than `bounds`.
            unit: Their unit, where `unit` of the class leaves it open.

        Raises:
            ValueError: If it scales a zero, or could leave the physical bounds.
        """
        self._refuse_no_op(nominal, labels)
        low, high = self.operand_bounds(nominal, limits)
        least, most = self.operand.support
        unit = "" if self.operation == "scale" else unit or self.unit
        if not (low <= least and most <= high):
            raise ValueError(self._impossible(between(low, high, unit), labels, unit))
        return Parameter(self.operand, self.neutral(float(nominal[0])), unit, (low, high))

    def operand_bounds(self, nominal: Floats, limits: Bounds | None = None) -> Bounds:
        """The operand's limits such that every resulting number stays inside `limits`, or else `bounds`."""
        low, high = limits or self.bounds
        if self.operation == "set":
            return low, high
        if self.operation == "add":
            return float(np.max(low - nominal)), float(np.min(high - nominal))
        ends = np.sort([low / nominal, high / nominal], axis=0)
        return float(ends[0].max()), float(ends[1].min())

    def _impossible(self, allowed: str, labels: tuple[str, ...], unit: str) -> str:
        least, most = self.operand.support
        given = f"{self.operation} {self.operand.describe()}"
        of = f"{self.type} of {listing(labels, most=3)}" if any(labels) else self.type
        what = {"scale": f"a factor on {of}", "add": f"what is added to {of}", "set": of}[self.operation]
        if np.isinf(least) or np.isinf(most):
            return (
                f"{given} has no ends, but {what} must be {allowed}; "
                "use truncated_normal: [mean, std, low, high]"
            )
        # Too large is often milliseconds read as seconds; too small never is.
        hint = bare_number_hint(0, unit) if least >= 0 else ""
        return f"{given} is impossible: {what} must be {allowed}{self.limits_note}{hint}"

    def _refuse_no_op(self, nominal: Floats, labels: tuple[str, ...]) -> None:
        zero = [label for label, value in zip(labels, nominal, strict=True) if value == 0]
        if self.operation == "scale" and zero:
            what = f" of {listing(zero)}" if any(zero) else ""
            raise ValueError(
                f"the nominal {self.type}{what} is 0, so scaling it does nothing; "
                "use add or set, or a narrower select"
            )


class ElementTerm(OperationTerm):
    """An `OperationTerm` on the elements that `select` matches, each with its own draw or one for all."""

    kind: ClassVar[str] = "body"
    refuses: ClassVar[tuple[Refusal, ...]] = ()

    select: str = Field(description="regular expression on whole names")
    share: bool = Field(False, description="one draw for all selected elements")

    _given: frozenset[str] = PrivateAttr(frozenset[str]())

    @model_validator(mode="wrap")
    @classmethod
    def _remember_units(cls, raw: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        term = handler(raw)
        if isinstance(raw, Mapping) and len(alternatives(cls.unit)) > 1:
            body = cast(Mapping[str, object], raw)
            term._given = units_in([body.get("add"), body.get("set")], cls.unit)
        return term

    def selection(self, model: mujoco.MjModel) -> Selection:
        """Return the selected elements; see `randomizers.select.select`."""
        return select(model, self.kind, self.select)

    def limits(self, model: mujoco.MjModel) -> Bounds:
        """Return the physical limits of the number on this model; `bounds` by default."""
        return self.bounds

    def nominal_values(self, model: mujoco.MjModel, ids: Selection) -> Floats:
        """Return the nominal number of each selected element, (k,)."""
        raise TypeError(f"{type(self).__name__} defines no nominal_values")

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter for each selected element, or one in all when shared."""
        chosen = self.selection(model)
        refuse(self.refuses, model, chosen, self.share)
        nominal, limits = self.nominal_values(model, chosen), self.limits(model)
        units = self._units(model, chosen)
        if self.share or len(chosen.ids) == 1:
            self._refuse_uneven_set(nominal, chosen.labels)
            unit = units[0] if len(set(units)) == 1 else self.unit
            return {"": self.parameter(nominal, chosen.labels, limits, unit)}
        self._refuse_no_op(nominal, chosen.labels)
        return {
            label: self.parameter(nominal[i : i + 1], (label,), limits, units[i])
            for i, label in enumerate(chosen.labels)
        }

    def _units(self, model: mujoco.MjModel, chosen: Selection) -> list[str]:
        """Return the SI unit of each element's number: of two alternatives a slide has the second.

        Raises:
            ValueError: If the operand is given in the other one.
        """
        kinds = alternatives(self.unit)
        if len(kinds) == 1 or self.kind != "joint":
            return [self.unit] * len(chosen.ids)
        # The six freedoms of a free joint are in both.
        odd = {int(mujoco.mjtJoint.mjJNT_SLIDE): kinds[1], int(mujoco.mjtJoint.mjJNT_FREE): self.unit}
        units = [odd.get(int(model.jnt_type[i]), kinds[0]) for i in chosen.ids]
        for given in sorted(self._given):
            (theirs,) = {*kinds} - {given}
            wrong = [label for label, unit in zip(chosen.labels, units, strict=True) if unit == theirs]
            if wrong:
                raise ValueError(
                    f"{self.type} of {listing(wrong)} is in {theirs}, but is given in {given}; "
                    f"give it in {theirs}, or use a narrower select"
                )
        return units

    def _refuse_uneven_set(self, nominal: Floats, labels: tuple[str, ...]) -> None:
        if self.operation == "set" and np.ptp(nominal) > 0:
            raise ValueError(
                f"set with one shared value has no nominal: {listing(labels)} differ "
                f"({listing(f'{value:g}' for value in nominal)}); use scale or add, or share: false"
            )
