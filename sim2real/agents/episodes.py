"""Whole episodes, for learners that learn from what their present policy did: their record and advantages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sim2real.agents.base import Transitions

RIDGE = 1e-5
"""Weight of the squared coefficients in the fit of a baseline, for each row."""


@dataclass(frozen=True)
class Episodes:
    """Episodes side by side, the shorter ones filled up.

    Attributes:
        obs: Observations `(..., steps, obs)`.
        action: Actions `(..., steps, act)` in [-1, 1].
        reward: Rewards `(..., steps)`; 0 where there is nothing.
        there: 1 where there is a transition to learn from, else 0: `(..., steps)`.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    there: Tensor

    def of_tasks(self, tasks: int) -> Episodes:
        """Return `(tasks, episodes of each, steps, ...)` of `(episodes, steps, ...)`, in their order."""
        return Episodes(*(column.unflatten(0, (tasks, -1)) for column in vars(self).values()))

    @property
    def returns(self) -> Tensor:
        """Undiscounted returns `(...)`."""
        return self.reward.sum(-1)


def joined(parts: list[Episodes]) -> Episodes:
    """Return all episodes `(episodes, steps, ...)` of several records, filled up to the longest."""
    steps = max(part.reward.shape[1] for part in parts)

    def filled(column: Tensor) -> Tensor:
        missing = column.new_zeros(len(column), steps - column.shape[1], *column.shape[2:])
        return torch.cat((column, missing), 1)

    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Episodes(*(torch.cat([filled(one) for one in column]) for column in columns))


class Recorder:
    """Records one episode of each of n worlds, which begin their episodes together."""

    def __init__(self) -> None:
        self._rows: list[tuple[Tensor, ...]] = []
        self._over = torch.zeros(0, dtype=torch.bool)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def complete(self) -> bool:
        """Whether the episode of every world is over."""
        return len(self) > 0 and bool(self._over.all())

    def add(self, transitions: Transitions, obs: Tensor, action: Tensor) -> None:
        """Record one vector step.

        Args:
            transitions: The step.
            obs: Its flattened observations `(n, obs)`.
            action: Its actions `(n, act)` in [-1, 1].

        Raises:
            ValueError: If a world is in its next episode already.
        """
        valid, usable, ended = (
            torch.from_numpy(flags)
            for flags in (
                transitions.valid, transitions.usable, transitions.terminated | transitions.truncated
            )
        )  # fmt: skip
        if not self._rows:
            self._over = torch.zeros(len(obs), dtype=torch.bool)
        if (self._over & valid).any():
            raise ValueError(
                "This learner learns from an episode of every world at a time, which begin together: "
                "make_worlds(..., wants=Wants(in_step=True))"
            )
        reward = torch.from_numpy(transitions.reward).float() * usable
        self._rows.append((obs, action, reward, usable.float()))
        self._over = self._over | ended

    def take(self) -> Episodes:
        """Return the episodes `(n, steps, ...)`, and begin anew."""
        columns = (torch.stack(column, 1) for column in zip(*self._rows, strict=True))
        self._rows = []
        return Episodes(*columns)

    def state_dict(self) -> dict[str, Any]:
        """Return what is recorded so far."""
        return {"rows": [list(row) for row in self._rows], "over": self._over.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._rows = [tuple(row) for row in state["rows"]]
        self._over = state["over"].clone()


class Batch(NamedTuple):
    """What a policy gradient is estimated from, for each of k tasks.

    Attributes:
        obs: Normalized observations `(k, m, obs)`.
        action: Actions `(k, m, act)` in [-1, 1].
        advantage: How much better each was than what was to be expected `(k, m)`.
        weight: 1 where there is a transition, else 0: `(k, m)`.
        log_prob: Log-probabilities of the actions under the policy that took them `(k, m)`.
    """

    obs: Tensor
    action: Tensor
    advantage: Tensor
    weight: Tensor
    log_prob: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `(k, m)` over each task's transitions `(k,)`."""
        return (self.weight * values).sum(-1) / self.weight.sum(-1).clamp_min(1.0)


def advantages(episodes: Episodes, gamma: float, gae_lambda: float) -> Tensor:
    """Return advantages `(k, e, steps)` of episodes `(k, e, steps, ...)`, standardized in each task.

    Generalized advantage estimation (Schulman et al. 2016) on a baseline that is linear in features of
    observation and time (Duan et al. 2016), fitted to each task's own returns. Episodes are finite: nothing
    is to be had after the last step, for whatever reason it was the last.
    """
    value = fitted(features(episodes), returns_to_go(episodes, gamma), episodes.there) * episodes.there
    after = torch.cat((value[..., 1:], torch.zeros_like(value[..., :1])), -1)
    error = (episodes.reward + gamma * after - value) * episodes.there
    found = backwards(error, gamma * gae_lambda) * episodes.there
    count = episodes.there.sum((-2, -1), keepdim=True).clamp_min(1.0)
    centred = (found - found.sum((-2, -1), keepdim=True) / count) * episodes.there
    spread = (centred.square().sum((-2, -1), keepdim=True) / count).sqrt()
    return centred / spread.clamp_min(1e-8)


def returns_to_go(episodes: Episodes, gamma: float) -> Tensor:
    """Return the discounted sums of each step's reward and those after it `(..., steps)`."""
    return backwards(episodes.reward, gamma)


def backwards(values: Tensor, discount: float) -> Tensor:
    """Return the discounted sums of values `(..., steps)` from each step on."""
    total, sums = torch.zeros_like(values[..., 0]), []
    for value in reversed(values.unbind(-1)):
        total = value + discount * total
        sums.append(total)
    return torch.stack(sums[::-1], -1)


def features(episodes: Episodes) -> Tensor:
    """Return what the baseline is linear in `(..., steps, 2 obs + 4)`: observation, its square, time, 1."""
    obs = episodes.obs.clamp(-10.0, 10.0)
    time = torch.arange(obs.shape[-2], dtype=obs.dtype) / 100.0
    powers = torch.stack((torch.ones_like(time), time, time**2, time**3), -1)
    return torch.cat((obs, obs.square(), powers.expand(*obs.shape[:-1], 4)), -1)


def fitted(inputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return the ridge regression of targets `(k, e, steps)` on inputs, in each of k tasks."""
    x, y = inputs.flatten(1, 2).double(), targets.flatten(1, 2).double()
    w = weight.flatten(1, 2).double()[..., None]
    gram = x.mT @ (w * x)
    ridge = RIDGE * w.sum(1, keepdim=True).clamp_min(1.0) * torch.eye(x.shape[-1], dtype=x.dtype)
    coefficients = torch.linalg.solve(gram + ridge, x.mT @ (w * y[..., None]))
    return (x @ coefficients).float().view_as(targets)
