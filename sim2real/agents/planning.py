"""Planning by the cross-entropy method (Rubinstein 1999), for many worlds and candidates at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""Maps plans `(n, candidates, horizon, act)` of n worlds to what they are worth `(n, candidates)`."""

SMOOTHING = 0.1
"""Share of the last distribution that is kept when the next one is fitted (PETS, and its followers)."""


class Plans(NamedTuple):
    """A Gaussian over plans of each world.

    Attributes:
        mean: `(n, horizon, act)`, in [-1, 1].
        std: `(n, horizon, act)`.
    """

    mean: Tensor
    std: Tensor


def cross_entropy(score: Score, noise: Tensor, elites: int) -> Plans:
    """Fit a distribution over plans to those that score best, again and again.

    It begins anew, at zero with deviation 0.5, so that a plan depends on nothing but what the score knows and
    the noise. Candidates come in mirrored pairs, so that chance favours no direction.

    Args:
        score: What plans are worth.
        noise: Standard normal `(iterations, n, candidates / 2, horizon, act)`.
        elites: Best candidates, to which the next distribution is fitted.
    """
    mean = noise.new_zeros(*noise.shape[1:2], *noise.shape[3:])
    std = torch.full_like(mean, 0.5)
    for drawn in noise:
        away = std[:, None] * drawn
        plans = torch.cat((mean[:, None] + away, mean[:, None] - away), 1).clamp_(-1.0, 1.0)
        best = score(plans).topk(elites, 1).indices
        chosen = torch.take_along_dim(plans, best[..., None, None], 1)
        mean = torch.lerp(chosen.mean(1), mean, SMOOTHING)
        std = torch.lerp(chosen.std(1, correction=0), std, SMOOTHING)
    return Plans(mean, std)


def keyed_noise(rows: Tensor, *shape: int) -> Tensor:
    """Return standard normal noise `(n, *shape)`, of each row `(n, ...)` by what is in it.

    The same row has the same noise, whatever the others are; any other row has other noise, so that what is
    made of it is not wrong by the same amount in one moment after another.

    Args:
        rows: What the noise depends on.
        shape: Of each one's noise.
    """
    keys = (crc32(row.tobytes()) for row in rows.contiguous().numpy())
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(key)) for key in keys])
