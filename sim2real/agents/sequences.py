"""A replay buffer of trials, from which sequences are drawn."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sim2real.agents.base import Transitions
from sim2real.agents.recurrent import FLAGS
from sim2real.agents.replay import ObservationLayout, Replay


class Windows(NamedTuple):
    """Sequences that are drawn for one update; time comes first.

    Attributes:
        obs: Observations `(steps, n, obs)`.
        action: Actions `(steps, n, act)` in [-1, 1].
        reward: Rewards `(steps, n)`.
        next_obs: What each action led to `(steps, n, obs)`.
        discount: What a value there counts for now `(steps, n)`: gamma, or 0 if nothing follows.
        inside: Which steps belong to the sequence `(steps, n)`: all, but after the end of its trial.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    discount: Tensor
    inside: Tensor


class TrialReplay(Replay):
    """Keeps whole trials, each of several episodes; worlds must show `recall`.

    Args:
        layout: Layout of the observations, with `recall` last.
        actions: Size of the action vector.
        worlds: Number of worlds whose transitions arrive together.
        capacity: Transitions kept in all.
        gamma: Discount of one transition.
        across: Whether a trial's episode leads to the next one, as in RL² (Duan et al. 2016, arXiv
            1611.02779): what it ended in is then the next one's beginning. If not, it ends for itself.
    """

    more: ClassVar[tuple[int, ...]] = (1, 1)
    """Whether an episode ended, and the number of transitions before it in its trial."""

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        worlds: int,
        capacity: int,
        gamma: float,
        across: bool = True,
    ) -> None:
        super().__init__(layout, actions, worlds, capacity, gamma=gamma)
        self._across = across

    def store(self, transitions: Transitions, obs: Tensor, action: Tensor) -> None:
        """Keep the usable rows of one vector step; arguments as for `Replay`."""
        rows = self._row(transitions, obs, action)
        last = self._gather(torch.arange(self.worlds), (self._count - 1).clamp_min(0))
        started = torch.from_numpy(np.asarray(transitions.started))
        fresh = obs[:, -FLAGS] > 0.5
        # After a transition that was dropped, or a reset from outside, a new sequence starts too.
        goes_on = (self._count > 0) & ~fresh & (~started | (last[:, -2] > 0.5))
        moment = torch.where(goes_on, last[:, -1] + 1.0, 0.0)
        ended = torch.from_numpy(np.asarray(transitions.terminated | transitions.truncated))
        usable = torch.from_numpy(transitions.usable)
        if self._across:
            self._lead_on((usable & started & goes_on).nonzero()[:, 0], obs)
        rows = torch.cat((rows, ended[:, None].float(), moment[:, None]), 1)
        worlds = usable.nonzero()[:, 0]
        if len(worlds):
            self._put(worlds, rows[worlds])

    def _lead_on(self, worlds: Tensor, obs: Tensor) -> None:
        """Let the last episodes of some worlds (k,) lead to what the next ones begin with."""
        slots = (self._count[worlds] - 1) % self._rows.shape[1]
        end = sum(self._widths[:4])
        self._rows[worlds, slots, end - self.layout.size : end] = obs[worlds]
        self._rows[worlds, slots, end] = 0.0

    def windows(self, n: int, length: int, generator: torch.Generator) -> Windows:
        """Draw `n` sequences of up to `length` transitions of one trial each.

        Each begins up to `length - 1` transitions before one that is drawn uniformly, or where its trial
        begins: beginnings, of which a policy knows least, are drawn more often than other places.

        Raises:
            ValueError: If nothing has been stored yet.
        """
        world, index = self._draw(n, generator)
        oldest = (self._count - self.limit).clamp_min(0)[world]
        moment = self._gather(world, index)[:, -1].long()
        back = torch.randint(length, (n,), generator=generator).minimum(moment)
        first = (index - back).maximum(oldest)
        steps = torch.arange(length)[:, None]
        newest = self._count[world] - 1
        rows = self._gather(world.expand(length, -1), (first + steps).minimum(newest))
        inside = (first + steps <= newest) & (rows[..., -1] == rows[0, :, -1] + steps)
        obs, action, reward, next_obs, terminated, _, _ = rows.split(self._widths, -1)
        discount = self._gamma * (1.0 - terminated[..., 0])
        return Windows(obs, action, reward[..., 0], next_obs, discount, inside)

    def sample(self, n: int, generator: torch.Generator) -> Any:
        """Draw single transitions: it has none to give.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a replay of trials gives sequences: ask for windows")
