"""A replay buffer for many worlds, with hindsight goals chosen when a batch is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from sim2real.agents.base import GOAL_KEYS, Observation, RewardFn, Transitions

FIRST_ALLOCATION = 1024
"""Transitions that room is made for at first; the room doubles when it is full."""


@dataclass(frozen=True)
class ObservationLayout:
    """How one world's observation becomes a flat vector.

    Attributes:
        size: Length of the vector.
        goal: Length of a goal, or 0 for a plain box.
    """

    size: int
    goal: int

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> ObservationLayout:
        """Read the layout from the space of one world's observations.

        Raises:
            ValueError: If the space is neither a flat box nor a dictionary of the three goal keys.
        """
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return cls(space.shape[0], 0)
        if not isinstance(space, spaces.Dict) or set(space.spaces) != set(GOAL_KEYS):
            raise ValueError(
                "The observation space must be a flat Box, or a Dict of "
                f"{', '.join(GOAL_KEYS)}, but it is {space}."
            )
        shapes = [space[key].shape for key in GOAL_KEYS]
        if any(shape is None or len(shape) != 1 for shape in shapes) or shapes[1] != shapes[2]:
            raise ValueError(
                "A goal observation needs three flat boxes with achieved and desired goals of "
                f"equal length, but their shapes are {shapes}."
            )
        lengths = [shape[0] for shape in shapes if shape is not None]
        return cls(sum(lengths), lengths[1])

    def flatten(self, obs: Observation) -> Tensor:
        """Return observations as a float32 tensor `(n, size)`: observation, achieved, desired."""
        if isinstance(obs, dict):
            obs = np.concatenate([obs[key] for key in GOAL_KEYS], axis=-1)
        return torch.as_tensor(np.asarray(obs, np.float32))

    @property
    def achieved(self) -> slice:
        """Columns of the achieved goal."""
        return slice(self.size - 2 * self.goal, self.size - self.goal)

    @property
    def desired(self) -> slice:
        """Columns of the desired goal."""
        return slice(self.size - self.goal, self.size)


class Batch(NamedTuple):
    """Transitions drawn for one update: `(n, obs)`, `(n, act)`, `(n,)`, `(n, obs)`, `(n,)`.

    Actions are in [-1, 1]; `terminated` is 1.0 or 0.0.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor


class Replay:
    """One ring of transitions per world, in one float32 tensor `(worlds, slots, columns)`.

    Keeping the worlds apart makes an episode contiguous, so that "a later moment of the same
    episode" is arithmetic on indices. An index that counts every transition a world ever stored
    names a transition for ever; its slot is the index modulo the ring's length.

    Args:
        layout: Layout of the observations.
        actions: Size of the action vector.
        worlds: Number of worlds whose transitions arrive together.
        capacity: Transitions kept in all, shared equally among the worlds.
        compute_reward: Reward of reaching one goal while wanting another; needed for hindsight.
        her_k: Hindsight goals per original goal (Andrychowicz et al. 2017); 0 turns it off.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        worlds: int,
        capacity: int,
        compute_reward: RewardFn | None = None,
        her_k: int = 0,
    ) -> None:
        if her_k and (layout.goal == 0 or compute_reward is None):
            raise ValueError("Hindsight needs goal observations and the env's compute_reward.")
        self.layout, self.worlds = layout, worlds
        self.limit = max(1, capacity // worlds)
        self._widths = [layout.size, actions, 1, layout.size, 1]
        self._reward_fn, self._her = compute_reward, her_k / (1.0 + her_k)
        slots = min(self.limit, FIRST_ALLOCATION)
        self._rows = torch.zeros(worlds, slots, sum(self._widths))
        # The index of the last transition of each transition's episode, or -1 while it runs.
        self._ends = torch.full((worlds, slots), -1)
        self._count = torch.zeros(worlds, dtype=torch.int64)
        self._first = torch.zeros(worlds, dtype=torch.int64)

    def __len__(self) -> int:
        return int(self._count.clamp(max=self.limit).sum())

    def store(self, transitions: Transitions, obs: Tensor, action: Tensor) -> None:
        """Keep the usable rows of one vector step.

        Args:
            transitions: The step; its number of worlds must be this buffer's.
            obs: Its flattened observations `(worlds, obs)`.
            action: Its actions `(worlds, act)` in [-1, 1].
        """
        if len(obs) != self.worlds:
            raise ValueError(
                f"This replay holds {self.worlds} worlds, but a step of {len(obs)} came: "
                "clone the agent with keep_replay=False to learn in another number of worlds."
            )
        worlds = torch.from_numpy(np.flatnonzero(transitions.usable))
        if len(worlds) == 0:
            return
        if int(self._count.max()) >= self._rows.shape[1] < self.limit:
            self._grow()
        for world in np.flatnonzero(transitions.usable & transitions.started):
            self._close_episode(int(world))
        slots = self._count[worlds] % self._rows.shape[1]
        reward = torch.as_tensor(np.asarray(transitions.reward, np.float32))[:, None]
        terminated = torch.as_tensor(np.asarray(transitions.terminated, np.float32))[:, None]
        next_obs = self.layout.flatten(transitions.next_obs)
        rows = torch.cat((obs, action, reward, next_obs, terminated), -1)
        self._rows[worlds, slots] = rows[worlds]
        self._ends[worlds, slots] = -1
        self._count[worlds] += 1

    def _grow(self) -> None:
        """Double the room, up to the limit; nothing has been overwritten before that."""
        slots = min(self.limit, 2 * self._rows.shape[1])
        rows = torch.zeros(self.worlds, slots, self._rows.shape[2])
        ends = torch.full((self.worlds, slots), -1)
        rows[:, : self._rows.shape[1]] = self._rows
        ends[:, : self._ends.shape[1]] = self._ends
        self._rows, self._ends = rows, ends

    def _close_episode(self, world: int) -> None:
        """Note where the episode that ran in `world` ended, now that another one starts."""
        count = int(self._count[world])
        first = max(int(self._first[world]), count - self.limit)
        self._ends[world, torch.arange(first, count) % self._rows.shape[1]] = count - 1
        self._first[world] = count

    def sample(self, n: int, generator: torch.Generator) -> Batch:
        """Draw `n` transitions uniformly, with replacement, with hindsight where it is on.

        Raises:
            ValueError: If nothing has been stored yet.
        """
        sizes = self._count.clamp(max=self.limit)
        totals = sizes.cumsum(0)
        if int(totals[-1]) == 0:
            raise ValueError("The replay is empty: store a transition before drawing a batch.")
        draw = torch.randint(int(totals[-1]), (n,), generator=generator)
        world = torch.bucketize(draw, totals, right=True)
        index = self._count[world] - totals[world] + draw
        rows = self._gather(world, index)
        obs, action, reward, next_obs, terminated = rows.split(self._widths, -1)
        batch = Batch(obs, action, reward[:, 0], next_obs, terminated[:, 0])
        return self._relabel(batch, world, index, generator) if self._her else batch

    def _gather(self, world: Tensor, index: Tensor) -> Tensor:
        slots = self._rows.shape[1]
        return self._rows.view(-1, self._rows.shape[2])[world * slots + index % slots]

    def _relabel(self, batch: Batch, world: Tensor, index: Tensor, generator: torch.Generator) -> Batch:
        """Replace goals by ones reached later in the same episode, the strategy "future".

        `k` of `k + 1` transitions get a goal that was achieved by a transition drawn uniformly
        from this one to the last of the episode so far. Whether the task terminated is kept.
        """
        chance, position = torch.rand(2, len(index), generator=generator, dtype=torch.float64)
        end = self._ends[world, index % self._rows.shape[1]]
        end = torch.where(end < 0, self._count[world] - 1, end)
        later = torch.minimum(index + (position * (end - index + 1)).long(), end)
        reached = self._gather(world, later)[:, -1 - self.layout.size : -1][:, self.layout.achieved]
        swap = (chance < self._her)[:, None]
        goal = torch.where(swap, reached, batch.obs[:, self.layout.desired])
        batch.obs[:, self.layout.desired] = goal
        batch.next_obs[:, self.layout.desired] = goal
        assert self._reward_fn is not None
        achieved = batch.next_obs[:, self.layout.achieved].double().numpy()
        reward = self._reward_fn(achieved, goal.double().numpy(), {})
        relabelled = torch.as_tensor(np.asarray(reward, np.float32))
        return batch._replace(reward=torch.where(swap[:, 0], relabelled, batch.reward))

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part of the buffer."""
        filled = int(self._count.max().clamp(max=self.limit))
        return {
            "rows": self._rows[:, :filled].clone(),
            "ends": self._ends[:, :filled].clone(),
            "count": self._count.clone(),
            "first": self._first.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from a buffer of the same size.

        Raises:
            ValueError: If the saved buffer has other worlds, columns or more slots.
        """
        rows = state["rows"]
        expected = (self.worlds, self.limit, self._rows.shape[2])
        if rows.shape[::2] != self._rows.shape[::2] or rows.shape[1] > self.limit:
            raise ValueError(
                f"The saved replay has (worlds, slots, columns) {tuple(rows.shape)}, "
                f"but this one has room for {expected}."
            )
        slots = max(rows.shape[1], min(self.limit, FIRST_ALLOCATION))
        self._rows = torch.zeros(self.worlds, slots, rows.shape[2])
        self._ends = torch.full((self.worlds, slots), -1)
        self._rows[:, : rows.shape[1]] = rows
        self._ends[:, : rows.shape[1]] = state["ends"]
        self._count = state["count"].clone()
        self._first = state["first"].clone()
