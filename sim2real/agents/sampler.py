"""A network that samples from an energy, and the Stein direction that teaches it to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sim2real.agents.bounds import Bounded
from sim2real.agents.networks import Normalizer, body, linear

WIDTH_FLOOR = 1e-3
"""Smallest width that the kernel is given, for particles that have all but fallen together."""


class Sampler(Bounded):
    """A policy that turns noise into actions: `a = tanh f(xi; s)`, `xi ~ N(0, I)`.

    What it can express is not limited to a family of densities, so that it may have several modes; nor does
    it know its own density.

    Args:
        features: Size of the observation vector.
        low: Lower action bounds `(act,)`, in the environment's units.
        high: Upper action bounds `(act,)`.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
        normalizer: The observation statistics that this policy owns.
    """

    def __init__(
        self,
        features: int,
        low: Tensor,
        high: Tensor,
        hidden: Sequence[int],
        generator: torch.Generator,
        normalizer: Normalizer,
    ) -> None:
        super().__init__(low, high)
        self.normalizer = normalizer
        self.actions = low.shape[0]
        size = features + self.actions
        self.body = body(size, hidden, generator)
        self.head = linear((size, *hidden)[-1], self.actions, generator)

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Return actions before the tanh `(n, k, act)`.

        Args:
            features: Normalized observations `(n, features)`.
            noise: Standard normal numbers `(n, k, act)`, or `(k, act)` for every observation alike.
        """
        seen = features[:, None].expand(-1, noise.shape[-2], -1)
        return self.head(self.body(torch.cat((seen, noise.expand(len(seen), -1, -1)), -1)))

    def sample(self, features: Tensor, particles: int, generator: torch.Generator) -> Tensor:
        """Draw actions before the tanh `(n, particles, act)` at normalized observations `(n, features)`."""
        shape = len(features), particles, self.actions
        return self(features, torch.empty(shape).normal_(generator=generator))


def stein_direction(moved: Tensor, fixed: Tensor, score: Tensor) -> Tensor:
    """Return where particles must move for their distribution to approach a target's most steeply.

    `phi(u) = E_j[k(u_j, u) grad log p(u_j) + grad_{u_j} k(u_j, u)]` (Liu & Wang 2016, equation 8), in each
    row of its own, with the kernel `k(x, y) = exp(-|x - y|^2 / h)` and `h` the median of the squared
    distances over `log(K + 1)`. One particle alone climbs `log p`; the more there are, the more they also
    repel one another.

    Args:
        moved: Particles to be moved `(n, m, act)`.
        fixed: Particles that stand for the present distribution `(n, k, act)`.
        score: Gradients of the target's log-density at those `(n, k, act)`.

    Returns:
        Directions `(n, m, act)`.
    """
    apart = moved[:, :, None] - fixed[:, None]
    squares = apart.square().sum(-1)
    width = squares.flatten(1).median(1).values / math.log(fixed.shape[1] + 1)
    width = width.clamp_min(WIDTH_FLOOR)[:, None, None]
    kernel = torch.exp(-squares / width)
    repulsion = (2.0 / width * kernel)[..., None] * apart
    return (kernel @ score + repulsion.sum(2)) / fixed.shape[1]
