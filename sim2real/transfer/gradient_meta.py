"""What MAML and Reptile share: a policy from which every task goes its own way, by its policy gradient.

Worlds next to each other are in the same domain, a task. In each *round* all of them run an episode; after
a round every task takes a step of its own down its policy gradient, the inner step. After the last round of
a trial the parameters that all tasks began with, the meta-policy, are changed, and new tasks are drawn.

On a target there is one task: after each batch of target episodes the meta-policy itself takes an inner step,
so that shot 0 is the meta-policy.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from sim2real.agents import Observation, RewardFn, Transitions
from sim2real.agents.base import bounded_box
from sim2real.agents.bounds import Bounded
from sim2real.agents.clipped_gaussian import ClippedGaussian
from sim2real.agents.episodes import Batch, Episodes, Recorder, advantages, joined
from sim2real.agents.networks import Normalizer
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.replay import ObservationLayout
from sim2real.agents.sac_config import Trainable, Widths
from sim2real.envs.wants import Wants

REPLAYED = ("learning_starts", "updates_per_step")
"""What few-shot adaptation tells those who learn from a replay; a policy gradient has none."""


class GradientMetaConfig(BaseModel):
    """What every gradient-based meta-learner has: keys of a spec's `train.agent` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Widths = Field((64, 64), description="Widths of the policy's hidden layers.")
    initial_std: float = Field(
        1.0, gt=0, description="Standard deviation of the first policy; actions are in [-1, 1]."
    )
    episodes: PositiveInt = Field(
        20, description="Episodes of a task that an inner step is taken on: in training of as many worlds."
    )
    inner_lr: float = Field(0.1, gt=0, description="Step size of the inner steps, which are plain descent.")
    later_inner_lr: float | None = Field(
        None, gt=0, description="Step size of all inner steps but the first; null is the same."
    )
    meta_lr: float = Field(1e-3, gt=0, description="Adam step size of the meta-policy.")
    gamma: float = Field(0.99, ge=0, le=1, description="Discount of one environment step.")
    gae_lambda: float = Field(0.97, ge=0, le=1, description="Discount of the baseline's errors besides.")
    normalize_observations: bool = Field(
        True, description="Whether observations are scaled by their running mean and deviation."
    )
    trainable: Trainable = Field(
        "all", description="What inner steps may change: all, the last n layers, or biases."
    )
    deployed: bool = Field(
        False, description="Whether there is one task, a target, to adapt to; adaptation sets it."
    )

    @property
    @abstractmethod
    def rounds(self) -> int:
        """Episodes of a trial."""

    @property
    def wants(self) -> Wants:
        """Groups of worlds that share a domain for a trial, and begin their episodes together."""
        return Wants(episodes=self.rounds, together=self.episodes, in_step=True)


class GradientMeta(ABC):
    """A meta-policy and its tasks, driven step by step: `act`, `observe` what came of it, and again.

    A step that is due is taken at once when the episodes that it takes are over, inside `observe`: the next
    action must be the new policy's.

    Args:
        observation_space: Space of one world's observations: a flat box or a goal dictionary.
        action_space: Bounded box of one world's actions.
        config: Settings.
        seed: Seed of the initial weights and of all later draws.
        compute_reward: Not used; there is nothing to relabel.

    Attributes:
        theta: Parameters of the meta-policy (p,); of a deployed one those that it has adapted to.
        steps: Environment steps observed.
        updates: Changes of `theta`.
    """

    config: Any
    curves: ClassVar[tuple[str, ...]] = ("return_before", "return_after", "meta_loss", "std")

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: GradientMetaConfig,
        seed: int,
        compute_reward: RewardFn | None = None,
    ) -> None:
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.config, self.compute_reward = config, compute_reward
        self.layout = ObservationLayout.of(observation_space)
        low, high = (torch.from_numpy(end) for end in (self.action_space.low, self.action_space.high))
        self._bounded = Bounded(low, high)
        self.normalizer = Normalizer(self.layout.size, frozen=not config.normalize_observations)
        self._generator = torch.Generator().manual_seed(seed)
        self.policy = ClippedGaussian(self.layout.size, config.hidden, len(low))
        self.theta = self.policy.initial(self._generator, config.initial_std).requires_grad_()
        self._optimizer = FlatAdam([self.theta], config.meta_lr)
        self._moved = self.policy.trainable(config.trainable)
        self._recorder = Recorder()
        self._records: list[Episodes] = []
        self._acted: list[Tensor] = []
        self._tasks: Tensor | None = None
        self.steps = self.updates = self.inner_steps = 0
        self._unsaid = 0
        self._curves = {name: [0.0, 0] for name in self.curves}

    @abstractmethod
    def _meta_step(self, batches: list[Batch], acted: Tensor) -> None:
        """Change `theta`.

        Args:
            batches: What each round of the trial showed.
            acted: The parameters (k, p) that acted in the last round.
        """

    @property
    def learning_starts(self) -> int:
        """None: the first policy explores."""
        return 0

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions `(n, act)` in the bounds: the meta-policy's means, or samples of each task's own."""
        features, theta = self.normalizer(self.layout.flatten(obs)), self.theta[None]
        if deterministic:
            drawn = self.policy.greedy(theta, features[None])
        else:
            theta = theta if self._tasks is None else self._tasks
            drawn = self.policy.sample(theta, features.unflatten(0, (len(theta), -1)), self._generator)
        return self._bounded.to_bounds(drawn.flatten(0, 1)).numpy()

    def decide(self, raw: Tensor) -> Tensor:
        """Return the meta-policy's means `(n, act)` in tensors alone; see `OffPolicy.decide`."""
        drawn = self.policy.greedy(self.theta[None], self.normalizer(raw)[None])
        return self._bounded.to_bounds(drawn[0])

    def observe(self, transitions: Transitions) -> None:
        """Record one vector step, and learn when it is the last of a round."""
        action = self._bounded.from_bounds(torch.as_tensor(transitions.action))
        self._recorder.add(transitions, self.layout.flatten(transitions.obs), action)
        self.steps += int(transitions.valid.sum())
        if self._recorder.complete:
            self._records.append(self._recorder.take())
            (self._adapt if self.config.deployed else self._end_round)()

    def _adapt(self) -> None:
        """Take an inner step on the target if there are enough episodes."""
        if sum(len(record.reward) for record in self._records) < self.config.episodes:
            return
        batch = self._batch(joined(self._records).of_tasks(1), self.theta[None])
        adapted = self.inner_step(self.theta[None], batch, self.inner_steps)
        with torch.no_grad():
            self.theta.copy_(adapted[0])
        self._records = []
        self.inner_steps += 1
        self._unsaid += 1

    def _end_round(self) -> None:
        """Let every task take an inner step; after the last round, change the meta-policy."""
        tasks, rest = divmod(len(self._records[-1].reward), self.config.episodes)
        if rest:
            raise ValueError(
                f"{len(self._records[-1].reward)} worlds are no tasks of {self.config.episodes} episodes each"
            )
        acted = self.theta.detach().expand(tasks, -1) if self._tasks is None else self._tasks
        self._acted.append(acted)
        if len(self._records) < self.config.rounds:
            batch = self._batch(self._records[-1].of_tasks(tasks), acted)
            self._tasks = self.inner_step(acted, batch, len(self._records) - 1).detach()
            return
        batches = [
            self._batch(one.of_tasks(tasks), theta)
            for one, theta in zip(self._records, self._acted, strict=True)
        ]
        self._meta_step(batches, acted)
        self._end_trial()

    def _end_trial(self) -> None:
        first, last = self._records[0], self._records[-1]
        self._note(return_before=first.returns.mean(), return_after=last.returns.mean())
        self._note(std=self.policy.parameters(self.theta.detach()[None])[1].exp().mean())
        for record in self._records:
            self.normalizer.update(record.obs[record.there > 0])
        self._records, self._acted, self._tasks = [], [], None
        self.updates += 1
        self._unsaid += 1

    @torch.no_grad()
    def _batch(self, episodes: Episodes, acted: Tensor) -> Batch:
        """Return what policies (k, p) that acted learn from episodes `(k, e, steps, ...)`."""
        obs = self.normalizer(episodes.obs)
        advantage = advantages(replace(episodes, obs=obs), self.config.gamma, self.config.gae_lambda)
        obs, action = obs.flatten(1, 2), episodes.action.flatten(1, 2)
        flat = advantage.flatten(1, 2), episodes.there.flatten(1, 2)
        return Batch(obs, action, *flat, self.policy.log_prob(acted, obs, action))

    def ratio(self, theta: Tensor, batch: Batch) -> Tensor:
        """Return how much likelier policies (k, p) make the actions of a batch than they were (k, m)."""
        return (self.policy.log_prob(theta, batch.obs, batch.action) - batch.log_prob).exp()

    def inner_step(self, theta: Tensor, batch: Batch, number: int, graph: bool = False) -> Tensor:
        """Return parameters (k, p) after a step up each task's policy gradient.

        What is climbed is the mean of likelihood ratio times advantage: its gradient is that of REINFORCE,
        and its second derivatives are estimates of the expected return's, which those of the usual
        log-likelihood are not (Foerster et al. 2018; Rothfuss et al. 2019).

        Args:
            theta: Where it begins.
            batch: What to estimate the gradient from.
            number: Which step of the task it is, from 0 on.
            graph: Whether to differentiate through the step itself; if not, only through where it begins.
        """
        own = theta if theta.requires_grad else theta.detach().requires_grad_()
        gain = batch.mean(self.ratio(own, batch) * batch.advantage).sum()
        (gradient,) = torch.autograd.grad(gain, own, create_graph=graph)
        later = self.config.later_inner_lr if number else None
        return theta + (later or self.config.inner_lr) * self._moved * gradient

    def update(self) -> int:
        """Return how often the policy has changed since the last call; see above for when it does."""
        done, self._unsaid = self._unsaid, 0
        return done

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._curves[name][0] += value.item()
            self._curves[name][1] += 1

    def metrics(self) -> dict[str, float]:
        """Return the means of `curves` since the last call (NaN where there was nothing), and `updates`.

        `return_before` and `return_after` are those of the tasks in the first and the last round of a trial.
        """
        means = {name: total / count if count else math.nan for name, (total, count) in self._curves.items()}
        self._curves = {name: [0.0, 0] for name in self.curves}
        return {**means, "updates": float(self.updates)}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything: with it, learning continues bit for bit, in whichever round it is."""
        trial = {
            "recorder": self._recorder.state_dict(),
            "records": [list(vars(record).values()) for record in self._records],
            "acted": self._acted,
            "tasks": self._tasks,
        }
        counts = [self.steps, self.updates, self.inner_steps, self._unsaid]
        learner = {
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "counts": counts,
            "curves": self._curves,
        }
        return copy.deepcopy({**self.policy_state_dict(), **learner, "trial": trial})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        saved = copy.deepcopy(dict(state))
        self.load_policy_state_dict(saved)
        self._optimizer.load_state_dict(saved["optimizer"])
        self._generator.set_state(saved["generator"])
        self.steps, self.updates, self.inner_steps, self._unsaid = saved["counts"]
        self._curves = saved["curves"]
        self._recorder.load_state_dict(saved["trial"]["recorder"])
        self._records = [Episodes(*columns) for columns in saved["trial"]["records"]]
        self._acted, self._tasks = saved["trial"]["acted"], saved["trial"]["tasks"]

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the meta-policy with its observation statistics: what acting needs."""
        normalizer = {name: value.clone() for name, value in self.normalizer.state_dict().items()}
        return {"theta": self.theta.detach().clone(), "normalizer": normalizer}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        with torch.no_grad():
            self.theta.copy_(state["theta"])
        self.normalizer.load_state_dict(state["normalizer"])

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> Self:
        """Return an independent copy, by default one that would go on exactly like this agent.

        Args:
            changes: Settings that differ in the copy, for example `{"deployed": True}`.
            seed: New seed for the copy's draws; by default it shares this agent's random future.
            keep_replay: Whether the copy is in the midst of the same trial; if not, it also counts its steps
                and updates from zero, and may act in another number of worlds.
        """
        own = {key: value for key, value in (changes or {}).items() if key not in REPLAYED}
        config = type(self.config).model_validate({**self.config.model_dump(), **own})
        twin = type(self)(self.observation_space, self.action_space, config, 0, self.compute_reward)
        state = self.state_dict()
        if not keep_replay:
            state |= {key: twin.state_dict()[key] for key in ("trial", "counts")}
        twin.load_state_dict(state)
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin
