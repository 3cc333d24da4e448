"""What every curriculum is: a distribution over the cube of quantiles. The uniform one."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sim2real.agents import Transitions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BELOW_ONE = 1.0 - 2.0**-53
"""The largest quantile: the cube is half open."""


class CurriculumSettings(BaseModel):
    """What a spec's `train.curriculum` says beside its `type`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    independent: ClassVar[bool] = False
    """Whether it takes the parameters to be drawn independently."""

    @property
    def without_success(self) -> str:
        """What to write instead if the task does not say when an episode succeeds; empty if it need not."""
        return ""


class UniformSettings(CurriculumSettings):
    """Uniform over the whole source, from the first episode to the last."""

    type: Literal["uniform"] = "uniform"


class Ended(NamedTuple):
    """Episodes (k,) that have ended, those of failed simulations left out.

    Attributes:
        worlds: Where each ran (k,).
        q: The quantiles of its domain (k, d), at its beginning.
        phi: The curriculum's parameters when it was drawn (k, p).
        coin: What else it was drawn with (k, 2); see `Curriculum.quantiles`.
        reward: Undiscounted returns (k,).
        success: 1, 0, or NaN where the task does not say (k,).
    """

    worlds: Ints
    q: Floats
    phi: Floats
    coin: Floats
    reward: Floats
    success: Floats


class Curriculum:
    """A distribution over the cube [0, 1)^d that may change with what episodes return; this one does not.

    Since it is a distribution over quantiles it never leaves the source. Subclasses change `phi`, or what is
    learned from.

    Args:
        settings: Its settings.
        nominal: Quantiles of the nominal domain (d,).

    Attributes:
        phi: The parameters (p,) of the distribution; replaced, never written into, when it changes.
    """

    def __init__(self, settings: Any, nominal: Floats) -> None:
        self.settings, self.nominal = settings, nominal
        self.phi: Floats = np.zeros(0)

    def quantiles(self, phi: Floats, u: Floats, coin: Floats) -> Floats:
        """Return the quantiles (k, d) of episodes.

        Args:
            phi: The parameters that each is drawn with (k, p).
            u: Uniform quantiles (k, d), as the program draws them for the whole source.
            coin: Two further uniform numbers for each (k, 2).
        """
        del phi, coin
        return u

    def observe(self, ended: Ended) -> None:
        """Learn how episodes ended."""

    def sift(self, step: Transitions, ended: Ended) -> Transitions:
        """Return what the agent is given in place of a vector step; the same number of steps must be valid.

        Args:
            step: What was taken.
            ended: The episodes that ended with it.
        """
        del ended
        return step

    def bounds(self) -> tuple[Floats, Floats]:
        """Return between which quantiles (d,) and (d,) nearly all draws lie."""
        return np.zeros_like(self.nominal), np.full_like(self.nominal, BELOW_ONE)

    def metrics(self) -> dict[str, float]:
        """Return curves; the entropy [nat per parameter] is 0 for the whole source, less for a part of it."""
        return {"entropy": 0.0}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on: arrays and plain values."""
        return {"phi": self.phi.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.phi = state["phi"].copy()
