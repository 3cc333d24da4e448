"""What off-policy learners share: acting, replay, when updates fall due, state, copies."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from sim2real.agents.base import Observation, RewardFn, Transitions, bounded_box
from sim2real.agents.matmul import fast_matmul, fast_matmul_rounds
from sim2real.agents.networks import Normalizer
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.replay import Batch, ObservationLayout, Replay
from sim2real.agents.sac_config import OffPolicyConfig
from sim2real.agents.trainable import freeze, trained

DRAWN = 8
"""Batches drawn from the replay at a time: most of the cost of drawing is that of the call."""


class OffPolicy(ABC):
    """A learner that remembers: `act`, `observe` what came of it, `update`, and again.

    Args:
        observation_space: Space of one world's observations: a flat box or a goal dictionary.
        action_space: Bounded box of one world's actions.
        config: Hyper-parameters.
        seed: Seed of the initial weights and of all later draws.
        compute_reward: The environment's reward of reaching one goal while wanting another, for
            hindsight; see `RewardFn`.

    Attributes:
        actor: The policy, with its observation statistics.
        curves: What `metrics` tells about.
        networks: All networks by name.
        steps: Environment steps observed.
        updates: Gradient updates of the critics done.

    Raises:
        ValueError: If a space is of another kind, or hindsight lacks goals or `compute_reward`.
    """

    config: Any
    actor: Any
    curves: ClassVar[tuple[str, ...]] = ("critic_loss", "q_mean")

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: OffPolicyConfig,
        seed: int,
        compute_reward: RewardFn | None = None,
    ) -> None:
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.config, self.compute_reward = config, compute_reward
        self.layout = ObservationLayout.of(observation_space)
        hindsight = self.layout.goal > 0 if config.her == "auto" else config.her
        if hindsight and (self.layout.goal == 0 or compute_reward is None):
            raise ValueError(
                "Hindsight needs goal observations and the env's compute_reward, one and the same for all "
                "members of a set; without it, set train.agent.her to false."
            )
        self._her_k = config.her_k if hindsight else 0
        self._generator = torch.Generator().manual_seed(seed)
        self.networks = self._make_networks()
        self.actor = self.networks["actor"]
        self._optimizers = self._make_optimizers()
        self.replay: Replay | None = None
        self.steps = self.updates = 0
        self._credit = Fraction(0)
        self._curves = {name: [0.0, 0] for name in self.curves}

    @abstractmethod
    def _make_networks(self) -> dict[str, nn.Module]:
        """Make the `actor` and all other networks, and return them by name."""

    def _make_optimizers(self) -> dict[str, FlatAdam]:
        """Make an optimizer for each of the things that are learned; `<name>_lr` is its step size."""
        return {
            name: FlatAdam(trained(self.networks[name]), getattr(self.config, f"{name}_lr"))
            for name in ("actor", "critic")
        }

    @abstractmethod
    def _gradient_step(self, batch: Batch) -> None:
        """Learn from a batch with normalized observations."""

    @property
    def partial(self) -> bool:
        """Whether only a part of the networks may change; statistics then stay as they are as well."""
        return self.config.trainable != "all"

    def _ready(self, name: str, network: nn.Module) -> nn.Module:
        """Make a new network ready to learn: freeze what may not change. Transfer methods build on it here.

        Args:
            name: `actor` or `critic`.
            network: With its first weights.
        """
        del name
        freeze(network, self.config.trainable)
        return network

    def _make_normalizer(self) -> Normalizer:
        plain = not self.config.normalize_observations
        return Normalizer(self.layout.size, math.inf if plain else 10.0, self.partial or plain)

    @property
    def learning_starts(self) -> int:
        """Environment steps that are taken with uniformly random actions before learning."""
        return self.config.learning_starts

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions.

        Args:
            obs: Observations `(n, obs)` or a goal dictionary.
            deterministic: Whether to take what the policy holds best instead of a sample.

        Returns:
            Actions `(n, act)`, float32, within the action bounds.
        """
        raw = self.layout.flatten(obs)
        # What the policy does must not be rounded; what it learns from may be.
        with fast_matmul(self.config.fast_matmul and not fast_matmul_rounds()):
            action = self._choose(self.actor.normalizer(raw), deterministic)
            return self.actor.to_bounds(action).numpy()

    def _choose(self, features: Tensor, deterministic: bool) -> Tensor:
        """Choose actions `(n, act)` in [-1, 1] at normalized observations; here of a Gaussian policy."""
        if deterministic:
            return torch.tanh(self.actor.gaussian(features)[0])
        return self.actor.sample(features, self._generator)[0]

    def decide(self, raw: Tensor) -> Tensor:
        """Return what the policy holds best `(n, act)`, in the bounds, at flat observations `(n, obs)`.

        It is `act` in tensors alone, so that it can be exported as a graph.
        """
        return self.actor.to_bounds(self._choose(self.actor.normalizer(raw), True))

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step, move the observation statistics, and let updates fall due.

        Every environment step after `learning_starts` earns exactly `updates_per_step` updates;
        fractions are kept as fractions, so that none is ever lost to rounding.
        """
        obs = self.layout.flatten(transitions.obs)
        if self.replay is None:
            self.replay = self._new_replay(len(obs))
        action = self.actor.from_bounds(torch.as_tensor(transitions.action))
        self.replay.store(transitions, obs, action)
        self.actor.normalizer.update(obs[torch.from_numpy(transitions.usable)])
        before, self.steps = self.steps, self.steps + int(transitions.valid.sum())
        earning = max(0, self.steps - max(before, self.learning_starts))
        self._credit += earning * Fraction(str(self.config.updates_per_step))

    def _new_replay(self, worlds: int) -> Replay:
        config, actions = self.config, self.action_space.shape[0]
        sizes = self.layout, actions, worlds, config.replay_capacity
        return Replay(*sizes, self.compute_reward, self._her_k, config.gamma, config.n_step)

    def update(self) -> int:
        """Do the gradient updates that are due, as soon as there is anything to learn from.

        Returns:
            The number of critic updates done.
        """
        if self.replay is None or len(self.replay) == 0:
            return 0
        due = int(self._credit)
        self._credit -= due
        with fast_matmul(self.config.fast_matmul):
            for batch in self._batches(self.replay, due):
                self._gradient_step(batch)
                self.updates += 1
        return due

    def _batches(self, replay: Replay, count: int) -> Iterator[Batch]:
        """Draw batches, with normalized observations."""
        size, normalizer = self.config.batch_size, self.actor.normalizer
        for first in range(0, count, DRAWN):
            drawn = replay.sample(size * min(DRAWN, count - first), self._generator)
            obs, next_obs = normalizer(drawn.obs), normalizer(drawn.next_obs)
            yield from drawn._replace(obs=obs, next_obs=next_obs).split(size)

    def _note(self, **values: Tensor) -> None:
        """Add to the curves."""
        for name, value in values.items():
            self._curves[name][0] += value.item()
            self._curves[name][1] += 1

    def metrics(self) -> dict[str, float]:
        """Return the means of the curves since the last call (NaN where there was no update).

        Returns:
            What `curves` names, and `updates` so far.
        """
        means = {name: total / count if count else math.nan for name, (total, count) in self._curves.items()}
        self._curves = {name: [0.0, 0] for name in self.curves}
        return {**means, "updates": float(self.updates)}

    def _learner_state(self) -> dict[str, Any]:
        """Everything but the replay, as copies."""
        return copy.deepcopy(
            {
                **{name: network.state_dict() for name, network in self.networks.items()},
                "optimizers": {k: o.state_dict() for k, o in self._optimizers.items()},
                "generator": self._generator.get_state(),
                "steps": self.steps,
                "updates": self.updates,
                "credit": list(self._credit.as_integer_ratio()),
                "curves": self._curves,
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything: with it, learning continues bit for bit."""
        replay = None if self.replay is None else self.replay.state_dict()
        return {**self._learner_state(), "replay": replay}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        learner = copy.deepcopy({k: v for k, v in state.items() if k != "replay"})
        for name, network in self.networks.items():
            network.load_state_dict(learner[name])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(learner["optimizers"][name])
        self._generator.set_state(learner["generator"])
        self.steps, self.updates = learner["steps"], learner["updates"]
        self._credit = Fraction(*learner["credit"])
        self._curves = learner["curves"]
        self.replay = None
        if state["replay"] is not None:
            self.replay = self._new_replay(state["replay"]["rows"].shape[0])
            self.replay.load_state_dict(state["replay"])

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the actor with its observation statistics: what acting needs."""
        return {"actor": copy.deepcopy(self.actor.state_dict())}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        self.actor.load_state_dict(state["actor"])

    def clone(
        self,
        changes: Mapping[str, Any] | None = None,
        seed: int | None = None,
        keep_replay: bool = True,
    ) -> Self:
        """Return an independent copy, by default one that would go on exactly like this agent.

        Args:
            changes: Hyper-parameters that differ in the copy, for example
                `{"trainable": "last_layer", "learning_starts": 0}`.
            seed: New seed for the copy's draws; by default it shares this agent's random future.
            keep_replay: Whether the copy remembers the transitions; if not, it also counts its
                steps and updates from zero, and may learn in another number of worlds.
        """
        config = type(self.config).model_validate({**self.config.model_dump(), **(changes or {})})
        twin = self._untrained(config)
        state = self.state_dict() if keep_replay else {**self._learner_state(), "replay": None}
        if not keep_replay:
            state.update(steps=0, updates=0, credit=[0, 1])
        twin._inherit(state, self.config)
        twin.load_state_dict(state)
        for name, optimizer in twin._optimizers.items():
            # The configuration wins over the rates that came with restored optimizers.
            optimizer.set_lr(getattr(config, f"{name}_lr"))
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin

    def _untrained(self, config: OffPolicyConfig) -> Self:
        """Make another agent for the same spaces, in which nothing is learned yet."""
        return type(self)(self.observation_space, self.action_space, config, 0, self.compute_reward)

    def _inherit(self, state: dict[str, Any], before: OffPolicyConfig) -> None:
        """Change the state of another whose settings were others, before it becomes this agent's."""
        if self.config.trainable != before.trainable:
            state["optimizers"] = {name: own.state_dict() for name, own in self._optimizers.items()}
            if "target" in state:
                # Targets that trail a body which will never move again would never catch up with it.
                state["target"] = state["critic"]
