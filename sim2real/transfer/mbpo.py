"""MBPO (Janner et al. 2019, arXiv 1906.08253): soft actor-critic that learns from short imagined rollouts.

Rollouts of a learned model branch off from states of the replay, so that they are too short for the model's
errors to pile up. What differs from the paper: rollouts do not grow longer in the course of training, all
networks of the ensemble take part in them, and the model learns a little at a time, all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents.base import Transitions
from sim2real.agents.dynamics import Dynamics, unit_of
from sim2real.agents.model_config import ModelConfig
from sim2real.agents.networks import Normalizer
from sim2real.agents.off_policy import DRAWN
from sim2real.agents.optimizer import FlatAdam
from sim2real.agents.replay import Batch, Replay
from sim2real.agents.sac import SAC
from sim2real.agents.sac_config import SACConfig, Widths
from sim2real.agents.trainable import trained


class MBPOConfig(ModelConfig, SACConfig):
    """Soft actor-critic on short rollouts of a model it has learned (Janner et al. 2019)."""

    model_hidden: Widths = Field((128, 128), description="Widths of each network's hidden layers.")
    model_batch: PositiveInt = Field(128, description="Transitions that each network sees in one update.")
    model_updates: float = Field(1.0, ge=0, description="Updates of the model per environment step.")
    rollout_length: PositiveInt = Field(1, description="Imagined steps of a rollout.")
    rollout_every: PositiveInt = Field(250, description="Environment steps between two times of imagining.")
    rollouts: PositiveInt = Field(5_000, description="Rollouts at a time.")
    imagined_capacity: PositiveInt = Field(100_000, description="Imagined transitions that are kept.")
    real_ratio: float = Field(0.05, ge=0, le=1, description="Share of a batch that really happened.")
    updates_per_step: float = Field(
        4.0, ge=0, description="Gradient updates per environment step; N worlds take N of them."
    )
    n_step: PositiveInt = Field(1, le=1, description="Always 1: a model says what one step does.")
    fast_matmul: bool = Field(False, description="Whether updates multiply matrices through oneDNN.")


class MBPO(SAC):
    """Soft actor-critic with a model of the dynamics; arguments and use as in `ActorCritic`.

    Attributes:
        dynamics: The model.
        imagined: What was imagined with it; None before the first time.
    """

    config: Any
    curves: ClassVar[tuple[str, ...]] = (*SAC.curves, "model_loss", "model_error")

    def _make_networks(self) -> dict[str, nn.Module]:
        config, actions = self.config, self.action_space.shape[0]
        sizes = self.layout.size, actions, 0, config.model_hidden, config.members
        networks = super()._make_networks()
        scale = Normalizer(self.layout.size + 1, frozen=self.partial)
        self.dynamics = Dynamics(*sizes, self._generator, scale)
        self._ready("model", self.dynamics)
        self.imagined: Ring | None = None
        self._model_credit, self._since = Fraction(0), 0
        return {**networks, "model": self.dynamics}

    def _make_optimizers(self) -> dict[str, FlatAdam]:
        model = FlatAdam(trained(self.dynamics), self.config.model_lr)
        return {**super()._make_optimizers(), "model": model}

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step, and let updates of the model and imagining fall due."""
        before = self.steps
        super().observe(transitions)
        change = self.layout.flatten(transitions.next_obs) - self.layout.flatten(transitions.obs)
        reward = torch.as_tensor(transitions.reward, dtype=torch.float32)[:, None]
        usable = torch.from_numpy(transitions.usable)
        self.dynamics.scale.update(torch.cat((change, reward), 1)[usable])
        # The model earns from the first step on: what is imagined first comes of all of the warm-up.
        self._model_credit += (self.steps - before) * Fraction(str(self.config.model_updates))
        self._since += max(0, self.steps - max(before, self.learning_starts))

    def update(self) -> int:
        """Do the updates of the model that are due, imagine if it is time, and learn from both worlds."""
        if self.replay is None or len(self.replay) == 0 or self.steps < self.learning_starts:
            return 0
        due = int(self._model_credit)
        self._model_credit -= due
        for _ in range(due):
            self._update_model(self.replay)
        if self._since >= self.config.rollout_every or (self._since and self.imagined is None):
            self._since = 0
            self._imagine(self.replay)
        return super().update() if self.imagined is not None else 0

    def _update_model(self, replay: Replay) -> None:
        members = self.config.members
        batch = self._normalized(replay.sample(members * self.config.model_batch, self._generator))
        inputs = torch.cat((batch.obs, batch.action), 1)
        change = (batch.next_obs - batch.obs) * unit_of(self.actor.normalizer)
        truth, ended = torch.cat((change, batch.reward[:, None]), 1), (batch.discount == 0).float()
        loss, error = self.dynamics.loss(*(x.unflatten(0, (members, -1)) for x in (inputs, truth, ended)))
        self._optimizers["model"].descend(loss)
        self._note(model_loss=loss, model_error=error)

    def _normalized(self, batch: Batch) -> Batch:
        normalizer = self.actor.normalizer
        return batch._replace(obs=normalizer(batch.obs), next_obs=normalizer(batch.next_obs))

    @torch.no_grad()
    def _imagine(self, replay: Replay) -> None:
        """Take short rollouts from states of the replay, each step with a network drawn at random."""
        config, unit = self.config, unit_of(self.actor.normalizer)
        state = self.actor.normalizer(replay.sample(config.rollouts, self._generator).obs)
        if self.imagined is None:
            self.imagined = Ring(config.imagined_capacity, self._width)
        for _ in range(config.rollout_length):
            action = self.actor.sample(state, self._generator)[0]
            noise = torch.randn(len(state), self.dynamics.obs + 1, generator=self._generator)
            inputs = torch.cat((state, action), 1).expand(config.members, -1, -1)
            step = self.dynamics.imagine(inputs, unit, noise)
            who = torch.randint(config.members, (len(state),), generator=self._generator)
            after, reward, survival = (part[who, torch.arange(len(state))] for part in step)
            goes_on = torch.rand(survival.shape, generator=self._generator) < survival
            discount = config.gamma * goes_on
            # The normalizer moves on: what is kept is raw.
            raw = [self.actor.normalizer.invert(one) for one in (state, after)]
            columns = raw[0], action, reward[:, None], raw[1], discount[:, None]
            self.imagined.put(torch.cat(columns, 1))
            state = after[goes_on]

    @property
    def _widths(self) -> list[int]:
        return [self.layout.size, self.action_space.shape[0], 1, self.layout.size, 1]

    @property
    def _width(self) -> int:
        return sum(self._widths)

    def _batches(self, replay: Replay, count: int) -> Iterator[Batch]:
        """Draw batches, with normalized observations, a few of each from what really happened."""
        assert self.imagined is not None
        size = self.config.batch_size
        real = round(size * self.config.real_ratio)
        for first in range(0, count, DRAWN):
            n = min(DRAWN, count - first)
            dreamt = self._read(self.imagined.sample(n * (size - real), self._generator))
            parts = [dreamt.split(size - real)] if real < size else []
            if real:
                parts.append(replay.sample(n * real, self._generator).split(real))
            for drawn in zip(*parts, strict=True):
                yield self._normalized(Batch(*(torch.cat(column) for column in zip(*drawn, strict=True))))

    def _read(self, rows: Tensor) -> Batch:
        obs, action, reward, next_obs, discount = rows.split(self._widths, 1)
        return Batch(obs, action, reward[:, 0], next_obs, discount[:, 0])

    def _learner_state(self) -> dict[str, Any]:
        credit = list(self._model_credit.as_integer_ratio())
        return {**super()._learner_state(), "model_credit": credit, "since": self._since}

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything: with it, learning continues bit for bit."""
        imagined = None if self.imagined is None else self.imagined.state_dict()
        return {**super().state_dict(), "imagined": imagined}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        super().load_state_dict(state)
        self._model_credit, self._since = Fraction(*state["model_credit"]), state["since"]
        self.imagined = None
        if state.get("imagined") is not None:  # a copy that begins with an empty replay has none
            self.imagined = Ring(self.config.imagined_capacity, self._width)
            self.imagined.load_state_dict(state["imagined"])


class Ring:
    """The newest rows that were put in.

    Args:
        capacity: Rows that are kept.
        width: Columns.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self._rows, self._count = torch.zeros(capacity, width), 0

    def put(self, rows: Tensor) -> None:
        """Keep rows `(n, width)` in place of the oldest."""
        places = (self._count + torch.arange(len(rows))) % len(self._rows)
        self._rows[places] = rows
        self._count += len(rows)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw `n` rows uniformly, with replacement."""
        return self._rows[torch.randint(min(self._count, len(self._rows)), (n,), generator=generator)]

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part."""
        return {"rows": self._rows[: self._count].clone(), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from a ring of the same size."""
        self._rows[: len(state["rows"])] = state["rows"]
        self._count = state["count"]
