"""Composition of soft Q-functions (Haarnoja et al. 2018, arXiv 1803.06773): several tasks at once, unseen.

The product of energy-based policies has the sum of their values for its energy: it does what all of them
want. Only its sampler must be learned, from states that they have seen, without a step in any environment.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from sim2real.agents.matmul import fast_matmul
from sim2real.agents.networks import Normalizer
from sim2real.agents.sac_config import OffPolicyConfig, SoftQConfig
from sim2real.agents.soft_q import SoftQ


class SumCritic(nn.Module):
    """The weighted sum of critics, each of which has its own normalizer of observations.

    Args:
        normalizer: That of the observations which the sum is asked about.
        parts: A normalizer and a critic of each.
        weights: What each counts for.
    """

    weights: Tensor

    def __init__(
        self, normalizer: Normalizer, parts: Sequence[tuple[Normalizer, nn.Module]], weights: Sequence[float]
    ) -> None:
        super().__init__()
        self.normalizer = normalizer
        self.normalizers = nn.ModuleList(own for own, _ in parts)
        self.critics = nn.ModuleList(critic for _, critic in parts)
        self.register_buffer("weights", torch.tensor(weights)[:, None])

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the values `(1, n)` of actions `(n, act)` in [-1, 1] at `(n, features)`."""
        obs = self.normalizer.invert(features)
        pairs = zip(self.normalizers, self.critics, strict=True)
        values = [critic(own(obs), action).amin(0) for own, critic in pairs]
        return (self.weights * torch.stack(values)).sum(0, keepdim=True)


class Composed(SoftQ):
    """An agent whose values are a weighted sum of those of trained agents.

    It acts once `learn_sampler` has been called. It may go on to learn from a reward of its own like any
    other agent, beginning with that sum, except that its observation statistics stay.

    Args:
        parts: Trained agents with the same spaces; they stay as they are.
        weights: What the values of each count for; by default 1, the sum.
        config: Hyper-parameters of the new one; by default those of the first.
        seed: Seed of its sampler's weights and of its draws.

    Raises:
        ValueError: If there are no parts, their spaces differ, or one has no memory to learn from.
    """

    def __init__(
        self,
        parts: Sequence[SoftQ],
        weights: Sequence[float] | None = None,
        config: SoftQConfig | None = None,
        seed: int = 0,
    ) -> None:
        self._parts = list(parts)
        self._weights = [1.0] * len(self._parts) if weights is None else list(weights)
        first = _alike(self._parts)
        if len(self._weights) != len(self._parts):
            raise ValueError(f"{len(self._parts)} agents need as many weights, given {self._weights}.")
        spaces = first.observation_space, first.action_space
        super().__init__(*spaces, config or first.config, seed, first.compute_reward)

    def _make_normalizer(self) -> Normalizer:
        normalizer = copy.deepcopy(self._parts[0].actor.normalizer)
        normalizer.frozen = True
        return normalizer

    def _make_critic(self) -> nn.Module:
        parts = [copy.deepcopy((part.actor.normalizer, part.critic)) for part in self._parts]
        return SumCritic(self.actor.normalizer, parts, self._weights)

    def _untrained(self, config: OffPolicyConfig) -> Self:
        assert isinstance(config, SoftQConfig)
        return type(self)(self._parts, self._weights, config)

    def learn_sampler(self, updates: int) -> None:
        """Learn to sample from the sum, at states that the parts remember, of each as often.

        Args:
            updates: Gradient updates of the sampler.
        """
        size = self.config.batch_size
        with fast_matmul(self.config.fast_matmul):
            for update in range(updates):
                replay = self._parts[update % len(self._parts)].replay
                assert replay is not None
                drawn = replay.sample(size, self._generator)
                self._update_sampler(self.actor.normalizer(drawn.obs))


def _alike(parts: Sequence[SoftQ]) -> SoftQ:
    """Return the first of some agents if they can be composed."""
    if not parts:
        raise ValueError("Nothing to compose: give at least one trained agent.")
    first = parts[0]
    for i, part in enumerate(parts):
        for kind in ("observation_space", "action_space"):
            own, others = getattr(first, kind), getattr(part, kind)
            if own != others:
                raise ValueError(f"Agent {i} has the {kind} {others}, but agent 0 has {own}.")
        if part.replay is None or len(part.replay) == 0:
            raise ValueError(f"Agent {i} remembers nothing: a sampler is learned at states it has seen.")
    return first
