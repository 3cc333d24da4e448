"""Truncated quantile critics (Kuznetsov et al. 2020, arXiv 2005.04269): SAC without its optimism.

The critics learn the distribution of returns, by quantiles. Of what all critics together expect of the next
state the highest quantiles are dropped before they become targets, which counters overestimation without
the pessimism of a minimum. What differs from the paper: two narrow critics of few quantiles, not five wide
ones of 25.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sim2real.agents.replay import Batch
from sim2real.agents.sac import SAC


class TQC(SAC):
    """Soft actor-critic with truncated quantile critics; arguments and use as in `ActorCritic`."""

    config: Any  # FastSACConfig, or one with more

    @property
    def _quantiles(self) -> int:
        return self.config.quantiles

    @torch.no_grad()
    def td_target(self, batch: Batch) -> Tensor:
        """Return the targets `(n, kept)`: quantiles of the soft return, but for the highest (equation 10).

        Args:
            batch: Transitions with *normalized* observations.
        """
        action, log_prob = self.actor.sample(batch.next_obs, self._generator)
        quantiles = self.target.quantiles(batch.next_obs, action)
        pooled = quantiles.movedim(0, 1).flatten(1).sort().values
        kept = pooled[:, : pooled.shape[1] - len(quantiles) * self.config.dropped_quantiles]
        following = kept - (self.log_alpha.exp() * log_prob)[:, None]
        return batch.reward[:, None] + batch.discount[:, None] * following

    def _update_critic(self, batch: Batch) -> None:
        """Step down the quantile Huber loss of every quantile against every target (equation 8)."""
        target = self.td_target(batch)
        values = self.critic.quantiles(batch.obs, batch.action)
        loss = quantile_loss(values, target).sum()
        self._optimizers["critic"].descend(loss)
        self._note(critic_loss=loss, q_mean=values.mean())

    def _value(self, features: Tensor, action: Tensor) -> Tensor:
        return self.critic(features, action).mean(0)


def quantile_loss(values: Tensor, target: Tensor) -> Tensor:
    """Return each critic's quantile Huber loss `(members,)` (Dabney et al. 2018, equation 10).

    Args:
        values: Quantiles of the return `(members, n, quantiles)`.
        target: Samples of it `(n, k)`.
    """
    count = values.shape[-1]
    middles = ((torch.arange(count) + 0.5) / count)[:, None]
    error = target[:, None] - values[..., None]
    far = error.abs()
    huber = torch.where(far > 1.0, far - 0.5, 0.5 * far.square())
    weight = (middles - (error.detach() < 0).float()).abs()
    return (weight * huber).mean((-3, -1)).mean(-1)
