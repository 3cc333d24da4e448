"""What maximum-entropy actor-critics share: the Gaussian policy, its update, and the temperature."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sim2real.agents.networks import Actor
from sim2real.agents.off_policy import OffPolicy
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.sac_config import OffPolicyConfig


class ActorCritic(OffPolicy):
    """A maximum-entropy actor-critic; arguments and use as in `OffPolicy`.

    Attributes:
        critic: Maps normalized observations and actions to the critics' values `(members, n)`.
    """

    critic: Any
    curves: ClassVar[tuple[str, ...]] = ("critic_loss", "q_mean", "actor_loss", "entropy", "alpha")

    @abstractmethod
    def _make_critics(self) -> dict[str, nn.Module]:
        """Make `critic`, and whatever goes with it, and return them by name."""

    def _make_networks(self) -> dict[str, nn.Module]:
        config = self.config
        low, high = (torch.from_numpy(b) for b in (self.action_space.low, self.action_space.high))
        front, size = self._front("actor")
        actor = Actor(size, low, high, config.actor_hidden, self._generator, self._make_normalizer(), front)
        return {"actor": self._ready("actor", actor), **self._make_critics()}

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        """Return what stands before a network's body, and how many features it makes of an observation.

        Args:
            name: `actor` or `critic`.
        """
        del name
        return None, self.layout.size

    def _make_optimizers(self) -> dict[str, FlatAdam]:
        auto = self.config.target_entropy == "auto"
        self.target_entropy = (
            -float(self.action_space.shape[0]) if auto else float(self.config.target_entropy)
        )
        return {**super()._make_optimizers(), "alpha": self._make_temperature()}

    def _make_temperature(self) -> FlatAdam:
        config = self.config
        fixed = None if config.temperature == "auto" else config.temperature
        start = math.log(config.initial_temperature if fixed is None else fixed)
        self.log_alpha = torch.tensor(start, requires_grad=True)
        return FlatAdam([self.log_alpha], config.alpha_lr)

    def reset_temperature(self) -> None:
        """Start the temperature anew, and what its optimizer remembers; a fixed one stays as it is."""
        self._optimizers["alpha"] = self._make_temperature()

    @property
    def alpha(self) -> float:
        """The temperature: how much one nat of entropy is worth in reward."""
        return math.exp(self.log_alpha.item())

    def _visit_actor(self, features: Tensor) -> None:
        """Update the actor as often as is due, at every `policy_delay`-th update of the critics."""
        if (self.updates + 1) % self.config.policy_delay == 0:
            for _ in range(self.config.policy_updates):
                self._update_actor(features)

    def _update_actor(self, features: Tensor, judged: Tensor | None = None) -> None:
        """Step up the value plus entropy, and move the temperature to the target entropy.

        The actor's loss is `E[alpha log pi - min_i Q_i]` (equation 7). The temperature's is
        `-log(alpha) E[log pi + target entropy]`: equation 18 with the logarithm in place of alpha.

        Args:
            features: What the actor sees `(n, features)`.
            judged: What the critics see, where that is something else.
        """
        action, log_prob = self.actor.sample(features, self._generator)
        alpha = self.log_alpha.detach().exp()
        loss = (alpha * log_prob - self._value(features if judged is None else judged, action)).mean()
        self._optimizers["actor"].descend(loss)
        excess = log_prob.detach().mean() + self.target_entropy
        if self.config.temperature == "auto":
            self._optimizers["alpha"].descend(-self.log_alpha * excess)
        self._note(actor_loss=loss, entropy=self.target_entropy - excess, alpha=alpha)

    def _value(self, features: Tensor, action: Tensor) -> Tensor:
        """Return what the critics think of actions `(n, act)`, as the actor is to believe it `(n,)`."""
        return self.critic(features, action).amin(0)

    def _learner_state(self) -> dict[str, Any]:
        return {**super()._learner_state(), "log_alpha": self.log_alpha.detach().clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        super().load_state_dict(state)
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])

    def _inherit(self, state: dict[str, Any], before: OffPolicyConfig) -> None:
        super()._inherit(state, before)
        if self.config.temperature != "auto":
            state["log_alpha"] = self.log_alpha.detach()
