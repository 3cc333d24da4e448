"""RL² (Duan et al. 2016, arXiv 1611.02779; Wang et al. 2016, 1611.05763): a memory that learns to learn.

A recurrent policy sees what it did, what came of it, and where episodes end; its memory is kept for a trial
of several episodes in one domain, whose whole return it maximizes. What it has learned of the domain is then
in its hidden state. The learner is proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents import Observation, RewardFn, Transitions
from sim2real.agents.base import bounded_box
from sim2real.agents.networks import Normalizer, mlp
from sim2real.agents.on_policy import Rollout, advantages, link
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.policies import Choice, SquashedGaussian
from sim2real.agents.recurrent import RECALLED, Encoder, Remembering
from sim2real.agents.replay import ObservationLayout
from sim2real.agents.sac_config import Widths
from sim2real.transfer.memory import MemoryConfig

CURVES = ("policy_loss", "value_loss", "entropy")


class RL2Config(MemoryConfig):
    """RL² (Duan et al. 2016): a recurrent policy learns, on-policy, to learn what domain it is in."""

    hidden: Widths = Field((64,), description="Widths of the layers between memory and policy, or value.")
    choice: bool = Field(
        False,
        description="Whether an action is a choice among its entries, of which one is at its upper bound; "
        "for environments that take the largest.",
    )
    horizon: PositiveInt = Field(
        64, description="Steps of each world from one round of learning to the next."
    )
    epochs: PositiveInt = Field(4, description="Times that each step is learned from.")
    minibatches: PositiveInt = Field(
        4, description="Gradient steps of an epoch, each on a share of the worlds."
    )
    lr: float = Field(1e-3, gt=0, description="Adam step size.")
    gamma: float = Field(0.99, ge=0, le=1, description="Discount of one environment step.")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="Weight of each further step in an advantage.")
    clip: float = Field(0.2, gt=0, description="How far the probability of an action may move in a round.")
    value_weight: float = Field(0.5, ge=0, description="Weight of the value's squared error.")
    entropy_weight: float = Field(0.01, ge=0, description="Weight of the policy's entropy.")
    max_gradient: float = Field(0.5, gt=0, description="Norm that a gradient is cut to.")


class RL2(Remembering):
    """A policy with a memory, learned on-policy; see `sim2real.agents.base.Agent`.

    Args:
        observation_space: Space of one world's observations, with `recall`.
        action_space: Bounded box of one world's actions.
        config: Settings.
        seed: Seed of the initial weights and of all later draws.
        compute_reward: Not used.

    Raises:
        ValueError: If its worlds do not show what they recall.
    """

    config: RL2Config

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: RL2Config,
        seed: int,
        compute_reward: RewardFn | None = None,
    ) -> None:
        del compute_reward
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.layout, self.config = ObservationLayout.of(observation_space), config
        self._generator = torch.Generator().manual_seed(seed)
        self._remember(config.units, self.action_space.shape[0])
        self.networks = self._make_networks()
        self.actor: Any = self.networks["actor"]
        parameters = [one for network in self.networks.values() for one in network.parameters()]
        self._optimizer = FlatAdam(parameters, config.lr)
        self.learning_starts = self.updates = 0
        self._steps: list[Rollout] = []
        self._hidden: list[Tensor] = []
        self._acted: tuple[Tensor, ...] | None = None
        self._sums, self._count = dict.fromkeys(CURVES, 0.0), 0

    def _make_networks(self) -> dict[str, nn.Module]:
        config, generator = self.config, self._generator
        low, high = (torch.from_numpy(bound) for bound in (self.action_space.low, self.action_space.high))
        kind = Choice if config.choice else SquashedGaussian
        size, normalizer = config.units + self.inputs, Normalizer(self.layout.size)
        actor = kind(size, low, high, config.hidden, generator, normalizer)
        zeroed = config.memory == "zeroed"
        actor.encoder = Encoder(self.inputs, len(low) + RECALLED, config.units, generator, zeroed)
        return {"actor": actor, "critic": mlp(size, config.hidden, 1, generator)}

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[np.float32]:
        """Choose actions `(n, act)`, in the action bounds, and remember what was seen."""
        raw, hidden = self.memory.entered(self.layout.flatten(obs))
        summary = self._summary(raw, hidden)
        self.memory.keep(summary[:, : self.config.units], raw)
        if deterministic:
            drawn = self.actor.best(summary)
        else:
            drawn = self.actor.draw(summary, self._generator)
            self._acted = raw, hidden, drawn, self.actor.likelihood(summary, drawn)[0]
        return self.actor.to_bounds(self.actor.action(drawn)).numpy()

    def _best(self, summary: Tensor) -> Tensor:
        return self.actor.to_bounds(self.actor.action(self.actor.best(summary)))

    def observe(self, transitions: Transitions) -> None:
        """Keep one vector step, which this agent acted in; on a target, only live through it.

        Raises:
            ValueError: If it did not.
        """
        if self.config.deployed:
            self._live(transitions, self.actor.from_bounds(torch.as_tensor(transitions.action)))
            return
        if self._acted is None or len(self._acted[0]) != len(transitions.reward):
            raise ValueError("an on-policy learner observes what came of its own actions only: act first")
        raw, hidden, drawn, log_prob = self._acted
        self._acted = None
        ended = transitions.terminated | transitions.truncated
        flags = (transitions.terminated, ended, transitions.started, transitions.usable)
        reward, after = torch.as_tensor(transitions.reward).float(), self.layout.flatten(transitions.next_obs)
        told = (torch.from_numpy(np.array(flag, bool)) for flag in flags)
        self._steps.append(Rollout(raw, drawn, log_prob, reward, after, *told))
        self._hidden.append(hidden)

    def update(self) -> int:
        """Learn, once there are `horizon` steps of every world, and one that tells what followed them."""
        horizon = self.config.horizon
        if len(self._steps) <= horizon:
            return 0
        rollout = Rollout(*(torch.stack(column) for column in zip(*self._steps, strict=True)))
        before, hidden = self.updates, self._hidden[0]
        self._steps, self._hidden = self._steps[horizon:], self._hidden[horizon:]
        self._learn(rollout, hidden)
        seen = rollout.obs[:-1][rollout.usable[:-1]]
        self.actor.normalizer.update(seen)  # now, so that no summary changed since it was acted on
        return self.updates - before

    def _learn(self, rollout: Rollout, hidden: Tensor) -> None:
        """Do the epochs of a round on a rollout, and what memories held before it `(n, units)`."""
        config, normalizer = self.config, self.actor.normalizer
        fresh, over = (rollout.obs[..., column] > 0.5 for column in (-2, -1))
        linked = link(rollout, fresh, config.returns == "trial")
        learned = Rollout(*(column[:-1] for column in rollout))
        inputs = self._features(learned.obs, normalizer(learned.obs))
        after = self._features(linked.obs, normalizer(linked.obs))
        begun = fresh[:-1], over[:-1]
        with torch.no_grad():
            summaries = self.actor.encoder.directed(inputs, hidden, *begun)
            values = self._value(summaries)
            following = self._value(self.actor.encoder.following(summaries, after))
            gains = advantages(rollout, linked, values, following, config.gamma, config.gae_lambda)
        for _ in range(config.epochs):
            order = torch.randperm(len(hidden), generator=self._generator)
            for worlds in order.chunk(config.minibatches):
                own = Rollout(*(column[:, worlds] for column in learned))
                directed = (one[:, worlds] for one in begun)
                seen = self.actor.encoder.directed(inputs[:, worlds], hidden[worlds], *directed)
                goal = (gains + values)[:, worlds][own.usable]
                self._descend(own, seen[own.usable], gains[:, worlds][own.usable], goal)

    def _descend(self, own: Rollout, summaries: Tensor, gains: Tensor, goal: Tensor) -> None:
        """Do a gradient step on the clipped objective (Schulman et al. 2017, equations 7 and 9).

        Args:
            own: Steps of some worlds.
            summaries: Of the k usable ones `(k, size)`.
            gains: Their advantages `(k,)`.
            goal: What their values are to be `(k,)`.
        """
        config = self.config
        log_prob, entropy = self.actor.likelihood(summaries, own.drawn[own.usable])
        ratio = (log_prob - own.log_prob[own.usable]).exp()
        gains = (gains - gains.mean()) / (gains.std(correction=0) + 1e-8)
        clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
        policy = -torch.minimum(ratio * gains, clipped * gains).mean()
        value = 0.5 * (self._value(summaries) - goal).square().mean()
        loss = policy + config.value_weight * value - config.entropy_weight * entropy.mean()
        self._optimizer.descend(loss, config.max_gradient)
        self.updates += 1
        self._count += 1
        for name, one in zip(CURVES, (policy, value, entropy.mean()), strict=True):
            self._sums[name] += one.item()

    def _value(self, summaries: Tensor) -> Tensor:
        """Return values `(...)` of summaries `(..., size)`."""
        return self.networks["critic"](summaries)[..., 0]

    def metrics(self) -> dict[str, float]:
        """Return the means of the curves since the last call (NaN without an update), and forget them."""
        means = {name: total / self._count if self._count else math.nan for name, total in self._sums.items()}
        self._sums, self._count = dict.fromkeys(CURVES, 0.0), 0
        return {**means, "updates": float(self.updates)}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything: with it, learning continues bit for bit."""
        state = {
            **{name: network.state_dict() for name, network in self.networks.items()},
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "memory": self.memory.state_dict(),
            "steps": [list(step) for step in self._steps],
            "hidden": self._hidden,
            "acted": None if self._acted is None else list(self._acted),
            "books": [self.updates, self._sums, self._count],
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        state = copy.deepcopy(dict(state))
        for name, network in self.networks.items():
            network.load_state_dict(state[name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self.memory.load_state_dict(state["memory"])
        self._steps, self._hidden = [Rollout(*step) for step in state["steps"]], state["hidden"]
        self._acted = None if state["acted"] is None else tuple(state["acted"])
        self.updates, self._sums, self._count = state["books"]

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the actor: what acting needs."""
        return {"actor": copy.deepcopy(self.actor.state_dict())}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        self.actor.load_state_dict(state["actor"])

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> RL2:
        """Return an independent copy; see `sim2real.agents.base.Agent`.

        Without `keep_replay` it is in no world yet, and has nothing to learn from.
        """
        config = RL2Config.model_validate({**self.config.model_dump(), **(changes or {})})
        twin = RL2(self.observation_space, self.action_space, config, 0)
        twin.load_state_dict(self.state_dict())
        twin._optimizer.set_lr(config.lr)
        if not keep_replay:
            twin._steps, twin._hidden, twin._acted, twin.memory.hidden = [], [], None, None
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin
