"""Automatic domain randomization: each parameter's bounds follow how episodes at those very bounds go."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from sim2real.transfer.curriculum import BELOW_ONE, Curriculum, CurriculumSettings, Ended, Floats


class ADRSettings(CurriculumSettings):
    """Automatic domain randomization (OpenAI 2019): bounds widen from nominal where they are mastered."""

    type: Literal["adr"] = "adr"
    high: float = Field(description="mean score at a boundary from which on it moves outwards")
    low: float = Field(description="mean score at a boundary up to which it moves inwards")
    score: Literal["return", "success"] = Field("return", description="what the thresholds are about")
    delta: float = Field(0.02, gt=0, le=0.5, description="how far a boundary moves, as a share of the source")
    boundary: float = Field(0.5, gt=0, le=1, description="share of episodes with a parameter at a boundary")
    buffer: PositiveInt = Field(20, description="episodes at a boundary before it is judged")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, given {self.low:g} and {self.high:g}")
        return self

    @property
    def without_success(self) -> str:
        """What to write if the score cannot be the task's success."""
        return "score: return" if self.score == "success" else ""


class ADR(Curriculum):
    """Uniform between bounds that start at nominal; algorithm 1 of OpenAI et al., arXiv 1910.07113.

    With probability `boundary` an episode has one parameter, drawn uniformly, at its lower or upper bound,
    and the others anywhere between theirs. The scores of such episodes are collected for each of the 2 d
    boundaries; when `buffer` have come together, their mean moves the boundary outwards by `delta` if it
    is at least `high`, inwards if it is at most `low`, and they are forgotten. Episodes that began when
    the boundary was elsewhere do not count for it. Bounds stay in the cube, and nominal between them.

    `phi` is the lower and then the upper bounds (2 d,).
    """

    settings: ADRSettings

    def __init__(self, settings: ADRSettings, nominal: Floats) -> None:
        super().__init__(settings, nominal)
        self.phi = np.concatenate([nominal, nominal])
        self._buffers: list[list[float]] = [[] for _ in self.phi]
        self._last_mean = float("nan")

    def quantiles(self, phi: Floats, u: Floats, coin: Floats) -> Floats:
        """Return quantiles (k, d): uniform between the bounds, or for some with one parameter at a bound."""
        low, high = np.split(phi, 2, axis=1)
        q = low + u * (high - low)
        chosen, which = self._chosen(coin)
        rows = np.flatnonzero(chosen)
        q[rows, which[rows] % q.shape[1]] = phi[rows, which[rows]]
        return q

    def _chosen(self, coin: Floats) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which episodes (k,) are at a boundary, and the boundary's index in `phi` (k,)."""
        size = len(self.phi)
        which = np.minimum((coin[:, 1] * size).astype(np.int64), size - 1)
        return coin[:, 0] < self.settings.boundary, which

    def observe(self, ended: Ended) -> None:
        """Note scores at the boundaries, and move those that have enough of them."""
        scores = ended.reward if self.settings.score == "return" else ended.success
        chosen, which = self._chosen(ended.coin)
        for row in np.flatnonzero(chosen):
            boundary = int(which[row])
            if ended.phi[row, boundary] != self.phi[boundary]:
                continue  # it has moved since
            buffer = self._buffers[boundary]
            buffer.append(float(scores[row]))
            if len(buffer) >= self.settings.buffer:
                self._last_mean = float(np.mean(buffer))
                buffer.clear()
                self._judge(boundary, self._last_mean)

    def _judge(self, boundary: int, mean: float) -> None:
        outwards = float(mean >= self.settings.high) - float(mean <= self.settings.low)
        d = len(self.nominal)
        nominal = self.nominal[boundary % d]
        least, most = (0.0, nominal) if boundary < d else (nominal, BELOW_ONE)
        step = outwards * self.settings.delta * (-1.0 if boundary < d else 1.0)
        moved = self.phi.copy()
        moved[boundary] = np.clip(moved[boundary] + step, least, most)
        if moved[boundary] != self.phi[boundary]:
            self.phi = moved

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the bounds (d,) and (d,)."""
        low, high = np.split(self.phi, 2)
        return low, high

    def metrics(self) -> dict[str, float]:
        """Return the entropy, the mean of log(high - low) [nat], and the mean score last judged by."""
        low, high = self.bounds()
        with np.errstate(divide="ignore"):
            entropy = float(np.mean(np.log(high - low)))
        return {"entropy": entropy, "boundary_score": self._last_mean}

    def state_dict(self) -> dict[str, Any]:
        """Return bounds and buffers."""
        buffers = [list(buffer) for buffer in self._buffers]
        return {**super().state_dict(), "buffers": buffers, "last_mean": self._last_mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self._buffers = [list(buffer) for buffer in state["buffers"]]
        self._last_mean = state["last_mean"]
