"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905) with twin critics, on the CPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.critics import Critic
from sim2real.agents.optimizer import flatten
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import SACConfig
from sim2real.agents.trainable import trained


class SAC(ActorCritic):
    """Soft actor-critic; arguments and use as in `ActorCritic`."""

    config: SACConfig

    @property
    def _quantiles(self) -> int:
        return 1

    def _make_critics(self) -> dict[str, nn.Module]:
        """Make the critics, and targets that trail them."""
        config = self.config
        front, size = self._front("critic")
        sizes = size, self.action_space.shape[0], config.critic_hidden
        own = {"layernorm": config.critic_layernorm, "quantiles": self._quantiles}
        critic = Critic(*sizes, self._generator, **own, front=front)
        self.critic = self._ready("critic", critic)
        self.target = copy.deepcopy(self.critic)
        self._target_vector = flatten(trained(self.target))
        self.target.requires_grad_(False)
        return {"critic": self.critic, "target": self.target}

    def _gradient_step(self, batch: Batch) -> None:
        """Update the critics, every `policy_delay`-th time the actor, and then the targets."""
        self._update_critic(batch)
        self._visit_actor(batch.obs)
        self._target_vector.lerp_(self._optimizers["critic"].vector.detach(), self.config.tau)

    @torch.no_grad()
    def td_target(self, batch: Batch) -> Tensor:
        """Return the soft Bellman targets `(n,)` (Haarnoja et al. 2018, equations 3 and 5).

        `y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log pi(a' | s'))` with `a'`
        drawn from the policy. A truncated episode has a future, so only termination ends the sum.
        With `n_step` n, `r` is the sum of n discounted rewards and `s'` what came after them; the
        entropy of the actions between, which the replay's policies took, is left out.

        Args:
            batch: Transitions with *normalized* observations.
        """
        action, log_prob = self.actor.sample(batch.next_obs, self._generator)
        value = self.target(batch.next_obs, action).amin(0) - self.log_alpha.exp() * log_prob
        return batch.reward + batch.discount * value

    def _update_critic(self, batch: Batch) -> None:
        """Step down the squared soft Bellman error, summed over the two critics."""
        target = self.td_target(batch)
        values = self.critic(batch.obs, batch.action)
        loss = (values - target).square().mean(-1).sum()
        self._optimizers["critic"].descend(loss)
        self._note(critic_loss=loss, q_mean=values.mean())
