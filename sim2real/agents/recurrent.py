"""A memory for policies: a network that sums up the past, and what it holds of each world."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from sim2real.agents.base import Agent, Transitions
from sim2real.agents.replay import ObservationLayout

FLAGS = 2
"""Last columns of `recall`, which direct a memory and are no input: fresh, and over."""

RECALLED = 2
"""Columns of `recall` between the action and the flags: reward, and whether it ended an episode."""


class Encoder(nn.Module):
    """Sums up inputs with gated recurrent units (Cho et al. 2014): a summary is hidden state and input.

    Time comes first: sequences are `(steps, n, inputs)`.

    Args:
        inputs: Size of an input.
        recalled: How many of its last entries are of the past.
        hidden: Number of units.
        generator: Source of the initial weights.
        zeroed: Whether to forget: the hidden state is zero before every input, and what is recalled is zero.

    Attributes:
        size: Size of a summary.
    """

    def __init__(
        self, inputs: int, recalled: int, hidden: int, generator: torch.Generator, zeroed: bool = False
    ) -> None:
        super().__init__()
        # Made without memory first, because PyTorch would draw its weights from the global generator.
        self.gru = nn.GRU(inputs, hidden, device="meta").to_empty(device="cpu")
        bound = 1.0 / math.sqrt(hidden)
        for parameter in self.gru.parameters():
            parameter.data.uniform_(-bound, bound, generator=generator)
        self.hidden, self.size, self.zeroed = hidden, hidden + inputs, zeroed
        self._plain = inputs - recalled

    def forward(self, inputs: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return summaries `(steps, n, size)`, each of a sequence's inputs up to its own.

        Args:
            inputs: `(steps, n, inputs)`.
            hidden: What came before `(n, hidden)`; nothing by default.
        """
        if self.zeroed:
            inputs = self._forgotten(inputs)
            alone = self.gru(inputs.reshape(1, -1, inputs.shape[-1]))[0]
            return torch.cat((alone.view(*inputs.shape[:-1], -1), inputs), -1)
        past = self.gru(inputs, None if hidden is None else hidden[None])[0]
        return torch.cat((past, inputs), -1)

    def following(self, summaries: Tensor, inputs: Tensor) -> Tensor:
        """Return summaries `(steps, n, size)` one step after others, whatever followed them.

        Args:
            summaries: `(steps, n, size)`.
            inputs: What followed each `(steps, n, inputs)`; it need not be what the next one sums up.
        """
        past = summaries[..., : self.hidden].reshape(-1, self.hidden)
        after = self(inputs.reshape(1, -1, inputs.shape[-1]), past)
        return after.view(*inputs.shape[:-1], -1)

    def directed(self, inputs: Tensor, hidden: Tensor, fresh: Tensor, over: Tensor) -> Tensor:
        """Return summaries `(steps, n, size)` as acting has them, where trials begin on the way.

        Args:
            inputs: `(steps, n, inputs)`.
            hidden: What each world's memory held before `(n, hidden)`.
            fresh: Where a trial begins with nothing `(steps, n)`.
            over: Where an input leaves no trace `(steps, n)`.
        """
        events = fresh.any(1) | over.any(1) | over.any(1).roll(1)
        cuts = [0, *(events[1:].nonzero()[:, 0] + 1).tolist(), len(inputs)]
        found = []
        for first, last in pairwise(cuts):
            hidden = torch.where(fresh[first, :, None], 0.0, hidden)
            found.append(self(inputs[first:last], hidden))
            held = found[-1][-1, :, : self.hidden]
            hidden = torch.where(over[last - 1, :, None], hidden, held)
        return torch.cat(found)

    def _forgotten(self, inputs: Tensor) -> Tensor:
        return torch.cat((inputs[..., : self._plain], torch.zeros_like(inputs[..., self._plain :])), -1)


@dataclass
class Memory:
    """What a recurrent policy holds of its worlds.

    Attributes:
        hidden: Hidden states `(n, hidden)`; None before it has acted.
        first: The hidden state `(1, hidden)` that a trial begins with: zero, or what adapting left.
        recalled: Action, reward and end `(1, act + 2)` that a trial begins with; likewise.
    """

    first: Tensor
    recalled: Tensor
    hidden: Tensor | None = field(default=None)

    def entered(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return what worlds show `(n, obs)` and hidden states `(n, hidden)`, where trials have begun.

        Args:
            raw: What they show, with `recall` in its last columns.

        Raises:
            ValueError: If it held another number of worlds, and these are in the midst of a trial.
        """
        fresh = raw[:, -2:-1] > 0.5
        hidden = self.hidden
        if hidden is None or len(hidden) != len(raw):
            if hidden is not None and not bool(fresh.all()):
                raise ValueError(
                    f"This agent remembers {len(hidden)} worlds, but {len(raw)} others, in the midst of a "
                    "trial, ask it to act: act there inside `with agent.elsewhere():`"
                )
            hidden = self.first.expand(len(raw), -1)
        end = raw.shape[1] - FLAGS
        past = torch.where(fresh, self.recalled, raw[:, end - self.recalled.shape[1] : end])
        raw = torch.cat((raw[:, : end - past.shape[1]], past, raw[:, end:]), 1)
        return raw, torch.where(fresh, self.first, hidden)

    def keep(self, hidden: Tensor, raw: Tensor) -> None:
        """Hold new hidden states `(n, hidden)`, except where nothing that is done counts."""
        over = raw[:, -1:] > 0.5
        before = self.first if self.hidden is None or len(self.hidden) != len(raw) else self.hidden
        self.hidden = torch.where(over, before, hidden)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything."""
        return {name: None if own is None else own.clone() for name, own in vars(self).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, own in state.items():
            setattr(self, name, None if own is None else own.clone())


class Remembering(ABC):
    """What agents with a memory share; a mixin before their other base, if they have one.

    Their worlds show `recall` (see `sim2real.envs.recall`). On a target they adapt by living through
    episodes: nothing is learned there, but what was remembered at the end is what trials begin with from then
    on. `deployed` in their settings says so.

    Attributes:
        memory: Of the worlds they act in.
    """

    config: Any
    layout: ObservationLayout
    memory: Memory

    def _remember(self, hidden: int, actions: int) -> None:
        """Begin with nothing.

        Raises:
            ValueError: If the worlds show nothing to remember.
        """
        if "recall" not in dict(self.layout.context):
            raise ValueError(
                f"{type(self).__name__} needs worlds that show what they recall: "
                "make_worlds(..., wants=Wants(recall=True))"
            )
        self.memory = Memory(torch.zeros(1, hidden), torch.zeros(1, actions + RECALLED))

    @property
    def inputs(self) -> int:
        """Size of an encoder's input: the observation, and what is recalled."""
        return self.layout.size - FLAGS

    def _summary(self, raw: Tensor, hidden: Tensor) -> Tensor:
        """Return what the actor sums up `(n, size)` of what worlds show and hidden states before it."""
        actor = cast(Any, self).actor
        return actor.encoder(self._features(raw, actor.normalizer(raw))[None], hidden)[0]

    @abstractmethod
    def _best(self, summary: Tensor) -> Tensor:
        """Return what the policy holds best `(n, act)`, in the bounds, at summaries."""

    def decide_after(self, raw: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best actions `(n, act)` and the hidden states after them, in tensors alone.

        Args:
            raw: What worlds show `(n, obs)`, in the midst of trials.
            hidden: Hidden states `(n, units)` before.
        """
        summary = self._summary(raw, hidden)
        return self._best(summary), summary[:, : hidden.shape[1]]

    def _features(self, raw: Tensor, normalized: Tensor) -> Tensor:
        """Return an encoder's inputs `(..., inputs)`; actions and ends are on a scale of their own already.

        Args:
            raw: What worlds show `(..., obs)`, where trials have begun.
            normalized: The same, normalized.
        """
        recalled = self.layout.columns("recall")
        reward = recalled.stop - FLAGS - RECALLED
        parts = (
            normalized[..., : recalled.start],
            raw[..., recalled.start : reward],
            normalized[..., reward : reward + 1],
            raw[..., reward + 1 : reward + 2],
        )
        return torch.cat(parts, -1)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Act, inside the block, in other worlds, and then go on where this agent was."""
        before = self.memory
        self.memory = Memory(before.first, before.recalled)
        try:
            yield
        finally:
            self.memory = before

    def deployed(self, seed: int) -> Agent:
        """Return a copy for a target; see `sim2real.agents.base.Remembers`."""
        own: Any = self
        return own.clone({"deployed": True}, seed, keep_replay=False)

    def _live(self, transitions: Transitions, action: Tensor) -> None:
        """Let what has been lived through in one world be what trials begin with.

        Args:
            transitions: One vector step of one world.
            action: Its action `(1, act)` in [-1, 1].

        Raises:
            ValueError: If there are more worlds.
        """
        if len(action) != 1:
            raise ValueError(f"a deployed agent lives in one world, but {len(action)} have stepped")
        if transitions.valid[0] and self.memory.hidden is not None:
            reward = torch.tensor([[float(transitions.reward[0]), 1.0]])
            self.memory.first = self.memory.hidden.clone()
            self.memory.recalled = torch.cat((action, reward), 1)
