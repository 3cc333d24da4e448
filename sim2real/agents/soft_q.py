"""Soft Q-learning (Haarnoja, Tang, Abbeel & Levine 2017, arXiv 1702.08165): policies of any shape.

The policy is the energy-based `pi(a | s) = exp((Q(s, a) - V(s)) / alpha)`, and a network learns to sample
from it by amortized Stein variational gradient descent. Where several ways are as good, it takes them all.

What differs from the authors' implementation: they apply the kernel to the squashed action `a`, and
differentiate `Q(s, a) / alpha + sum log(1 - a^2)` with respect to it. The second term is the density's change
of variables to the space before the tanh; in the space of `a` it does not belong, and what is sampled there
tends to `exp(Q / alpha) (1 - a^2)`, which avoids the bounds: of a constant Q it draws actions that lie 0.19
in total variation from uniform. Here kernel and gradient are those of `u` with `a = tanh(u)`, whose exact
target is `log p(u) = Q(s, tanh u) / alpha + sum log(1 - tanh(u)^2)`; there are no bounds there at which mass
could stick, and the gradient stays finite. The term `d log 2` of the soft value, which copies of the
algorithm often lack, is here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sim2real.agents.critics import Critic
from sim2real.agents.networks import log_tanh_slope
from sim2real.agents.off_policy import OffPolicy
from sim2real.agents.optimizer import flatten
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import OffPolicyConfig, SoftQConfig
from sim2real.agents.sampler import Sampler, stein_direction
from sim2real.agents.trainable import trained

GREEDY_SEED = 0
"""Seed of the noise that deterministic actions are chosen from: the same in every agent and at every step."""


class SoftQ(OffPolicy):
    """Soft Q-learning; arguments and use as in `OffPolicy`.

    Attributes:
        critic: Maps normalized observations and actions to values `(members, n)`.
    """

    config: SoftQConfig
    actor: Sampler
    curves: ClassVar[tuple[str, ...]] = ("critic_loss", "q_mean", "alpha")

    def _make_networks(self) -> dict[str, nn.Module]:
        config, box = self.config, self.action_space
        sizes = self.layout.size, torch.from_numpy(box.low), torch.from_numpy(box.high), config.actor_hidden
        self.actor = Sampler(*sizes, self._generator, self._make_normalizer())
        self.critic = self._make_critic()
        for name, network in (("actor", self.actor), ("critic", self.critic)):
            self._ready(name, network)
        self.target = copy.deepcopy(self.critic)
        self._target_vector = flatten(trained(self.target))
        self.target.requires_grad_(False)
        self._annealed = 0
        noise = torch.Generator().manual_seed(GREEDY_SEED)
        self._greedy_noise = torch.randn(config.greedy_particles, len(box.low), generator=noise)
        return {"actor": self.actor, "critic": self.critic, "target": self.target}

    def _make_critic(self) -> nn.Module:
        config, sizes = self.config, (self.layout.size, self.action_space.shape[0])
        return Critic(*sizes, config.critic_hidden, self._generator, config.members, config.critic_layernorm)

    @property
    def alpha(self) -> float:
        """The temperature: fixed, or on its log-linear way from the first to the final one."""
        first, final = self.config.temperature, self.config.final_temperature
        if final is None:
            return first
        share = min(1.0, self._annealed / self.config.anneal_updates)
        return first ** (1.0 - share) * final**share

    def _choose(self, features: Tensor, deterministic: bool) -> Tensor:
        """Choose an action `(n, act)` of the policy, or the best by Q of some that it might take.

        The latter come of the same noise everywhere, so that they depend on the observation alone.
        """
        if not deterministic:
            return self.actor.sample(features, 1, self._generator)[:, 0].tanh()
        actions = self.actor(features, self._greedy_noise).tanh()
        best = action_values(self.critic, features, actions).argmax(1)
        return actions[torch.arange(len(actions)), best]

    def value(self, features: Tensor) -> Tensor:
        """Return the soft values `(n,)` of normalized observations `(n, features)`; see `soft_value`."""
        return self._soft_value(self.critic, features)

    def _soft_value(self, critic: nn.Module, features: Tensor) -> Tensor:
        shape = len(features), self.config.value_samples, self.actor.actions
        actions = torch.empty(shape).uniform_(-1.0, 1.0, generator=self._generator)
        return soft_value(action_values(critic, features, actions), self.alpha, self.actor.actions)

    def log_target(self, features: Tensor, raw: Tensor) -> Tensor:
        """Return the policy's log-density before the tanh `(n, k)`, but for a constant of each row.

        Args:
            features: Normalized observations `(n, features)`.
            raw: Actions before the tanh `(n, k, act)`.
        """
        energy = action_values(self.critic, features, raw.tanh()) / self.alpha
        return energy + log_tanh_slope(raw).sum(-1)

    def _gradient_step(self, batch: Batch) -> None:
        """Update the critic and the sampler, and every `target_every`-th time the target."""
        self._update_critic(batch)
        self._update_sampler(batch.obs)
        if (self.updates + 1) % self.config.target_every == 0:
            self._target_vector.copy_(self._optimizers["critic"].vector.detach())
        self._annealed += 1

    @torch.no_grad()
    def td_target(self, batch: Batch) -> Tensor:
        """Return the soft Bellman targets `(n,)`: `y = r + gamma (1 - terminated) V'(s')` (equation 11).

        With `n_step` n, `r` is the sum of n discounted rewards and `s'` what came after them; the
        entropy of the actions between, which the replay's policies took, is left out.

        Args:
            batch: Transitions with *normalized* observations.
        """
        return batch.reward + batch.discount * self._soft_value(self.target, batch.next_obs)

    def _update_critic(self, batch: Batch) -> None:
        """Step down the squared soft Bellman error, summed over the critics."""
        target = self.td_target(batch)
        values = self.critic(batch.obs, batch.action)
        loss = (values - target).square().mean(-1).sum()
        self._optimizers["critic"].descend(loss)
        self._note(critic_loss=loss, q_mean=values.mean(), alpha=torch.tensor(self.alpha))

    def _update_sampler(self, features: Tensor) -> None:
        """Move what the sampler draws along Stein's direction (equations 13 and 14).

        The particles that stand for the present distribution and those that are moved are other draws, so
        that on average no particle repels itself.
        """
        with torch.no_grad():
            fixed = self.actor.sample(features, self.config.particles, self._generator)
        fixed.requires_grad_()
        (score,) = torch.autograd.grad(self.log_target(features, fixed).sum(), fixed)
        moved = self.actor.sample(features, self.config.updated_particles, self._generator)
        direction = stein_direction(moved.detach(), fixed.detach(), score)
        self._optimizers["actor"].descend(-(moved * direction).sum(-1).mean())

    def _learner_state(self) -> dict[str, Any]:
        return {**super()._learner_state(), "annealed": self._annealed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        super().load_state_dict(state)
        self._annealed = state["annealed"]

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of sampler and critic, which chooses the best action: what acting needs."""
        return {name: copy.deepcopy(self.networks[name].state_dict()) for name in ("actor", "critic")}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        for name in ("actor", "critic"):
            self.networks[name].load_state_dict(state[name])

    def _inherit(self, state: dict[str, Any], before: OffPolicyConfig) -> None:
        super()._inherit(state, before)
        schedule = {"temperature", "final_temperature", "anneal_updates"}
        if self.config.model_dump(include=schedule) != before.model_dump(include=schedule):
            state["annealed"] = 0


def action_values(critic: nn.Module, features: Tensor, actions: Tensor) -> Tensor:
    """Return the least of a critic's values `(n, k)` of several actions at each observation.

    Args:
        critic: Maps `(n, features)` and `(n, act)` to `(members, n)`.
        features: Normalized observations `(n, features)`.
        actions: Actions `(n, k, act)` in [-1, 1].
    """
    n, k = actions.shape[:2]
    return critic(features.repeat_interleave(k, 0), actions.flatten(0, 1)).amin(0).view(n, k)


def soft_value(values: Tensor, alpha: float, size: int) -> Tensor:
    """Return soft values `V = alpha log integral exp(Q / alpha) da` (equation 10, uniform proposal).

    The integral over the box [-1, 1]^d is its volume, `2^d`, times the mean over uniformly drawn actions:
    `V = alpha (logsumexp_k(Q_k / alpha) - log K + d log 2)`.

    Args:
        values: Values `(n, K)` of uniformly drawn actions.
        alpha: Temperature.
        size: Dimension d of the action.
    """
    volume = size * math.log(2.0) - math.log(values.shape[1])
    return alpha * (torch.logsumexp(values / alpha, 1) + volume)
