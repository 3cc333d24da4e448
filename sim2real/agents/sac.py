"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905) with twin critics, on the CPU."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from sim2real.agents.base import Observation, RewardFn, Transitions, bounded_box
from sim2real.agents.networks import Actor, Critic, Normalizer
from sim2real.agents.replay import Batch, ObservationLayout, Replay
from sim2real.agents.sac_config import SACConfig

CURVES = ("critic_loss", "q_mean", "actor_loss", "entropy", "alpha")


class SAC:
    """A maximum-entropy learner: `act`, `observe` what came of it, `update`, and again.

    Args:
        observation_space: Space of one world's observations: a flat box or a goal dictionary.
        action_space: Bounded box of one world's actions.
        config: Hyper-parameters.
        seed: Seed of the initial weights and of all later draws.
        compute_reward: The environment's reward of reaching one goal while wanting another, for
            hindsight; see `RewardFn`.

    Attributes:
        steps: Environment steps observed.
        updates: Gradient updates of the critics done.

    Raises:
        ValueError: If a space is of another kind, or hindsight lacks goals or `compute_reward`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: SACConfig,
        seed: int,
        compute_reward: RewardFn | None = None,
    ) -> None:
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.config, self.compute_reward = config, compute_reward
        self.layout = ObservationLayout.of(observation_space)
        hindsight = self.layout.goal > 0 if config.her == "auto" else config.her
        if hindsight and (self.layout.goal == 0 or compute_reward is None):
            raise ValueError(
                "Hindsight needs goal observations and the env's compute_reward: "
                "pass compute_reward, or set her: false."
            )
        self._her_k = config.her_k if hindsight else 0
        self._generator = torch.Generator().manual_seed(seed)
        self._build_networks()
        self._build_optimizers()
        self.replay: Replay | None = None
        self.steps = self.updates = 0
        self._credit = Fraction(0)
        self._curves = {name: torch.zeros(2, dtype=torch.float64) for name in CURVES}

    def _build_networks(self) -> None:
        """Make actor, critics and temperature, and freeze what the configuration freezes."""
        config, size = self.config, self.layout.size
        actions = self.action_space.shape[0]
        partial = config.trainable == "last_layer"
        normalizer = Normalizer(
            size,
            clip=10.0 if config.normalize_observations else math.inf,
            frozen=partial or not config.normalize_observations,
        )
        low, high = (torch.from_numpy(b) for b in (self.action_space.low, self.action_space.high))
        self.actor = Actor(size, low, high, config.actor_hidden, self._generator, normalizer)
        self.critic = Critic(
            size,
            actions,
            config.critic_hidden,
            self._generator,
            layernorm=config.critic_layernorm,
        )
        for network in (self.actor, self.critic) if partial else ():
            network.requires_grad_(False)
            network.head.requires_grad_(True)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        fixed = None if config.temperature == "auto" else config.temperature
        start = math.log(config.initial_temperature if fixed is None else fixed)
        self.log_alpha = torch.tensor(start, requires_grad=True)
        auto = config.target_entropy == "auto"
        self.target_entropy = -float(actions) if auto else float(config.target_entropy)

    def _build_optimizers(self) -> None:
        """Make one Adam for each loss over what may be trained."""
        config = self.config
        self._actor_params = [p for p in self.actor.parameters() if p.requires_grad]
        self._critic_params = [p for p in self.critic.parameters() if p.requires_grad]
        pairs = zip(self.critic.parameters(), self.target.parameters(), strict=True)
        self._target_params = [frozen for online, frozen in pairs if online.requires_grad]
        self._optimizers = {
            "actor": torch.optim.Adam(self._actor_params, config.actor_lr, fused=True),
            "critic": torch.optim.Adam(self._critic_params, config.critic_lr, fused=True),
            "alpha": torch.optim.Adam([self.log_alpha], config.alpha_lr, fused=True),
        }

    @property
    def learning_starts(self) -> int:
        """Environment steps that are taken with uniformly random actions before learning."""
        return self.config.learning_starts

    @property
    def alpha(self) -> float:
        """The temperature: how much one nat of entropy is worth in reward."""
        return math.exp(self.log_alpha.item())

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions.

        Args:
            obs: Observations `(n, obs)` or a goal dictionary.
            deterministic: Whether to take tanh of the Gaussian's mean instead of a sample.

        Returns:
            Actions `(n, act)`, float32, within the action bounds.
        """
        raw = self.layout.flatten(obs)
        if deterministic:
            return self.actor(raw).numpy()
        action, _ = self.actor.sample(self.actor.normalizer(raw), self._generator)
        return self.actor.to_bounds(action).numpy()

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
        actions, capacity = self.action_space.shape[0], self.config.replay_capacity
        return Replay(self.layout, actions, worlds, capacity, self.compute_reward, self._her_k)

    def update(self) -> int:
        """Do the gradient updates that are due, as soon as there is anything to learn from.

        Returns:
            The number of critic updates done.
        """
        if self.replay is None or len(self.replay) == 0:
            return 0
        due = int(self._credit)
        self._credit -= due
        for _ in range(due):
            self._gradient_step(self.replay.sample(self.config.batch_size, self._generator))
        return due

    def _gradient_step(self, batch: Batch) -> None:
        """Update the critics, every `policy_delay`-th time the actor, and then the targets."""
        config, normalizer = self.config, self.actor.normalizer
        batch = batch._replace(obs=normalizer(batch.obs), next_obs=normalizer(batch.next_obs))
        self._update_critic(batch)
        self.updates += 1
        if self.updates % config.policy_delay == 0:
            for _ in range(config.policy_updates):
                self._update_actor(batch.obs)
        with torch.no_grad():
            for target, online in zip(self._target_params, self._critic_params, strict=True):
                target.lerp_(online, config.tau)

    @torch.no_grad()
    def td_target(self, batch: Batch) -> Tensor:
        """Return the soft Bellman targets `(n,)` (Haarnoja et al. 2018, equations 3 and 5).

        `y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log pi(a' | s'))` with `a'`
        drawn from the policy. A truncated episode has a future, so only termination ends the sum.

        Args:
            batch: Transitions with *normalized* observations.
        """
        action, log_prob = self.actor.sample(batch.next_obs, self._generator)
        value = self.target(batch.next_obs, action).amin(0) - self.log_alpha.exp() * log_prob
        return batch.reward + self.config.gamma * (1.0 - batch.terminated) * value

    def _update_critic(self, batch: Batch) -> None:
        """Step down the squared soft Bellman error, summed over the two critics."""
        target = self.td_target(batch)
        values = self.critic(batch.obs, batch.action)
        loss = (values - target).square().mean(-1).sum()
        _descend(self._optimizers["critic"], loss, self._critic_params)
        self._note(critic_loss=loss, q_mean=values.mean())

    def _update_actor(self, features: Tensor) -> None:
        """Step up the value plus entropy, and move the temperature to the target entropy.

        The actor's loss is `E[alpha log pi - min_i Q_i]` (equation 7). The temperature's is
        `-log(alpha) E[log pi + target entropy]`: equation 18 with the logarithm in place of alpha.
        """
        action, log_prob = self.actor.sample(features, self._generator)
        alpha = self.log_alpha.detach().exp()
        loss = (alpha * log_prob - self.critic(features, action).amin(0)).mean()
        _descend(self._optimizers["actor"], loss, self._actor_params)
        excess = log_prob.detach().mean() + self.target_entropy
        if self.config.temperature == "auto":
            _descend(self._optimizers["alpha"], -self.log_alpha * excess, [self.log_alpha])
        self._note(actor_loss=loss, entropy=self.target_entropy - excess, alpha=alpha)

    def _note(self, **values: Tensor) -> None:
        """Add to the curves without leaving torch, which would wait for each number."""
        for name, value in values.items():
            self._curves[name][0] += value.detach()
            self._curves[name][1] += 1

    def metrics(self) -> dict[str, float]:
        """Return the means of the curves since the last call (NaN where there was no update).

        Returns:
            `critic_loss`, `q_mean`, `actor_loss`, `entropy` [nat], `alpha`, and `updates` so far.
        """
        means = {name: float(total / count) for name, (total, count) in self._curves.items()}
        for sums in self._curves.values():
            sums.zero_()
        return {**means, "updates": float(self.updates)}

    def _learner_state(self) -> dict[str, Any]:
        """Everything but the replay, as copies."""
        return copy.deepcopy(
            {
                "actor": self.actor.state_dict(),
                "critic": self.critic.state_dict(),
                "target": self.target.state_dict(),
                "log_alpha": self.log_alpha.detach(),
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
        for name in ("actor", "critic", "target"):
            getattr(self, name).load_state_dict(learner[name])
        with torch.no_grad():
            self.log_alpha.copy_(learner["log_alpha"])
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
    ) -> SAC:
        """Return an independent copy, by default one that would go on exactly like this agent.

        Args:
            changes: Hyper-parameters that differ in the copy, for example
                `{"trainable": "last_layer", "learning_starts": 0}`.
            seed: New seed for the copy's draws; by default it shares this agent's random future.
            keep_replay: Whether the copy remembers the transitions; if not, it also counts its
                steps and updates from zero, and may learn in another number of worlds.
        """
        config = SACConfig.model_validate({**self.config.model_dump(), **(changes or {})})
        twin = SAC(self.observation_space, self.action_space, config, 0, self.compute_reward)
        state = self.state_dict() if keep_replay else {**self._learner_state(), "replay": None}
        if not keep_replay:
            state.update(steps=0, updates=0, credit=[0, 1])
        fresh = twin.state_dict()
        if config.trainable != self.config.trainable:
            # Targets that trail a body which will never move again would never catch up with it.
            state.update(optimizers=fresh["optimizers"], target=state["critic"])
        if config.temperature != "auto":
            state["log_alpha"] = fresh["log_alpha"]
        twin.load_state_dict(state)
        twin._apply_learning_rates()
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin

    def _apply_learning_rates(self) -> None:
        """Let the configuration win over the rates that came with restored optimizers."""
        for name, optimizer in self._optimizers.items():
            optimizer.param_groups[0]["lr"] = getattr(self.config, f"{name}_lr")


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, inputs: Iterable[Tensor]) -> None:
    """Do one optimizer step; gradients of anything but `inputs` are not even computed."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(inputs))
    optimizer.step()
