"""The networks of the maximum-entropy learners, with their observation statistics inside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sim2real.agents.bounds import Bounded

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
"""Bounds of the policy's log standard deviation, before the tanh."""

STD_FLOOR = 1e-4
"""Smallest standard deviation that an observation is divided by."""


class Normalizer(nn.Module):
    """Running mean and variance of observations, kept in float64 and saved with the network.

    The statistics follow the pairwise update of Chan, Golub & LeVeque (1979). They change only by
    an explicit `update`; `forward` never moves them, so evaluating a policy cannot.

    Args:
        size: Number of observation entries.
        clip: Normalized observations are clipped to [-clip, clip].
        frozen: If true, `update` leaves the statistics untouched.
    """

    count: Tensor
    mean: Tensor
    var: Tensor

    def __init__(self, size: int, clip: float = 10.0, frozen: bool = False) -> None:
        super().__init__()
        self.clip = clip
        self.frozen = frozen
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Merge a batch into the statistics (the variance is the population variance).

        Args:
            obs: Raw observations `(n, obs)`; `n` may be zero.
        """
        if self.frozen or obs.shape[0] == 0:
            return
        obs = obs.to(torch.float64)
        n, batch_mean = obs.shape[0], obs.mean(0)
        total = self.count + n
        delta = batch_mean - self.mean
        squares = (obs - batch_mean).square().sum(0) + delta.square() * (self.count * n / total)
        self.var.copy_((self.var * self.count + squares) / total)
        self.mean.add_(delta * (n / total))
        self.count.copy_(total)

    def forward(self, obs: Tensor) -> Tensor:
        """Normalize raw observations `(n, obs)` to about zero mean and unit variance, clipped."""
        std = self.var.sqrt().clamp_min(STD_FLOOR)
        normalized = (obs - self.mean.to(obs.dtype)) / std.to(obs.dtype)
        return normalized.clamp_(-self.clip, self.clip)

    def invert(self, features: Tensor) -> Tensor:
        """Return the observations `(n, obs)` that normalize to these, where nothing was clipped."""
        std = self.var.sqrt().clamp_min(STD_FLOOR)
        return features * std.to(features.dtype) + self.mean.to(features.dtype)


def _uniform(shape: Sequence[int], fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Draw a parameter uniformly from ±1/sqrt(fan_in), PyTorch's own default for linear layers."""
    bound = 1.0 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound, generator=generator))


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make a linear layer whose weights come from `generator` instead of the global one."""
    layer = nn.Linear(inputs, outputs, device="meta")
    layer.weight = _uniform((outputs, inputs), inputs, generator)
    layer.bias = _uniform((outputs,), inputs, generator)
    return layer


def body(inputs: int, hidden: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Make layers of such widths, a ReLU after each."""
    layers: list[nn.Module] = []
    for before, width in pairwise((inputs, *hidden)):
        layers += [linear(before, width, generator), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def mlp(inputs: int, hidden: Sequence[int], outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Make a body and a linear layer after it."""
    return body(inputs, hidden, generator).append(linear((inputs, *hidden)[-1], outputs, generator))


class StackedLinear(nn.Module):
    """`members` independent linear layers evaluated by one batched matrix product.

    Args:
        members: Ensemble size.
        inputs: Input features of each member.
        outputs: Output features of each member.
        generator: Source of the initial weights.
    """

    def __init__(self, members: int, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = _uniform((members, inputs, outputs), inputs, generator)
        self.bias = _uniform((members, 1, outputs), inputs, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, inputs)`, shared by all members, or `(members, n, inputs)` to the outputs.

        Returns:
            Activations `(members, n, outputs)`.
        """
        return torch.baddbmm(self.bias, x.expand(self.weight.shape[0], -1, -1), self.weight)


class PlainLayerNorm(nn.Module):
    """Layer normalization (Ba et al. 2016) without a gain and bias to learn: the next layer has them.

    PyTorch's kernel is given constant ones, because without any it takes half as long again.

    Args:
        width: Number of features.
    """

    ones: Tensor
    zeros: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("ones", torch.ones(width), persistent=False)
        self.register_buffer("zeros", torch.zeros(width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each row of `(..., width)` to zero mean and unit variance."""
        return nn.functional.layer_norm(x, x.shape[-1:], self.ones, self.zeros)


class Actor(Bounded):
    """A Gaussian policy squashed by tanh (Haarnoja et al. 2018, appendix C) on a bounded box.

    Log-probabilities are of the action in [-1, 1]; scaling to the box is left to `to_bounds`, so
    that the entropy does not depend on the units of the actuators.

    Args:
        features: Size of the observation vector.
        low: Lower action bounds `(act,)`, in the environment's units.
        high: Upper action bounds `(act,)`.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
        normalizer: The observation statistics that this policy owns.
        front: What stands before the body: maps normalized observations to its features; nothing by default.
    """

    def __init__(
        self,
        features: int,
        low: Tensor,
        high: Tensor,
        hidden: Sequence[int],
        generator: torch.Generator,
        normalizer: Normalizer,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__(low, high)
        self.normalizer = normalizer
        self.front = front or nn.Identity()
        self.body = body(features, hidden, generator)
        self.head = linear((features, *hidden)[-1], 2 * low.shape[0], generator)

    def outputs(self, features: Tensor) -> Tensor:
        """Return what `gaussian` reads its two parts from, `(n, 2 act)`."""
        return self.head(self.body(self.front(features)))

    def gaussian(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation `(n, act)` before the tanh.

        Args:
            features: Normalized observations `(n, features)`.
        """
        mean, raw = self.outputs(features).chunk(2, -1)
        half_range = 0.5 * (LOG_STD_MAX - LOG_STD_MIN)
        return mean, LOG_STD_MIN + half_range * (torch.tanh(raw) + 1.0)

    def sample(self, features: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw reparameterized actions in [-1, 1] and their log-probabilities.

        Args:
            features: Normalized observations `(n, features)`.
            generator: Source of the noise.

        Returns:
            Actions `(n, act)` and log-densities `(n,)`.
        """
        mean, log_std = self.gaussian(features)
        noise = torch.empty_like(mean).normal_(generator=generator)
        raw = mean + log_std.exp() * noise
        return torch.tanh(raw), squashed_log_prob(raw, noise, log_std)

    def forward(self, obs: Tensor) -> Tensor:
        """Return the deterministic action `(n, act)` in the box bounds for raw observations."""
        mean, _ = self.gaussian(self.normalizer(obs))
        return self.to_bounds(torch.tanh(mean))


def squashed_log_prob(raw: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of `tanh(raw)` where `raw = mean + exp(log_std) * noise`.

    Args:
        raw: Gaussian samples before the tanh `(n, act)`.
        noise: The standard normal noise that made them `(n, act)`.
        log_std: Log standard deviations `(n, act)`.

    Returns:
        Log-densities `(n,)`.
    """
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    return (gaussian - log_tanh_slope(raw)).sum(-1)


def log_tanh_slope(raw: Tensor) -> Tensor:
    """Return `log(1 - tanh(u)^2)`, entry by entry, by which squashing changes a log-density.

    It is written `2 (log 2 - u - softplus(-2 u))`, which is exact where the first form underflows
    (Haarnoja et al. 2018, equation 21).
    """
    return 2.0 * (math.log(2.0) - raw - nn.functional.softplus(-2.0 * raw))
