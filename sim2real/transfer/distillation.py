"""Policy distillation (Rusu et al. 2015, arXiv 1511.06295) of Gaussian policies, driven by whom you like.

The student may drive, as in Czarnecki et al. (2019, arXiv 1902.02186), its teachers may, as in Rusu et al.,
or both in DAgger's mixture (Ross et al. 2011), which hands over from the ones to the other. Whoever drives,
the states are labelled by the teachers. The reward is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor

from sim2real.agents import Agent, Observation, RewardFn, Transitions
from sim2real.agents.base import bounded_box
from sim2real.agents.networks import Actor
from sim2real.agents.replay import ObservationLayout
from sim2real.runs import RunError
from sim2real.transfer.lessons import Lesson
from sim2real.transfer.student import Gaussian, Student, StudentConfig
from sim2real.transfer.teacher import Teacher

Load = Callable[[str], Agent]
"""Returns the trained agent of a run folder; raises RunError."""


class DistillationConfig(StudentConfig):
    """Policy distillation (Rusu et al. 2015): a student learns what the policies of other runs do."""

    teachers: tuple[Lesson, ...] = Field(
        min_length=1,
        description="Run folders of the same environment, seen from where the command is given; of n "
        "teachers number i teaches in worlds i, i + n, i + 2 n, ... For a teacher of dynamics of its own "
        "write {run: folder, at: target}.",
    )
    driver: Literal["student", "teacher", "mixed"] = Field(
        "student", description="Who acts while learning; mixed leaves the teacher a share that halves."
    )
    mix_steps: PositiveInt = Field(
        5_000, description="Environment steps after which a mixed driver's share of teacher halves."
    )
    updates_per_step: float = Field(0.25, ge=0, description="Gradient updates per environment step.")


class Distillation:
    """A student of one or several teachers; it can be trained, evaluated and adapted like any agent.

    With several teachers, world i is taught by number i modulo their number. The worlds of a teacher that is
    `at` a target are that one; those of the others are drawn from the student's source, not from what each
    teacher was trained on. Observations carry no sign of whose world it is: where the teachers disagree on a
    state the student learns the Gaussian with the mean and the variance of their mixture, which is what
    minimizes the summed KL.

    Teachers are loaded when they are first asked, and saved with the student: a training that has a
    checkpoint needs their folders no more, whether it is resumed, evaluated, adapted or is a teacher itself.
    One that has none yet does, such as that of a baseline.

    Args:
        observation_space: Space of one world's observations: a flat box or a goal dictionary.
        action_space: Bounded box of one world's actions.
        config: Settings.
        seed: Seed of the student's weights and of all later draws.
        compute_reward: The environment's goal reward, for hindsight in fine-tuning.
        load: Loads the agent of a teacher's run folder.

    Attributes:
        student: The policy in the making.
        steps: Environment steps observed.
    """

    config: DistillationConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: DistillationConfig,
        seed: int,
        compute_reward: RewardFn | None,
        load: Load,
    ) -> None:
        self.observation_space, self.action_space = observation_space, bounded_box(action_space)
        self.config, self.compute_reward, self._load = config, compute_reward, load
        self.layout = ObservationLayout.of(observation_space)
        self._generator = torch.Generator().manual_seed(seed)
        self.student = Student(self.layout.size, self.action_space, config, self._generator)
        self.learning_starts = self.steps = 0
        self._credit = Fraction(0)
        self._teachers: list[Teacher] = []

    @property
    def actor(self) -> Actor:
        """The student's policy."""
        return self.student.actor

    @property
    def teachers(self) -> list[Teacher]:
        """The teachers, loaded from their run folders unless a checkpoint held them.

        Raises:
            RunError: If one is missing, untrained, or of other spaces; it names the key and the folder.
        """
        if not self._teachers:
            self._teachers = [self._teacher(i, one.run) for i, one in enumerate(self.config.teachers)]
            self.student.adopt([teacher.normalizer for teacher in self._teachers])
        return self._teachers

    def _teacher(self, number: int, folder: str) -> Teacher:
        try:
            teacher = Teacher.of(self._load(folder))
            teacher.must_fit(self.observation_space, self.action_space)
        except (RunError, ValueError) as error:
            named = "" if folder in str(error) else f"{folder}: "
            raise RunError(f"train.agent.teachers[{number}]: {named}{error}") from None
        return teacher

    @property
    def teacher_share(self) -> float:
        """DAgger's beta: how likely the teacher acts in a world, `0.5^i` in iteration i of a mixed driver."""
        fixed = {"student": 0.0, "teacher": 1.0}
        return fixed.get(self.config.driver, 0.5 ** (self.steps // self.config.mix_steps))

    def _labels(self, obs: Tensor) -> Gaussian:
        """Return what the teacher of each world would do at raw observations `(worlds, obs)`."""
        teachers = self.teachers
        mean = obs.new_empty(len(obs), self.action_space.shape[0])
        label = Gaussian(mean, torch.empty_like(mean))
        for number, teacher in enumerate(teachers):
            own = slice(number, None, len(teachers))
            label.mean[own], label.log_std[own] = teacher.label(obs[own])
        return label

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions `(n, act)`, in the action bounds.

        Args:
            obs: Observations `(n, obs)` or a goal dictionary.
            deterministic: Take tanh of the student's mean. If not, the driver's sample is taken.
        """
        raw = self.layout.flatten(obs)
        if deterministic:
            return self.actor(raw).numpy()
        mean, log_std = self.student.gaussian(raw)
        if self.teacher_share > 0:
            led = torch.rand(len(raw), 1, generator=self._generator) < self.teacher_share
            label = self._labels(raw)
            mean, log_std = torch.where(led, label.mean, mean), torch.where(led, label.log_std, log_std)
        noise = torch.empty_like(mean).normal_(generator=self._generator)
        return self.actor.to_bounds(torch.tanh(mean + log_std.exp() * noise)).numpy()

    def decide(self, raw: Tensor) -> Tensor:
        """Return the student's best actions `(n, act)` in tensors alone; see `OffPolicy.decide`."""
        return self.actor(raw)

    def observe(self, transitions: Transitions) -> None:
        """Label the states of one vector step, keep them, and let updates fall due."""
        obs = self.layout.flatten(transitions.obs)
        usable, label = torch.from_numpy(transitions.usable), self._labels(obs)
        self.student.memory.store(obs[usable], Gaussian(label.mean[usable], label.log_std[usable]))
        self.actor.normalizer.update(obs[usable])
        taken = int(transitions.valid.sum())
        self.steps += taken
        self._credit += taken * Fraction(str(self.config.updates_per_step))

    def update(self) -> int:
        """Do the supervised updates that are due, as soon as there is a labelled state."""
        if len(self.student.memory) == 0:
            return 0
        due = int(self._credit)
        self._credit -= due
        for _ in range(due):
            self.student.learn()
        return due

    def metrics(self) -> dict[str, float]:
        """Return the student's curves since the last call, and the `teacher_share` now."""
        return {**self.student.metrics(), "teacher_share": self.teacher_share}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything, teachers included: with it, learning continues bit for bit."""
        return {
            "student": self.student.state_dict(),
            "teachers": [teacher.state_dict() for teacher in self.teachers],
            "generator": self._generator.get_state(),
            "steps": self.steps,
            "credit": list(self._credit.as_integer_ratio()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        spaces_ = self.observation_space, self.action_space, self.compute_reward
        self._teachers = [Teacher.from_state(teacher, *spaces_) for teacher in state["teachers"]]
        self.student.load_state_dict(state["student"])
        self._generator.set_state(state["generator"])
        self.steps, self._credit = state["steps"], Fraction(*state["credit"])

    def policy_state_dict(self) -> dict[str, Any]:
        """Return a copy of the student with its observation statistics: what acting needs."""
        return {"actor": {name: value.clone() for name, value in self.actor.state_dict().items()}}

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        self.actor.load_state_dict(state["actor"])

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> Agent:
        """Return an independent copy, or with `changes` an agent that learns from reward.

        A target has no teacher. What adapts there is the first teacher's own learner (SAC, say, with its
        critics and temperature) whose policy is the student; see `Teacher.finetuner`.

        Args:
            changes: Settings of that learner, for example `{"trainable": "last_layer"}`. Without any, the
                copy is a student that would go on exactly like this one.
            seed: New seed for the copy's draws.
            keep_replay: Whether a student's copy remembers its labelled states; if not, it also counts its
                steps from zero. A learner from reward starts with nothing to remember.
        """
        if changes:
            return self.teachers[0].finetuner(self.actor).clone(changes, seed, keep_replay=False)
        spaces_ = self.observation_space, self.action_space
        twin = type(self)(*spaces_, self.config, 0, self.compute_reward, self._load)
        empty = twin.student.memory.state_dict()
        twin.load_state_dict(self.state_dict())
        if not keep_replay:
            twin.student.memory.load_state_dict(empty)
            twin.steps, twin._credit = 0, Fraction(0)
        if seed is not None:
            twin._generator.manual_seed(seed)
        return twin
