"""A history in place of a memory: actor and critics see the last moves, and nothing of the domain.

The plain relative of a recurrent policy: what happened longer ago than the history reaches is forgotten, and
every episode begins with an empty one.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.transfer.contextual import Chosen, Contextual, ContextualConfig


class HistorySACConfig(ContextualConfig):
    """Soft actor-critic whose actor and critics see the last pairs of observation and action."""

    history: PositiveInt = Field(8, le=64, description="Pairs of observation and action that are remembered.")
    memory: Literal["kept", "zeroed"] = Field(
        "kept", description="Whether the past is remembered; zeroed is a control without any."
    )


class HistorySAC(Contextual):
    """An actor-critic that sees its last moves; arguments and use as in `ActorCritic`."""

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        del name
        width = self.history.stop - self.history.start
        front: nn.Module = Chosen(self.plain, self.history)
        if self.config.memory == "zeroed":
            front = Plain(self.plain, width)
        return front, self.plain.stop + width


class Plain(nn.Module):
    """Passes on the observation, and zeros.

    Args:
        plain: Columns of the observation and the goals.
        zeros: How many.
    """

    def __init__(self, plain: slice, zeros: int) -> None:
        super().__init__()
        self.plain, self.zeros = plain, zeros

    def forward(self, features: Tensor) -> Any:
        """Return `(n, plain + zeros)` of features `(n, features)`."""
        return torch.cat((features[:, self.plain], features.new_zeros(len(features), self.zeros)), 1)
