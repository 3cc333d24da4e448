"""Online distillation (Rusu et al. 2015, section 4): a student follows the best policy of a run in progress.

A policy in training rises and falls; its best moments are kept by distilling them into another network.
Whether a moment is one, validation says (`train.validate_on`), and so it does of what was distilled: what is
evaluated does not fall when the learner does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, ValidationError, model_validator
from torch import Tensor

from sim2real.agents import AGENTS, Agent, Observation, RewardFn, Transitions, make_agent
from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.base import bounded_box
from sim2real.agents.networks import Actor
from sim2real.agents.replay import ObservationLayout
from sim2real.transfer.student import Gaussian, Student, StudentConfig
from sim2real.transfer.teacher import Teacher


class OnlineDistillationConfig(StudentConfig):
    """Online distillation (Rusu et al. 2015): a learner trains, and a student keeps its best policy."""

    learner: str = Field("fast_sac", description="Algorithm of the learner: one with a Gaussian policy.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The learner's own settings.")
    updates: PositiveInt = Field(2_000, description="Gradient updates of each distillation.")

    @model_validator(mode="after")
    def _settings_are_the_learners(self) -> Self:
        able = [name for name, entry in AGENTS.items() if issubclass(entry.agent, ActorCritic)]
        if self.learner not in able:
            raise ValueError(f"learner must be one of {', '.join(able)}, given {self.learner!r}")
        try:
            AGENTS[self.learner].config.model_validate(self.settings)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(f"settings of {self.learner}: {'; '.join(wrong)}") from None
        return self


class OnlineDistillation:
    """A learner with a student: exploration is the learner's, deterministic acting the student's.

    When the learner scores higher in validation than the student, a snapshot of it is distilled into the
    student, on the states that it visited last. If the student then scores lower than before, it stays as it
    was. Before the first distillation it knows nothing.

    Args:
        observation_space: Space of one world's observations: a flat box or a goal dictionary.
        action_space: Bounded box of one world's actions.
        config: Settings.
        seed: Seed of both networks' weights and draws.
        compute_reward: The environment's goal reward, for hindsight.

    Attributes:
        learner: The agent in training.
        student: The policy that is evaluated.
        best: The snapshot that the student has learned from, if any.
        best_return: The student's score since then, or minus infinity.
    """

    config: OnlineDistillationConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: OnlineDistillationConfig,
        seed: int,
        compute_reward: RewardFn | None = None,
    ) -> None:
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.config, self.compute_reward = config, compute_reward
        self.layout = ObservationLayout.of(observation_space)
        named = config.learner, observation_space, action_space, config.settings
        self.learner = make_agent(*named, seed, compute_reward)
        self._generator = torch.Generator().manual_seed(seed)
        self.student = Student(self.layout.size, self.action_space, config, self._generator)
        self.best: Teacher | None = None
        self.best_return = -math.inf

    @property
    def actor(self) -> Actor:
        """The student's policy."""
        return self.student.actor

    @property
    def learning_starts(self) -> int:
        """Environment steps that are taken with uniformly random actions before learning."""
        return self.learner.learning_starts

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions `(n, act)`: the student's if deterministic, else samples of the learner's."""
        if deterministic:
            return self.actor(self.layout.flatten(obs)).numpy()
        return self.learner.act(obs)

    def decide(self, raw: Tensor) -> Tensor:
        """Return the student's best actions `(n, act)` in tensors alone; see `OffPolicy.decide`."""
        return self.actor(raw)

    def observe(self, transitions: Transitions) -> None:
        """Take in one vector step of experience."""
        self.learner.observe(transitions)
        obs = self.layout.flatten(transitions.obs)[torch.from_numpy(transitions.usable)]
        blank = torch.zeros(len(obs), self.action_space.shape[0])
        self.student.memory.store(obs, Gaussian(blank, blank))

    def update(self) -> int:
        """Do the learner's updates that are due."""
        return self.learner.update()

    def validate(self, score: Callable[[Agent], float]) -> None:
        """Distil the learner if it scores higher than the student, and keep the student that scores highest.

        Args:
            score: Returns the mean return of an agent's deterministic policy.
        """
        if len(self.student.memory) == 0 or score(self.learner) <= self.best_return:
            return
        before, snapshot = self.student.state_dict(), Teacher.of(self.learner)
        self._distil(snapshot)
        found = score(self)
        if found > self.best_return:
            self.best, self.best_return = snapshot, found
        else:
            self.student.load_state_dict(before)

    def _distil(self, snapshot: Teacher) -> None:
        """Fit the student to a snapshot, on its observation statistics."""
        self.student.memory.relabel(snapshot.label)
        self.student.adopt([snapshot.normalizer])
        for _ in range(self.config.updates):
            self.student.learn()

    def metrics(self) -> dict[str, float]:
        """Return the curves of learner and student since the last call, and the student's score."""
        best = self.best_return if self.best is not None else math.nan
        return {**self.learner.metrics(), **self.student.metrics(), "best_return": best}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything: with it, learning continues bit for bit."""
        return {
            "learner": self.learner.state_dict(),
            "student": self.student.state_dict(),
            "best": None if self.best is None else self.best.state_dict(),
            "best_return": self.best_return,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        self.learner.load_state_dict(state["learner"])
        self.student.load_state_dict(state["student"])
        spaces_ = self.observation_space, self.action_space, self.compute_reward
        self.best = None if state["best"] is None else Teacher.from_state(state["best"], *spaces_)
        self._generator.set_state(state["generator"])
        self.best_return = state["best_return"]

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the student with its observation statistics, and of the learner's policy."""
        own = {name: value.clone() for name, value in self.actor.state_dict().items()}
        return {"actor": own, "learner": self.learner.policy_state_dict()}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        self.actor.load_state_dict(state["actor"])
        self.learner.load_policy_state_dict(state["learner"])

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> Agent:
        """Return an independent copy, or with `changes` an agent that learns from reward.

        What adapts to a target is the learner as it was at its best, with the student for its policy; see
        `Teacher.finetuner`.

        Args:
            changes: Settings of the learner, for example `{"trainable": "last_layer"}`. Without any, the copy
                would go on exactly like this one.
            seed: New seed for the copy's draws.
            keep_replay: Whether a copy remembers what this agent has experienced.
        """
        if changes:
            best = self.best or Teacher.of(self.learner)
            return best.finetuner(self.actor).clone(changes, seed, keep_replay=False)
        spaces_ = self.observation_space, self.action_space
        twin = type(self)(*spaces_, self.config, 0, self.compute_reward)
        empty = twin.student.memory.state_dict()
        twin.load_state_dict(self.state_dict())
        if not keep_replay:
            twin.student.memory.load_state_dict(empty)
        twin.learner = self.learner.clone(None, seed, keep_replay)
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin
