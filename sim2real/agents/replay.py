"""A replay buffer for many worlds, with hindsight goals chosen when a batch is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from sim2real.agents.base import CONTEXT_KEYS, GOAL_KEYS, Observation, RewardFn, Transitions

FIRST_ALLOCATION = 1024
"""Transitions that room is made for at first; the room doubles when it is full."""


@dataclass(frozen=True)
class ObservationLayout:
    """How one world's observation becomes a flat vector.

    Attributes:
        size: Length of the vector.
        goal: Length of a goal, or 0 without goals.
        context: Lengths by key of what follows the observation and the goals; see `CONTEXT_KEYS`.
    """

    size: int
    goal: int
    context: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> ObservationLayout:
        """Read the layout from the space of one world's observations.

        Raises:
            ValueError: If the space is neither a flat box nor a dictionary of the three goal keys, or of a
                context and either of them.
        """
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return cls(space.shape[0], 0)
        found = set(space.spaces) if isinstance(space, spaces.Dict) else set()
        context = [key for key in CONTEXT_KEYS if key in found]
        if not isinstance(space, spaces.Dict) or not (
            found - {*context} == {*GOAL_KEYS} or (context and found - {*context} == {GOAL_KEYS[0]})
        ):
            raise ValueError(
                "The observation space must be a flat Box, or a Dict of "
                f"{', '.join(GOAL_KEYS)}, but it is {space}."
            )
        widths = tuple((key, spaces.flatdim(space[key])) for key in context)
        if not found.issuperset(GOAL_KEYS):
            return cls(spaces.flatdim(space[GOAL_KEYS[0]]) + sum(width for _, width in widths), 0, widths)
        shapes = [space[key].shape for key in GOAL_KEYS]
        if any(shape is None or len(shape) != 1 for shape in shapes) or shapes[1] != shapes[2]:
            raise ValueError(
                "A goal observation needs three flat boxes with achieved and desired goals of "
                f"equal length, but their shapes are {shapes}."
            )
        lengths = [shape[0] for shape in shapes if shape is not None]
        return cls(sum(lengths) + sum(width for _, width in widths), lengths[1], widths)

    def flatten(self, obs: Observation) -> Tensor:
        """Return observations as a float32 tensor `(n, size)`: observation, achieved, desired, context."""
        if isinstance(obs, dict):
            keys = [*(GOAL_KEYS if self.goal else GOAL_KEYS[:1]), *dict(self.context)]
            obs = np.concatenate([obs[key] for key in keys], axis=-1)
        return torch.as_tensor(np.asarray(obs, np.float32))

    @property
    def achieved(self) -> slice:
        """Columns of the achieved goal."""
        return slice(self.plain - 2 * self.goal, self.plain - self.goal)

    @property
    def desired(self) -> slice:
        """Columns of the desired goal."""
        return slice(self.plain - self.goal, self.plain)

    @property
    def plain(self) -> int:
        """Length without the context."""
        return self.size - sum(width for _, width in self.context)

    def columns(self, key: str) -> slice:
        """Return the columns of a part of the context; empty ones if there is no such part."""
        first = self.plain
        for name, width in self.context:
            if name == key:
                return slice(first, first + width)
            first += width
        return slice(first, first)


class Batch(NamedTuple):
    """What is drawn for one update.

    Attributes:
        obs: Observations `(n, obs)`.
        action: Actions `(n, act)` in [-1, 1].
        reward: Discounted sum of the rewards `(n,)` of the next `n_step` transitions, or of as many as the
            episode still had.
        next_obs: What was seen after them `(n, obs)`.
        discount: What a value there counts for now `(n,)`: gamma to the number of transitions summed, or 0
            if the task terminated.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    discount: Tensor

    def split(self, n: int) -> Iterator[Batch]:
        """Yield it in pieces of `n` rows."""
        for parts in zip(*(column.split(n) for column in self), strict=True):
            yield Batch(*parts)


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
        gamma: Discount of one transition.
        n_step: Transitions whose rewards are summed before a value is asked for (Watkins 1989).
    """

    more: ClassVar[tuple[int, ...]] = ()
    """Widths of what a subclass keeps of each transition besides."""

    def __init__(
        self,
        layout: ObservationLayout,
        actions: int,
        worlds: int,
        capacity: int,
        compute_reward: RewardFn | None = None,
        her_k: int = 0,
        gamma: float = 0.99,
        n_step: int = 1,
    ) -> None:
        if her_k and (layout.goal == 0 or compute_reward is None):
            raise ValueError("Hindsight needs goal observations and the env's compute_reward.")
        self.layout, self.worlds = layout, worlds
        self.limit = max(1, capacity // worlds)
        self._widths = [layout.size, actions, 1, layout.size, 1, *self.more]
        self._reward_fn, self._her = compute_reward, her_k / (1.0 + her_k)
        self._gamma = gamma
        self._powers = gamma ** torch.arange(n_step)
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
        rows = self._row(transitions, obs, action)
        worlds = torch.from_numpy(np.flatnonzero(transitions.usable))
        if len(worlds) == 0:
            return
        for world in np.flatnonzero(transitions.usable & transitions.started):
            self._close_episode(int(world))
        self._put(worlds, rows[worlds])

    def _row(self, transitions: Transitions, obs: Tensor, action: Tensor) -> Tensor:
        """Return what is kept of one vector step `(worlds, columns)`."""
        if len(obs) != self.worlds:
            raise ValueError(
                f"This replay holds {self.worlds} worlds, but a step of {len(obs)} came: "
                "clone the agent with keep_replay=False to learn in another number of worlds."
            )
        reward = torch.as_tensor(np.asarray(transitions.reward, np.float32))[:, None]
        terminated = torch.as_tensor(np.asarray(transitions.terminated, np.float32))[:, None]
        next_obs = self.layout.flatten(transitions.next_obs)
        return torch.cat((obs, action, reward, next_obs, terminated), -1)

    def _put(self, worlds: Tensor, rows: Tensor) -> None:
        """Keep a transition `(k, columns)` of each of some worlds `(k,)`."""
        if int(self._count.max()) >= self._rows.shape[1] < self.limit:
            self._grow()
        slots = self._count[worlds] % self._rows.shape[1]
        self._rows[worlds, slots] = rows
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
        world, index = self._draw(n, generator)
        end = self._ends[world, index % self._rows.shape[1]]
        end = torch.where(end < 0, self._count[world] - 1, end)
        steps = index[:, None] + torch.arange(len(self._powers))
        inside = steps <= end[:, None]
        rows = self._gather(world[:, None], torch.minimum(steps, end[:, None]))
        goal = self._hindsight(world, index, end, generator) if self._her else None
        return self._summed(rows, inside, goal)

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw worlds and indices of transitions `(n,)` among all that are kept."""
        sizes = self._count.clamp(max=self.limit)
        totals = sizes.cumsum(0)
        if int(totals[-1]) == 0:
            raise ValueError("The replay is empty: store a transition before drawing a batch.")
        draw = torch.randint(int(totals[-1]), (n,), generator=generator)
        world = torch.bucketize(draw, totals, right=True)
        return world, self._count[world] - totals[world] + draw

    def _gather(self, world: Tensor, index: Tensor) -> Tensor:
        """Return the stored rows `(..., columns)` of transitions."""
        slots, columns = self._rows.shape[1:]
        place = (world * slots + index % slots).reshape(-1)
        return self._rows.view(-1, columns).index_select(0, place).view(*index.shape, columns)

    def _summed(self, rows: Tensor, inside: Tensor, goal: tuple[Tensor, Tensor] | None) -> Batch:
        """Make a batch of the next transitions `(n, n_step, columns)`, of which those `inside` count."""
        obs, action, reward, next_obs, terminated = rows.split(self._widths, -1)
        obs, last, reward = obs[:, 0], next_obs[:, -1], reward[..., 0]
        if goal is not None:
            swap, wanted = goal
            wanted = torch.where(swap[:, None], wanted, obs[:, self.layout.desired])
            reached = next_obs[..., self.layout.achieved]
            anew = self._reward_of(reached, wanted[:, None].expand_as(reached))
            reward = torch.where(swap[:, None], anew, reward)
            obs, last = obs.clone(), last.clone()
            obs[:, self.layout.desired] = last[:, self.layout.desired] = wanted
        discount = self._gamma ** inside.sum(1) * (1.0 - terminated[:, -1, 0])
        return Batch(obs, action[:, 0], (reward * inside * self._powers).sum(1), last, discount)

    def _reward_of(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """Ask the environment for the rewards `(n, k)` of goals `(n, k, goal)`."""
        assert self._reward_fn is not None
        reached, wanted = (g.double().reshape(-1, self.layout.goal).numpy() for g in (achieved, desired))
        reward = np.asarray(self._reward_fn(reached, wanted, {}), np.float32)
        return torch.as_tensor(reward).view(achieved.shape[:-1])

    def _hindsight(
        self, world: Tensor, index: Tensor, end: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Choose which transitions get another goal `(n,)`, and which `(n, goal)`: the strategy "future".

        `k` of `k + 1` transitions get a goal that was achieved by a transition drawn uniformly
        from this one to the last of the episode so far. Whether the task terminated is kept.
        """
        chance, position = torch.rand(2, len(index), generator=generator, dtype=torch.float64)
        later = torch.minimum(index + (position * (end - index + 1)).long(), end)
        reached = self._gather(world, later)[:, -1 - self.layout.size : -1][:, self.layout.achieved]
        return chance < self._her, reached

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
