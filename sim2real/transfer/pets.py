"""PETS (Chua et al. 2018, arXiv 1805.12114): plans with a probabilistic ensemble of models it has learned.

Each network of the ensemble carries one imagined world through the whole plan (TS∞). What differs from the
paper: the model also says the reward and whether the task ends, where the paper is given both; a value stands
for all that comes after the plan (as in Lowrey et al. 2019, arXiv 1811.01848), without which no plan of a
task that pays for mere survival is better than another; every plan begins anew, so that an action depends on
the observation alone; and the model learns from every step, not from every episode.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from sim2real.agents.base import Transitions
from sim2real.agents.bounds import Bounded
from sim2real.agents.critics import Critic
from sim2real.agents.dynamics import Dynamics, unit_of
from sim2real.agents.model_config import ModelConfig
from sim2real.agents.networks import Normalizer
from sim2real.agents.off_policy import OffPolicy
from sim2real.agents.optimizer import FlatAdam, flatten
from sim2real.agents.planning import cross_entropy, keyed_noise
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import OffPolicyConfig, Widths
from sim2real.agents.trainable import trained
from sim2real.envs.registry import load_class

Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps observations (n, obs), actions (n, act) and next observations to rewards (n,)."""


class PETSConfig(ModelConfig, OffPolicyConfig):
    """Plans with a probabilistic ensemble of models it has learned (Chua et al. 2018)."""

    value_hidden: Widths = Field((64, 64), description="Widths of the hidden layers of the terminal value.")
    value_lr: float = Field(1e-3, gt=0, description="Adam step size of the terminal value.")
    value_actions: int = Field(
        0,
        ge=0,
        description="Imagined actions beside each that was taken, of which the best counts for the value; "
        "without any it is that of acting as until now.",
    )
    tau: float = Field(0.02, gt=0, le=1, description="Step of the terminal value's target per update.")
    horizon: PositiveInt = Field(12, description="Environment steps that are planned ahead.")
    candidates: PositiveInt = Field(
        64, multiple_of=2, description="Plans that are compared at a time, in mirrored pairs."
    )
    elites: PositiveInt = Field(8, description="Best plans, to which the next are fitted.")
    iterations: PositiveInt = Field(8, description="How often plans are drawn anew around the best.")
    reward: str = Field(
        "",
        description="What plans are to maximise in place of the reward that was learned: "
        "`package.module:function` of torch tensors, observations (n, obs), actions (n, act) and next "
        "observations, that returns (n,).",
    )
    batch_size: PositiveInt = Field(
        640, description="Transitions drawn for one update, shared out among the ensemble's networks."
    )
    learning_starts: int = Field(
        200, ge=0, description="Environment steps with uniformly random actions before learning."
    )
    updates_per_step: float = Field(
        2.0, ge=0, description="Gradient updates per environment step; N worlds take N of them."
    )
    n_step: PositiveInt = Field(1, le=1, description="Always 1: a model says what one step does.")
    her: Literal["auto"] | bool = Field(False, description="Always off: a plan is made for any goal.")
    fast_matmul: bool = Field(False, description="Whether updates multiply matrices through oneDNN.")

    @field_validator("her")
    @classmethod
    def _refuse_hindsight(cls, her: object) -> object:
        if her is not False:
            raise ValueError("must be false: a model learns the same whatever the goal")
        return her

    @field_validator("reward")
    @classmethod
    def _can_be_loaded(cls, name: str) -> str:
        if name:
            load_class(name, "reward")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_size % self.members:
            raise ValueError(
                f"batch_size must be a multiple of members, {self.members}, given {self.batch_size}; "
                f"take {-(-self.batch_size // self.members) * self.members}"
            )
        if self.elites > self.candidates:
            raise ValueError(
                f"elites are some of the candidates, {self.candidates} at most, given {self.elites}"
            )
        return self


class Model(Bounded):
    """What a planner knows: statistics of observations, and the dynamics.

    Args:
        low: Lower action bounds `(act,)`.
        high: Upper action bounds `(act,)`.
        normalizer: Statistics of all that the worlds show.
        dynamics: The ensemble.
    """

    def __init__(self, low: Tensor, high: Tensor, normalizer: Normalizer, dynamics: Dynamics) -> None:
        super().__init__(low, high)
        self.normalizer, self.dynamics = normalizer, dynamics

    def context(self, features: Tensor) -> Tensor:
        """Return what is inferred of each world `(n, c)`, of normalized features `(n, features)`: nothing."""
        return features[:, :0]


class PETS(OffPolicy):
    """A planner with a learned model; arguments and use as in `OffPolicy`.

    Attributes:
        actor: The model that plans are imagined with.
        value: What a state is worth after the plan, of normalized observation and context.
    """

    config: Any
    actor: Model
    curves: ClassVar[tuple[str, ...]] = ("model_loss", "model_error", "value_loss", "value_mean")

    def _make_networks(self) -> dict[str, Any]:
        config, actions = self.config, self.action_space.shape[0]
        size, context = self.plain.stop, self._context_size
        sizes = size, actions, context, config.model_hidden, config.members
        scale = Normalizer(size + 1, frozen=self.partial)
        dynamics = Dynamics(*sizes, self._generator, scale)
        self._ready("actor", dynamics)
        low, high = (torch.from_numpy(b) for b in (self.action_space.low, self.action_space.high))
        model = self._make_model(low, high, self._make_normalizer(), dynamics)
        value = Critic(size + context, 0, config.value_hidden, self._generator)
        self.value = self._ready("critic", value)
        self.value_target = copy.deepcopy(self.value)
        self._target_vector = flatten(trained(self.value_target))
        self.value_target.requires_grad_(False)
        self._reward: Reward | None = load_class(config.reward, "reward") if config.reward else None
        return {"actor": model, "value": self.value, "value_target": self.value_target}

    _context_size = 0
    """Numbers that are inferred of a world."""

    def _make_model(self, low: Tensor, high: Tensor, normalizer: Normalizer, dynamics: Dynamics) -> Model:
        return Model(low, high, normalizer, dynamics)

    def _make_optimizers(self) -> dict[str, FlatAdam]:
        return {
            "model": FlatAdam(trained(self.actor), self.config.model_lr),
            "value": FlatAdam(trained(self.value), self.config.value_lr),
        }

    @property
    def plain(self) -> slice:
        """Columns of what the model predicts: all that the worlds show but history and domain."""
        first = (self.layout.columns(key).start for key in ("history", "domain"))
        return slice(0, min(self.layout.size, *first))

    def _choose(self, features: Tensor, deterministic: bool) -> Tensor:
        """Plan, and return the first actions `(n, act)` of the plans; a draw of them for exploration.

        A deterministic plan depends on its own observation alone, and on what each network expects; others
        meet with chance, the same for all.
        """
        config, n, (actions,) = self.config, len(features), self.action_space.shape
        sizes = config.iterations, config.candidates // 2, config.horizon, actions
        luck = None
        if deterministic:
            noise = keyed_noise(features, *sizes).movedim(0, 1)
        else:
            noise = torch.randn(sizes[0], n, *sizes[1:], generator=self._generator)
            luck = torch.randn(
                config.horizon, config.members, 1, self.plain.stop + 1, generator=self._generator
            )
        state, context = features[:, self.plain], self.actor.context(features)
        mean, std = cross_entropy(
            lambda plans: self.returns(state, context, plans, luck), noise, config.elites
        )
        first = mean[:, 0]
        if not deterministic:
            first = first + std[:, 0] * torch.randn(first.shape, generator=self._generator)
        return first.clamp(-1.0, 1.0)

    @torch.no_grad()
    def returns(
        self,
        state: Tensor,
        context: Tensor,
        plans: Tensor,
        luck: Tensor | None = None,
        value: nn.Module | None = None,
    ) -> Tensor:
        """Return what the ensemble expects of plans `(n, k)`, and of all that comes after them.

        Each network imagines a world of its own. A reward counts as much as the task is likely to go on.

        Args:
            state: Normalized observations `(n, obs)`.
            context: `(n, c)`.
            plans: Actions in [-1, 1], `(n, k, horizon, act)`.
            luck: Standard normal `(horizon, members, 1, obs + 1)`, the same for all plans.
            value: Of states behind a plan; by default the one that is learned.
        """
        n, k = plans.shape[:2]
        dynamics, unit, members = self.actor.dynamics, self._unit, self.config.members
        state, context = (one.repeat_interleave(k, 0).expand(members, -1, -1) for one in (state, context))
        total, weight = torch.zeros(members, n * k), torch.ones(members, n * k)
        for t, action in enumerate(plans.flatten(0, 1).unbind(1)):
            action = action.expand(members, -1, -1)
            before = state
            inputs, chance = torch.cat((state, context, action), -1), None if luck is None else luck[t]
            state, reward, survival = dynamics.imagine(inputs, unit, chance)
            if self._reward is not None:
                reward = self._given(before, action, state)
            total += weight * reward
            weight = weight * survival * self.config.gamma
        ends = torch.cat((state, context), -1).flatten(0, 1)
        after = (value or self.value)(ends, ends[:, :0])
        return (total + weight * after.mean(0).view_as(weight)).mean(0).view(n, k)

    @property
    def _unit(self) -> Tensor:
        return unit_of(self.actor.normalizer)[self.plain]

    def _raw(self, state: Tensor) -> Tensor:
        return state * self._unit + self.actor.normalizer.mean[self.plain].float()

    def _given(self, before: Tensor, action: Tensor, after: Tensor) -> Tensor:
        """Return the rewards `(...)` that were asked for, of normalized observations `(..., obs)`."""
        assert self._reward is not None
        parts = self._raw(before), self.actor.to_bounds(action), self._raw(after)
        return self._reward(*(part.flatten(0, -2) for part in parts)).view(before.shape[:-1])

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step, and move the statistics of observations and of what is predicted."""
        super().observe(transitions)
        change = self.layout.flatten(transitions.next_obs) - self.layout.flatten(transitions.obs)
        reward = torch.as_tensor(transitions.reward, dtype=torch.float32)[:, None]
        truth = torch.cat((change[:, self.plain], reward), 1)
        self.actor.dynamics.scale.update(truth[torch.from_numpy(transitions.usable)])

    def inputs(self, batch: Batch) -> Tensor:
        """Return what the ensemble is told of transitions, `(n, obs + c + act)`."""
        return torch.cat((batch.obs[:, self.plain], self.actor.context(batch.obs), batch.action), 1)

    def truth(self, batch: Batch) -> Tensor:
        """Return what it is to predict of them, `(n, obs + 1)`."""
        change = (batch.next_obs - batch.obs)[:, self.plain] * self._unit
        return torch.cat((change, batch.reward[:, None]), 1)

    def _gradient_step(self, batch: Batch) -> None:
        """Let each network learn from its share of the batch, and the value from the first."""
        self._update_model(batch)
        share = self.config.batch_size // self.config.members
        self._update_value(Batch(*(column[:share] for column in batch)))

    def _update_model(self, batch: Batch) -> None:
        loss, error = self._model_loss(batch)
        self._optimizers["model"].descend(loss)
        self._note(model_loss=loss, model_error=error)

    def _model_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what the model descends, and the mean squared error of what it predicts."""
        ended = (batch.discount == 0).float()
        shares = (self._shares(part) for part in (self.inputs(batch), self.truth(batch), ended))
        return self.actor.dynamics.loss(*shares)

    def _shares(self, rows: Tensor) -> Tensor:
        return rows.unflatten(0, (self.config.members, -1))

    def _update_value(self, batch: Batch) -> None:
        """Step down the squared error of what a state is worth: temporal differences (Sutton 1988)."""
        target = self._backup(batch)
        obs = self._judged(batch.obs)
        values = self.value(obs, obs[:, :0])
        loss = (values - target).square().mean(-1).sum()
        self._optimizers["value"].descend(loss)
        self._target_vector.lerp_(self._optimizers["value"].vector.detach(), self.config.tau)
        self._note(value_loss=loss, value_mean=values.mean())

    @torch.no_grad()
    def _backup(self, batch: Batch) -> Tensor:
        """Return what the action that was taken is worth `(n,)`, or a better one that is imagined."""
        reward, after = batch.reward, self._judged(batch.next_obs)
        if self._reward is not None:
            seen = batch.obs[:, self.plain], batch.action, batch.next_obs[:, self.plain]
            reward = self._given(*seen)
        taken = reward + batch.discount * self.value_target(after, after[:, :0]).mean(0)
        if not self.config.value_actions:
            return taken
        shape = len(taken), self.config.value_actions, 1, self.action_space.shape[0]
        plans = torch.empty(shape).uniform_(-1.0, 1.0, generator=self._generator)
        state, context = batch.obs[:, self.plain], self.actor.context(batch.obs)
        others = self.returns(state, context, plans, value=self.value_target)
        return torch.cat((taken[:, None], others), 1).amax(1)

    def _judged(self, features: Tensor) -> Tensor:
        return torch.cat((features[:, self.plain], self.actor.context(features)), 1)

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the model and the value: what planning needs."""
        return {name: copy.deepcopy(self.networks[name].state_dict()) for name in ("actor", "value")}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        for name in ("actor", "value"):
            self.networks[name].load_state_dict(state[name])

    def _inherit(self, state: dict[str, Any], before: OffPolicyConfig) -> None:
        super()._inherit(state, before)
        if self.config.reward != getattr(before, "reward", ""):
            for name in ("value", "value_target"):
                state[name] = self.networks[name].state_dict()
            state["optimizers"]["value"] = self._optimizers["value"].state_dict()

    def rewarded(self, reward: str, updates: int = 6_000) -> Self:
        """Return a copy that plans for another reward, without a new sample: its model stays as it is.

        Its value is learned anew, from what it remembers.

        Args:
            reward: See `PETSConfig.reward`.
            updates: Of the value, in fives or however many networks there are.

        Raises:
            ValueError: If there is no such function, or nothing is remembered.
        """
        if self.replay is None:
            raise ValueError("a value for another reward is learned from what was experienced: nothing was")
        twin = self.clone({"reward": reward})
        members = self.config.members
        for batch in twin._batches(self.replay, -(-updates // members)):
            for share in batch.split(self.config.batch_size // members):
                twin._update_value(share)
        return twin
