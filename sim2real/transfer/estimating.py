"""What UP-OSI and RMA share: a policy that acts on an estimate of what it would be told of the domain.

The first phase trains the policy with the truth. In the second it stays as it is, or as it was when it did
best in validation, with its observation statistics. It acts on the estimates, and the estimator is regressed,
in the states that these lead to, from the history to the truth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents.base import Agent, Observation, Transitions
from sim2real.agents.networks import mlp
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import OffPolicyConfig, Widths
from sim2real.agents.trainable import trained
from sim2real.transfer.contextual import Believing, ContextualConfig, Knowledge


class EstimatingConfig(ContextualConfig):
    """What both have."""

    history: PositiveInt = Field(
        16, le=64, description="Pairs of observation and action that the estimate is made from."
    )
    policy_steps: PositiveInt = Field(
        description="Environment steps of the first phase, with the truth; the rest trains the estimator."
    )
    estimator_hidden: Widths = Field((128, 128), description="Widths of the estimator's hidden layers.")
    estimator_lr: float = Field(1e-3, gt=0, description="Adam step size of the estimator.")
    context: Literal["estimated", "true", "permuted", "hidden"] = Field(
        "estimated",
        description="What acting goes by: the estimate, the truth, another world's truth, or the mean.",
    )


class Estimating(Believing):
    """A policy that acts on an estimate; arguments and use as in `ActorCritic`.

    Attributes:
        estimator: Maps normalized histories to estimates of what the actor would be told `(n, k)`.
    """

    _best: tuple[float, dict[str, Any]] | None = None  # of the first phase: a score, and what acted then
    curves: ClassVar[tuple[str, ...]] = (*Believing.curves, "estimator_loss", "estimator_r2")

    def _make_networks(self) -> dict[str, nn.Module]:
        networks = super()._make_networks()
        front = cast(Any, networks["actor"]).front
        known = front.truth(torch.zeros(1, self.layout.size)).shape[1]
        width = self.history.stop - self.history.start
        self.estimator = mlp(width, self.config.estimator_hidden, known, self._generator)
        if self.config.deployed:
            front.otherwise = self.estimate
            front.encoder.requires_grad_(False)  # the truth that it encodes is never seen again
        return {**networks, "estimator": self.estimator}

    def _make_optimizers(self) -> dict[str, FlatAdam]:
        own = FlatAdam(trained(self.estimator), self.config.estimator_lr)
        return {**super()._make_optimizers(), "estimator": own}

    @torch.no_grad()
    def estimate(self, features: Tensor) -> Tensor:
        """Return what the history tells of the domain `(n, k)`, from normalized features `(n, features)`."""
        return self.estimator(features[:, self.history])

    @torch.no_grad()
    def compared(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return estimates `(n, k)` at observations, and what they estimate."""
        features = self.actor.normalizer(self.layout.flatten(obs))
        return self.estimate(features), self.actor.front.truth(features)

    def estimated(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what the columns of estimates are called, by the names of the domain's."""
        return tuple(names)

    @property
    def estimating(self) -> bool:
        """Whether the second phase has begun."""
        return self.steps >= self.config.policy_steps and not self.config.deployed

    def validate(self, score: Callable[[Agent], float]) -> None:
        """Remember the policy of the first phase that scores highest when it is told the truth.

        Args:
            score: Returns the mean return of an agent's deterministic policy.
        """
        if self.estimating or self.config.deployed:
            return
        found = score(self.clone({"context": "true"}, keep_replay=False))
        if self._best is None or found >= self._best[0]:
            self._best = found, copy.deepcopy(self.actor.state_dict())

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step; where the second phase begins, the policy becomes the best of the first."""
        before = self.estimating
        if before:
            self.actor.normalizer.frozen = True  # a policy on other statistics is another policy
        super().observe(transitions)
        if self.estimating and not before and self._best is not None:
            self.actor.load_state_dict(self._best[1])

    def _known(self, deterministic: bool) -> Knowledge | None:
        # The first phase explores with the truth; what is evaluated is always what could be deployed.
        if not deterministic and not self.estimating and not self.config.deployed:
            return None
        return self.estimate if self.config.context == "estimated" else super()._known(deterministic)

    def _gradient_step(self, batch: Batch) -> None:
        if not self.estimating:
            super()._gradient_step(batch)
            return
        with torch.no_grad():
            truth = self.actor.front.truth(batch.obs)
        error = (self.estimator(batch.obs[:, self.history]) - truth).square()
        loss = error.mean()
        self._optimizers["estimator"].descend(loss)
        spread = (truth - truth.mean(0)).square().mean()
        self._note(estimator_loss=loss, estimator_r2=1.0 - loss.detach() / spread.clamp_min(1e-12))

    def _learner_state(self) -> dict[str, Any]:
        return {**super()._learner_state(), "best": copy.deepcopy(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        super().load_state_dict(state)
        best = state["best"]
        self._best = None if best is None else (best[0], best[1])

    def _inherit(self, state: dict[str, Any], before: OffPolicyConfig) -> None:
        super()._inherit(state, before)
        if self.config.deployed and not cast(EstimatingConfig, before).deployed:
            state["optimizers"] = {name: own.state_dict() for name, own in self._optimizers.items()}

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the actor and the estimator: what acting needs."""
        return {**super().policy_state_dict(), "estimator": self.estimator.state_dict()}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        super().load_policy_state_dict(state)
        self.estimator.load_state_dict(state["estimator"])
