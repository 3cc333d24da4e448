"""A student: a Gaussian policy of any width, fitted by supervision to what a teacher would have done.

A teacher labels a state with its whole Gaussian before the tanh, so a state needs to be asked about once, and
each of the losses of Rusu et al. (2015, arXiv 1511.06295, section 3) has its counterpart in closed form.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from gymnasium import spaces
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from sim2real.agents.networks import Actor, Normalizer
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.sac_config import Widths

_CHUNK = 8192
"""States that a teacher labels at a time."""


class StudentConfig(BaseModel):
    """What every student has: keys of a spec's `train.agent` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Widths = Field((64, 64), description="Widths of the student's hidden layers.")
    loss: Literal["kl", "nll", "mse"] = Field(
        "kl",
        description="KL of the teacher's Gaussian from the student's, likelihood of the teacher's mean, or "
        "squared error of the means, which leaves the student's deviation as it was initialized.",
    )
    temperature: float = Field(
        1.0, gt=0, description="Temper the teacher for kl: below 1 sharper, its variance is multiplied by it."
    )
    lr: float = Field(1e-3, gt=0, description="Adam step size.")
    batch_size: PositiveInt = Field(256, description="States drawn for one update.")
    capacity: PositiveInt = Field(100_000, description="Labelled states kept, the newest ones.")


class Gaussian(NamedTuple):
    """Diagonal Gaussians before the tanh.

    Attributes:
        mean: Means `(n, act)`.
        log_std: Logarithms of the standard deviations `(n, act)`.
    """

    mean: Tensor
    log_std: Tensor

    def tempered(self, temperature: float) -> Gaussian:
        """Return the Gaussians whose density is this one's to the power `1 / temperature`."""
        return Gaussian(self.mean, self.log_std + 0.5 * math.log(temperature))


def gaussian_kl(teacher: Gaussian, student: Gaussian) -> Tensor:
    """Return KL(teacher || student) `(n,)` [nat]; the tanh, which is common to both, does not change it."""
    ratio = (2.0 * (teacher.log_std - student.log_std)).exp()
    distance = ((teacher.mean - student.mean) / student.log_std.exp()).square()
    return (student.log_std - teacher.log_std + 0.5 * (ratio + distance - 1.0)).sum(-1)


def gaussian_nll(teacher: Gaussian, student: Gaussian) -> Tensor:
    """Return minus the log-density `(n,)` of the teacher's mean under the student."""
    distance = ((teacher.mean - student.mean) / student.log_std.exp()).square()
    return (0.5 * distance + student.log_std + 0.5 * math.log(2.0 * math.pi)).sum(-1)


def squared_error(teacher: Gaussian, student: Gaussian) -> Tensor:
    """Return the squared distance `(n,)` of the means."""
    return (teacher.mean - student.mean).square().sum(-1)


LOSSES: dict[str, Callable[[Gaussian, Gaussian], Tensor]] = {
    "kl": gaussian_kl,
    "nll": gaussian_nll,
    "mse": squared_error,
}
"""Losses `(n,)` of a teacher's and a student's Gaussians, by their names in a spec."""


class Memory:
    """A ring of states with their labels, in one float32 tensor that grows up to its capacity.

    Args:
        features: Size of an observation.
        actions: Size of an action.
        capacity: States kept.
    """

    def __init__(self, features: int, actions: int, capacity: int) -> None:
        self.capacity, self.count = capacity, 0
        self._widths = [features, actions, actions]
        self._rows = torch.zeros(0, sum(self._widths))

    def __len__(self) -> int:
        return min(self.count, self.capacity)

    def store(self, obs: Tensor, label: Gaussian) -> None:
        """Keep raw observations `(n, obs)` with their labels, in place of the oldest if there is no room."""
        rows = torch.cat((obs, *label), -1)
        wanted = min(self.count + len(rows), self.capacity)
        if wanted > len(self._rows):
            room = min(self.capacity, max(2 * len(self._rows), wanted))
            self._rows = torch.cat((self._rows, torch.zeros(room - len(self._rows), rows.shape[1])))
        dropped = max(0, len(rows) - self.capacity)
        slots = torch.arange(self.count + dropped, self.count + len(rows)) % self.capacity
        self._rows[slots] = rows[dropped:]
        self.count += len(rows)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Gaussian]:
        """Draw `n` states uniformly, with replacement: observations `(n, obs)` and labels."""
        index = torch.randint(len(self), (n,), generator=generator)
        obs, mean, log_std = self._rows[index].split(self._widths, -1)
        return obs, Gaussian(mean, log_std)

    def relabel(self, teacher: Callable[[Tensor], Gaussian]) -> None:
        """Replace every label by another teacher's."""
        features = self._widths[0]
        for rows in self._rows[: len(self)].split(_CHUNK):
            rows[:, features:] = torch.cat(teacher(rows[:, :features]), -1)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the filled part of the ring."""
        return {"rows": self._rows[: len(self)].clone(), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from a ring of the same size."""
        self._rows, self.count = state["rows"].clone(), state["count"]


class Student:
    """A policy and what it learns from.

    Args:
        features: Size of an observation.
        action_space: Bounded box of one world's actions.
        config: How it learns.
        generator: Source of its initial weights and of all later draws.

    Attributes:
        actor: The policy, with observation statistics of its own.
        memory: Labelled states.
        updates: Gradient steps done.
    """

    def __init__(
        self, features: int, action_space: spaces.Box, config: StudentConfig, generator: torch.Generator
    ) -> None:
        low, high = (torch.from_numpy(bound) for bound in (action_space.low, action_space.high))
        self.config, self._generator = config, generator
        self.actor = Actor(features, low, high, config.hidden, generator, Normalizer(features))
        self.memory = Memory(features, len(low), config.capacity)
        self.updates = 0
        self._optimizer = FlatAdam(self.actor.parameters(), config.lr)
        self._sums = [0.0, 0.0, 0]

    def gaussian(self, obs: Tensor) -> Gaussian:
        """Return the policy's Gaussians for raw observations `(n, obs)`."""
        return Gaussian(*self.actor.gaussian(self.actor.normalizer(obs)))

    @torch.no_grad()
    def adopt(self, statistics: Sequence[Normalizer]) -> None:
        """Start from the observation statistics of teachers, pooled, instead of from nothing.

        The inputs then hardly move while the student learns, and keep the scale on which its teachers'
        critics were trained. Statistics of teachers that gather none are left out.
        """
        total = torch.stack([one.count for one in statistics]).sum()
        if total == 0:
            return
        own, parts = self.actor.normalizer, [(one.count / total, one) for one in statistics]
        own.count.copy_(total)
        own.mean.copy_(torch.stack([share * one.mean for share, one in parts]).sum(0))
        spread = [share * (one.var + (one.mean - own.mean).square()) for share, one in parts]
        own.var.copy_(torch.stack(spread).sum(0))

    def learn(self) -> None:
        """Do one step down the loss on a batch of labelled states."""
        obs, label = self.memory.sample(self.config.batch_size, self._generator)
        own = self.gaussian(obs)
        tempered = label.tempered(self.config.temperature)
        loss = LOSSES[self.config.loss](tempered, own).mean()
        self._optimizer.descend(loss)
        self.updates += 1
        with torch.no_grad():
            told = (loss.item(), gaussian_kl(label, own).mean().item(), 1)
        self._sums = [total + one for total, one in zip(self._sums, told, strict=True)]

    def metrics(self) -> dict[str, float]:
        """Return the curves since the last call (NaN where there was no update), and forget them.

        Returns:
            `distill_loss`, `kl` (of the student from the untempered labels [nat]) and `distill_updates`.
        """
        loss, kl, count = self._sums
        self._sums = [0.0, 0.0, 0]
        means = (loss / count, kl / count) if count else (math.nan, math.nan)
        return {"distill_loss": means[0], "kl": means[1], "distill_updates": float(self.updates)}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything but the generator, which is the owner's."""
        learner = {"actor": self.actor.state_dict(), "optimizer": self._optimizer.state_dict()}
        books = {"updates": self.updates, "sums": list(self._sums)}
        return {**copy.deepcopy(learner), **books, "memory": self.memory.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.actor.load_state_dict(state["actor"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.memory.load_state_dict(state["memory"])
        self.updates, self._sums = state["updates"], list(state["sums"])
