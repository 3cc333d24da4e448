"""CrossQ (Bhatt et al. 2024, arXiv 1902.05605): batch normalization in place of target networks.

The values of this step and of the next are computed in one pass, so that both are normalized by the same
statistics; that makes target networks, which slow learning down, unnecessary. An update costs more than one
of `SAC`, and many fewer are needed. What differs from the paper: narrower critics, batch normalization
without renormalization, n-step returns, and no dependence on the number of worlds or of updates per step.
"""

from __future__ import annotations

import torch
from torch import nn

from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.critics import BatchNormCritic
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import CrossQConfig


class CrossQ(ActorCritic):
    """Soft actor-critic without target networks; arguments and use as in `ActorCritic`."""

    config: CrossQConfig

    def _make_critics(self) -> dict[str, nn.Module]:
        """Make the critics."""
        config = self.config
        sizes = self.layout.size, self.action_space.shape[0], config.critic_hidden
        critic = BatchNormCritic(*sizes, self._generator, config.batch_norm_momentum)
        self.critic = self._ready("critic", critic)
        return {"critic": self.critic}

    def _gradient_step(self, batch: Batch) -> None:
        """Update the critics, and every `policy_delay`-th time the actor, by the running statistics."""
        self._update_critic(batch)
        self._visit_actor(batch.obs)

    def _update_critic(self, batch: Batch) -> None:
        """Step down the squared soft Bellman error of SAC, with the critics' own values of the next step.

        No gradient flows from those, but they share the batch's statistics. Where only a part
        of them learns, the statistics stay as they are.
        """
        with torch.no_grad():
            action, log_prob = self.actor.sample(batch.next_obs, self._generator)
            entropy = self.log_alpha.exp() * log_prob
        features = torch.cat((batch.obs, batch.next_obs))
        both = self.critic(features, torch.cat((batch.action, action)), batch=not self.partial)
        values, following = both.chunk(2, -1)
        target = batch.reward + batch.discount * (following.detach().amin(0) - entropy)
        loss = (values - target).square().mean(-1).sum()
        self._optimizers["critic"].descend(loss)
        self._note(critic_loss=loss, q_mean=values.mean())
