"""A model of the dynamics: an ensemble of networks, each of which says a Gaussian (Chua et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sim2real.agents.networks import STD_FLOOR, Normalizer, StackedLinear

LOG_VAR_MIN, LOG_VAR_MAX = -10.0, 0.5
"""Where the learned bounds of the log variance start."""

BOUNDS_WEIGHT = 0.01
"""Weight with which the bounds are drawn towards each other (Chua et al. 2018, appendix A.1)."""


class Forecast(NamedTuple):
    """What each network expects of a step, on the scale of what is predicted.

    Attributes:
        mean: The change of the observation, and last the reward `(members, n, obs + 1)`.
        log_var: Log of their variances `(members, n, obs + 1)`.
        end: Logit of the task's end `(members, n)`.
    """

    mean: Tensor
    log_var: Tensor
    end: Tensor


class Imagined(NamedTuple):
    """A step that was imagined.

    Attributes:
        state: Normalized observations after it `(members, n, obs)`.
        reward: Rewards `(members, n)`.
        survival: Probability that the task goes on `(members, n)`.
    """

    state: Tensor
    reward: Tensor
    survival: Tensor


class Dynamics(nn.Module):
    """Predicts the change of an observation, the reward, and whether the task ends.

    Its inputs are normalized observations. What it predicts is scaled by statistics of its own, so that a
    slow coordinate counts as much as a fast one. A context may be told besides.

    Args:
        obs: Length of an observation.
        actions: Length of an action.
        context: Length of the context.
        hidden: Widths of the hidden layers.
        members: Networks in the ensemble.
        generator: Source of the initial weights.
        scale: Statistics of what is predicted: raw changes of the observation, and last the reward.
    """

    def __init__(
        self,
        obs: int,
        actions: int,
        context: int,
        hidden: Sequence[int],
        members: int,
        generator: torch.Generator,
        scale: Normalizer,
    ) -> None:
        super().__init__()
        self.obs, self.members = obs, members
        self.scale = scale
        layers: list[nn.Module] = []
        size = obs + context + actions
        for width in hidden:
            layers += [StackedLinear(members, size, width, generator), nn.SiLU(inplace=True)]
            size = width
        self.body = nn.Sequential(*layers)
        self.head = StackedLinear(members, size, 2 * (obs + 1) + 1, generator)
        self.log_var_min = nn.Parameter(torch.full((obs + 1,), LOG_VAR_MIN))
        self.log_var_max = nn.Parameter(torch.full((obs + 1,), LOG_VAR_MAX))

    def forward(self, inputs: Tensor) -> Forecast:
        """Forecast a step.

        Args:
            inputs: Normalized observation, context and action in [-1, 1], `(n, obs + context + act)`, or each
                network's own `(members, n, ...)`.
        """
        mean, raw, end = self._outputs(inputs)
        return Forecast(mean, self._bounded(raw), end)

    def _outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width = self.obs + 1
        mean, raw, end = self.head(self.body(inputs)).split([width, width, 1], -1)
        return mean, raw, end[..., 0]

    def _bounded(self, raw: Tensor) -> Tensor:
        log_var = self.log_var_max - nn.functional.softplus(self.log_var_max - raw)
        return self.log_var_min + nn.functional.softplus(log_var - self.log_var_min)

    def imagine(self, inputs: Tensor, unit: Tensor, noise: Tensor | None = None) -> Imagined:
        """Take an imagined step with each network.

        Args:
            inputs: As in `forward`, but `(members, n, ...)`.
            unit: What one normalized unit of each entry of an observation is `(obs,)`.
            noise: Standard normal `(members, n or 1, obs + 1)`; by default the mean is what happens.
        """
        drawn, raw, end = self._outputs(inputs)
        if noise is not None:
            drawn = torch.addcmul(drawn, torch.exp(0.5 * self._bounded(raw)), noise)
        drawn = self.scale.invert(drawn)
        state = inputs[..., : self.obs] + drawn[..., : self.obs] / unit
        return Imagined(state, drawn[..., self.obs], torch.sigmoid(-end))

    def errors(self, inputs: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return negative log-likelihoods and squared errors `(members, n, obs + 1)` of what came of steps.

        Both are on the scale of what is predicted; the constant `log(2 pi) / 2` is part of the former.

        Args:
            inputs: As in `forward`.
            truth: Raw change of the observation, and last the reward `(n, obs + 1)` or `(members, n, ...)`.
        """
        mean, log_var, _ = self(inputs)
        return self._gaussian(mean, log_var, truth)

    def _gaussian(self, mean: Tensor, log_var: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        squared = (mean - self.scale(truth)).square()
        return 0.5 * (squared * torch.exp(-log_var) + log_var + math.log(2.0 * math.pi)), squared

    def loss(self, inputs: Tensor, truth: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        """Return what learning descends, summed over the networks, and the mean squared error.

        Args:
            inputs: Each network's own `(members, n, obs + context + act)`.
            truth: As in `errors`, `(members, n, obs + 1)`.
            ended: 1 where the task ended, else 0, `(members, n)`.
        """
        mean, log_var, end = self(inputs)
        likelihood, squared = self._gaussian(mean, log_var, truth)
        ending = nn.functional.binary_cross_entropy_with_logits(end, ended, reduction="none")
        bounds = (self.log_var_max - self.log_var_min).sum()
        return (likelihood.mean(-1) + ending).mean(-1).sum() + BOUNDS_WEIGHT * bounds, squared.mean()


def unit_of(normalizer: Normalizer) -> Tensor:
    """Return what one normalized unit of each entry of an observation is `(obs,)`."""
    return normalizer.var.sqrt().clamp_min(STD_FLOOR).float()
