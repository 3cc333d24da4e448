"""Stochastic policies that say how likely any of their past actions was: what on-policy learners need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sim2real.agents.bounds import Bounded
from sim2real.agents.networks import Actor, Normalizer, body, linear, squashed_log_prob


class SquashedGaussian(Actor):
    """A Gaussian squashed by tanh; arguments as for `Actor`. What is drawn is kept before the tanh."""

    def draw(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Draw `(n, act)` at features `(n, features)`."""
        mean, log_std = self.gaussian(features)
        return mean + log_std.exp() * torch.empty_like(mean).normal_(generator=generator)

    def best(self, features: Tensor) -> Tensor:
        """Return the mean `(n, act)`."""
        return self.gaussian(features)[0]

    def action(self, drawn: Tensor) -> Tensor:
        """Return actions `(n, act)` in [-1, 1]."""
        return torch.tanh(drawn)

    def likelihood(self, features: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-densities `(n,)` of actions that were drawn, and entropies `(n,)` before the tanh."""
        mean, log_std = self.gaussian(features)
        noise = (drawn - mean) / log_std.exp()
        entropy = (log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)
        return squashed_log_prob(drawn, noise, log_std), entropy


class Choice(Bounded):
    """A categorical policy: one entry of the action is at its upper bound, all others at their lower.

    It is for environments that take the largest entry of an action for a choice. Arguments as for `Actor`.
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
        self.body = body(features, hidden, generator)
        self.head = linear((features, *hidden)[-1], low.shape[0], generator)

    def logits(self, features: Tensor) -> Tensor:
        """Return log-probabilities `(n, act)`."""
        return self.head(self.body(features)).log_softmax(-1)

    def draw(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Draw choices as one-hot vectors `(n, act)` at features `(n, features)`."""
        chosen = torch.multinomial(self.logits(features).exp(), 1, generator=generator)
        return torch.zeros(len(features), self.head.out_features).scatter_(1, chosen, 1.0)

    def best(self, features: Tensor) -> Tensor:
        """Return the likeliest choice `(n, act)`."""
        logits = self.logits(features)
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()

    def action(self, drawn: Tensor) -> Tensor:
        """Return actions `(n, act)` in [-1, 1]."""
        return 2.0 * drawn - 1.0

    def likelihood(self, features: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities `(n,)` of choices that were drawn, and entropies `(n,)`."""
        logits = self.logits(features)
        return (logits * drawn).sum(-1), -(logits.exp() * logits).sum(-1)
