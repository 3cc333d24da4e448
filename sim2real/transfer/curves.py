"""What a transfer was worth, from curves of return by target episodes (Taylor & Stone 2009, section 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Curve:
    """Return after k episodes of the target.

    Attributes:
        shots: Numbers of target episodes (k,), rising.
        returns: Mean or interquartile mean of the return after each of them (k,).

    Raises:
        ValueError: If there are no shots, they do not rise, or there is another number of returns.
    """

    shots: tuple[int, ...]
    returns: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shots) != len(self.returns) or not self.shots:
            raise ValueError(
                f"a curve has a return for each shot, but {len(self.returns)} for {len(self.shots)}"
            )
        if any(k >= after for k, after in pairwise(self.shots)):
            raise ValueError(f"shots must rise, given {list(self.shots)}")

    @classmethod
    def read(cls, shots: Mapping[str, Mapping[str, Any]], key: str = "iqm") -> Curve:
        """Read the curve of one target from what `evaluation.json` holds under its `shots`.

        Args:
            shots: Summaries by number of shots, as text.
            key: Which number of a summary: `iqm` or `mean`.
        """
        numbers = sorted(map(int, shots))
        return cls(tuple(numbers), tuple(float(shots[str(k)][key]) for k in numbers))


@dataclass(frozen=True)
class Gains:
    """What transfer was worth on one target.

    Attributes:
        jump_start: Return of the adapted policy less that of scratch, at the first shot.
        area_ratio: Area under the adapted policy's curve by that of scratch, both above the floor; None where
            scratch has none.
        threshold: The return that counts as solved.
        shots_to_threshold: Fewest measured shots that reach it; None if none does.
        scratch_shots_to_threshold: The same of scratch.
        asymptote: Return after the most shots.
    """

    jump_start: float
    area_ratio: float | None
    threshold: float
    shots_to_threshold: int | None
    scratch_shots_to_threshold: int | None
    asymptote: float


def gains(adapted: Curve, scratch: Curve, reference: float, floor: float = 0.0, share: float = 0.8) -> Gains:
    """Compare an adapted policy with one that learns the target from scratch.

    Args:
        adapted: Curve of the policy that was trained on the source.
        scratch: Curve of a fresh agent of the same settings, at the same shots.
        reference: Return of a policy trained on the target until it learns no more.
        floor: Return that is worth nothing, such as that of random actions; where returns may be negative,
            ratios mean nothing without it.
        share: Of the way from floor to reference, which counts as solved.

    Raises:
        ValueError: If the shots differ, or the reference is not above the floor.
    """
    if adapted.shots != scratch.shots:
        raise ValueError(f"curves of other shots: {list(adapted.shots)} and {list(scratch.shots)}")
    threshold = threshold_of(reference, floor, share)
    return Gains(
        jump_start=adapted.returns[0] - scratch.returns[0],
        area_ratio=area_ratio(adapted, scratch, floor),
        threshold=threshold,
        shots_to_threshold=shots_to(adapted, threshold),
        scratch_shots_to_threshold=shots_to(scratch, threshold),
        asymptote=adapted.returns[-1],
    )


def threshold_of(reference: float, floor: float = 0.0, share: float = 0.8) -> float:
    """Return what lies `share` of the way from floor to reference.

    Raises:
        ValueError: If the reference is not above the floor.
    """
    if reference <= floor:
        raise ValueError(f"the reference, {reference:g}, must be above the floor, {floor:g}")
    return floor + share * (reference - floor)


def area(curve: Curve, floor: float = 0.0) -> float:
    """Return the area between a curve, straight from shot to shot, and a floor [return · episodes]."""
    heights = [value - floor for value in curve.returns]
    widths = [after - k for k, after in pairwise(curve.shots)]
    return sum(w * (a + b) / 2 for w, (a, b) in zip(widths, pairwise(heights), strict=True))


def area_ratio(adapted: Curve, scratch: Curve, floor: float = 0.0) -> float | None:
    """Return the adapted policy's area above the floor by that of scratch; None where scratch has none."""
    base = area(scratch, floor)
    return area(adapted, floor) / base if base > 0 else None


def shots_to(curve: Curve, threshold: float) -> int | None:
    """Return the fewest measured shots at which a curve reaches a threshold; None if it never does."""
    reached: Sequence[int] = [
        k for k, value in zip(curve.shots, curve.returns, strict=True) if value >= threshold
    ]
    return reached[0] if reached else None


def retained(before: float, after: float, floor: float = 0.0) -> float:
    """Return which share of its return on the source a policy has kept after adapting to a target.

    Args:
        before: Return on the source before.
        after: Return on the source after.
        floor: Return that is worth nothing.

    Raises:
        ValueError: If the policy was not above the floor before.
    """
    if before <= floor:
        raise ValueError(f"the return before, {before:g}, must be above the floor, {floor:g}")
    return (after - floor) / (before - floor)
