"""Generalized advantages over rollouts of trials: which steps follow which, and what each was worth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rollout(NamedTuple):
    """Consecutive vector steps of n worlds; time comes first.

    Attributes:
        obs: What each world showed `(steps, n, obs)`.
        drawn: What the policy drew `(steps, n, act)`.
        log_prob: How likely that was `(steps, n)`.
        reward: `(steps, n)`.
        next_obs: What each world showed after the action `(steps, n, obs)`.
        terminated: Where the task ended `(steps, n)` bool.
        ended: Where the episode ended, by the task or the clock `(steps, n)` bool.
        started: Where it is the first step of an episode `(steps, n)` bool.
        usable: What is learned from `(steps, n)` bool.
    """

    obs: Tensor
    drawn: Tensor
    log_prob: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    ended: Tensor
    started: Tensor
    usable: Tensor


class Linked(NamedTuple):
    """What follows each step of a rollout.

    Attributes:
        obs: What is shown next `(steps, n, obs)`; where a trial goes on, its next episode's beginning.
        linked: Where the next usable step is worth something to this one `(steps, n)` bool.
        going_on: Where anything follows `(steps, n)` bool: not where the task ended for good.
    """

    obs: Tensor
    linked: Tensor
    going_on: Tensor


def link(rollout: Rollout, fresh: Tensor, across: bool) -> Linked:
    """Find out what follows each step but the last, which only tells what follows the others.

    Args:
        rollout: One step more than are learned from.
        fresh: Where a trial begins `(steps + 1, n)` bool.
        across: Whether an episode leads to the next one of its trial.
    """
    steps = len(rollout.obs) - 1
    obs = rollout.next_obs[:-1].clone()
    linked = torch.zeros_like(rollout.usable[:-1])
    known, at = rollout.usable[-1].clone(), torch.full_like(rollout.usable[-1], steps, dtype=torch.int64)
    worlds = torch.arange(rollout.usable.shape[1])
    for t in reversed(range(steps)):
        on = ~fresh[at, worlds] if across else torch.zeros_like(known)
        ended = rollout.ended[t]
        linked[t] = known & torch.where(ended, on, ~rollout.started[at, worlds])
        obs[t] = torch.where((ended & linked[t])[:, None], rollout.obs[at, worlds], obs[t])
        usable = rollout.usable[t]
        known, at = known | usable, torch.where(usable, t, at)
    return Linked(obs, linked, linked | ~rollout.terminated[:-1])


def advantages(
    rollout: Rollout, linked: Linked, values: Tensor, following: Tensor, gamma: float, lam: float
) -> Tensor:
    """Return generalized advantages `(steps, n)` (Schulman et al. 2016, arXiv 1506.02438, equation 16).

    Args:
        rollout: One step more than there are advantages.
        linked: What follows each step.
        values: Of what each world showed `(steps, n)`.
        following: Of what followed `(steps, n)`.
        gamma: Discount of one step.
        lam: Weight of each further step.
    """
    found, carried = torch.zeros_like(values), torch.zeros_like(values[0])
    for t in reversed(range(len(values))):
        error = rollout.reward[t] + gamma * linked.going_on[t] * following[t] - values[t]
        found[t] = error + gamma * lam * linked.linked[t] * carried
        carried = torch.where(rollout.usable[t], found[t], carried)
    return found
