"""The hyper-parameters of the learners, as they are written in a spec file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Widths = tuple[PositiveInt, ...]
Trainable = Literal["all", "last_layer", "last_2", "last_3", "last_4", "last_5", "bias"]


class OffPolicyConfig(BaseModel):
    """What every off-policy learner has: keys of a spec's `train.agent` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gamma: float = Field(0.99, ge=0, lt=1, description="Discount of one environment step.")
    n_step: PositiveInt = Field(
        1, description="Transitions whose rewards are summed before a critic is asked for the rest."
    )
    batch_size: PositiveInt = Field(256, description="Transitions drawn for one update.")
    replay_capacity: PositiveInt = Field(1_000_000, description="Transitions kept, all worlds together.")
    learning_starts: int = Field(
        5_000, ge=0, description="Environment steps with uniformly random actions before learning."
    )
    updates_per_step: float = Field(
        1.0, ge=0, description="Gradient updates per environment step; N worlds take N of them."
    )
    normalize_observations: bool = Field(
        True, description="Whether observations are scaled by their running mean and deviation."
    )
    her: Literal["auto"] | bool = Field(
        "auto", description="Whether goals are relabelled in hindsight: auto is for goal spaces."
    )
    her_k: PositiveInt = Field(4, description="Hindsight goals per original goal.")
    trainable: Trainable = Field(
        "all",
        description="What learning may change: all, the last n layers of each network, or only its biases "
        "and normalization gains. All else is frozen, with the statistics of observations.",
    )
    fast_matmul: bool = Field(
        True,
        description="Whether updates multiply matrices through oneDNN: in float32, or in bfloat16 with "
        "float32 sums where the processor has matrix units for it (AMX).",
    )


class NetworksConfig(OffPolicyConfig):
    """What every learner with an actor and critics has besides."""

    actor_hidden: Widths = Field((256, 256), description="Widths of the actor's hidden layers.")
    critic_hidden: Widths = Field((256, 256), description="Widths of each critic's hidden layers.")
    actor_lr: float = Field(3e-4, gt=0, description="Adam step size of the actor.")
    critic_lr: float = Field(1e-3, gt=0, description="Adam step size of the critics.")


class ActorCriticConfig(NetworksConfig):
    """What every maximum-entropy actor-critic has besides."""

    alpha_lr: float = Field(1e-3, gt=0, description="Adam step size of the log temperature.")
    policy_delay: PositiveInt = Field(2, description="Critic updates between two visits to the actor.")
    policy_updates: PositiveInt = Field(
        2, description="Actor updates at each visit; equal to policy_delay it catches up fully."
    )
    temperature: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto", description="Weight of the entropy: learned, or fixed at this value."
    )
    initial_temperature: float = Field(1.0, gt=0, description="Where a learned temperature starts.")
    target_entropy: Literal["auto"] | float = Field(
        "auto", description="Entropy [nat] a learned temperature aims at: auto is minus dim(A)."
    )


class SACConfig(ActorCriticConfig):
    """Soft actor-critic (Haarnoja et al. 2018) with textbook settings: one update a step."""

    tau: float = Field(0.005, gt=0, le=1, description="Step of the target critics per update.")
    critic_layernorm: bool = Field(
        False, description="Whether the critics normalize their hidden layers (Ba et al. 2016)."
    )


class ManyWorldsConfig(ActorCriticConfig):
    """Narrow networks and few updates, each with a longer return, for many worlds at once."""

    actor_hidden: Widths = Field((128, 128), description="Widths of the actor's hidden layers.")
    critic_hidden: Widths = Field((128, 128), description="Widths of each critic's hidden layers.")
    updates_per_step: float = Field(
        0.125, ge=0, description="Gradient updates per environment step; N worlds take N of them."
    )
    policy_updates: PositiveInt = Field(
        1, description="Actor updates at each visit; equal to policy_delay it catches up fully."
    )
    n_step: PositiveInt = Field(
        3, description="Transitions whose rewards are summed before a critic is asked for the rest."
    )


class FastSACConfig(ManyWorldsConfig, SACConfig):
    """Soft actor-critic with truncated quantile critics, for many worlds and few updates: the default.

    `tools/bench learning` measures it against others' defaults, `tools/bench ablation` each of its choices.
    """

    tau: float = Field(0.05, gt=0, le=1, description="Step of the target critics per update.")
    critic_layernorm: bool = Field(
        True, description="Whether the critics normalize their hidden layers (Ba et al. 2016)."
    )
    quantiles: PositiveInt = Field(5, description="Quantiles of the return that each of two critics learns.")
    dropped_quantiles: int = Field(
        1, ge=0, description="Highest quantiles, for each critic, of which no target is made."
    )

    @model_validator(mode="after")
    def _keep_some(self) -> Self:
        if self.dropped_quantiles >= self.quantiles:
            raise ValueError(
                f"dropped_quantiles must be below quantiles, {self.quantiles}, or no target is left; "
                f"given {self.dropped_quantiles}"
            )
        return self


class CrossQConfig(ManyWorldsConfig):
    """CrossQ (Bhatt et al. 2024): batch normalization in place of target networks, for many worlds too."""

    batch_norm_momentum: float = Field(
        0.01, gt=0, le=1, description="Share of a batch in the running statistics of the critics."
    )


class SoftQConfig(NetworksConfig):
    """Soft Q-learning (Haarnoja et al. 2017): an energy-based policy, which takes all good ways at once."""

    temperature: float = Field(0.1, gt=0, description="Weight of the entropy, in units of reward.")
    final_temperature: float | None = Field(
        None, gt=0, description="Where the temperature is annealed to, log-linearly; null keeps it."
    )
    anneal_updates: PositiveInt = Field(10_000, description="Updates that the annealing takes.")
    members: Literal[1, 2] = Field(1, description="Number of critics; of two, the lesser value counts.")
    critic_layernorm: bool = Field(
        False, description="Whether the critics normalize their hidden layers (Ba et al. 2016)."
    )
    target_every: PositiveInt = Field(1_000, description="Updates between two copies to the target critic.")
    value_samples: PositiveInt = Field(50, description="Uniform actions that a soft value is estimated from.")
    particles: PositiveInt = Field(32, description="Sampled actions that stand for the present policy.")
    updated_particles: PositiveInt = Field(32, description="Sampled actions that an update moves.")
    greedy_particles: PositiveInt = Field(
        32, description="Sampled actions of which a deterministic one is the best."
    )
