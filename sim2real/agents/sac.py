"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905) with twin critics, on the CPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sim2real.agents.actor_critic import ActorCritic, only_head, trained
from sim2real.agents.networks import Critic
from sim2real.agents.optimizer import flatten
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import SACConfig


class SAC(ActorCritic):
    """Soft actor-critic; arguments and use as in `ActorCritic`."""

    config: SACConfig

    def _make_critics(self) -> dict[str, nn.Module]:
        """Make the critics, and targets that trail them."""
        config = self.config
        sizes = self.layout.size, self.action_space.shape[0], config.critic_hidden
        self.critic = Critic(*sizes, self._generator, layernorm=config.critic_layernorm)
        if self.partial:
            only_head(self.critic)
        self.target = copy.deepcopy(self.critic)
        self._target_vector = flatten(trained(self.target))
        self.target.requires_grad_(False)
        return {"critic": self.critic, "target": self.target}

    def _gradient_step(self, batch: Batch) -> None:
        """Update the critics, every `policy_delay`-th time the actor, and then the targets."""
        config = self.config
        self._update_critic(batch)
        if (self.updates + 1) % config.policy_delay == 0:
            for _ in range(config.policy_updates):
                self._update_actor(batch.obs)
        self._target_vector.lerp_(self._optimizers["critic"].vector.detach(), config.tau)

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

    def _update_actor(self, features: Tensor) -> None:
        """Step up the value plus entropy, and move the temperature to the target entropy.

        The actor's loss is `E[alpha log pi - min_i Q_i]` (equation 7). The temperature's is
        `-log(alpha) E[log pi + target entropy]`: equation 18 with the logarithm in place of alpha.
        """
        action, log_prob = self.actor.sample(features, self._generator)
        alpha = self.log_alpha.detach().exp()
        loss = (alpha * log_prob - self.critic(features, action).amin(0)).mean()
        self._optimizers["actor"].descend(loss)
        excess = log_prob.detach().mean() + self.target_entropy
        if self.config.temperature == "auto":
            self._optimizers["alpha"].descend(-self.log_alpha * excess)
        self._note(actor_loss=loss, entropy=self.target_entropy - excess, alpha=alpha)
