"""Actions in [-1, 1], as learners think of them, and in the box that an environment wants."""

from __future__ import annotations

from torch import Tensor, clamp, float32, nn


class Bounded(nn.Module):
    """A policy for a bounded box of actions; densities and networks are those of actions in [-1, 1].

    Args:
        low: Lower action bounds `(act,)`, in the environment's units.
        high: Upper action bounds `(act,)`.
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low.to(float32))
        self.register_buffer("high", high.to(float32))

    def to_bounds(self, action: Tensor) -> Tensor:
        """Scale actions `(n, act)` from [-1, 1] to the box."""
        scaled = self.low + 0.5 * (action + 1.0) * (self.high - self.low)
        return clamp(scaled, self.low, self.high)

    def from_bounds(self, action: Tensor) -> Tensor:
        """Scale actions `(n, act)` from the box to [-1, 1]."""
        return 2.0 * (action - self.low) / (self.high - self.low) - 1.0
