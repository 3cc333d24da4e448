"""CaDM (Lee et al. 2020, arXiv 2005.06800): a planner whose model is told what its last moves say of a world.

An encoder makes a context of the last moves, for all networks of the ensemble. It learns from what they
predict, and from a network that predicts steps backwards with the same context. What differs from the paper:
each move is encoded alike and what is made of them is averaged, as in neural processes (Garnelo et al. 2018,
arXiv 1807.01622), so that one move teaches what all others need; and the context is held to one step, not to
the next ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents.dynamics import Dynamics
from sim2real.agents.networks import STD_FLOOR, Normalizer, body, mlp
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import Widths
from sim2real.envs.wants import Wants
from sim2real.transfer.pets import PETS, Model, PETSConfig


class CaDMConfig(PETSConfig):
    """Plans with models that infer a context from the last moves (Lee et al. 2020)."""

    history: PositiveInt = Field(10, le=64, description="Pairs of observation and action remembered.")
    told: Literal["context", "nothing"] = Field(
        "context", description="What the model is told besides; nothing is a control without any context."
    )
    latent: PositiveInt = Field(8, description="Numbers that a context has.")
    encoder_hidden: Widths = Field((64, 64), description="Widths of the encoder's hidden layers.")
    backward: float = Field(0.5, ge=0, description="Weight of the loss of predicting steps backwards.")

    @property
    def wants(self) -> Wants:
        """Worlds that show a history; the domain that they show with it is not looked at."""
        return Wants(history=self.history)


EMPTY = 1e-5
"""Of a pair of observation and action that was remembered, some number is greater; others are zero."""

CLIP = 10.0
"""Moves are clipped to this many deviations, as observations are."""


class Encoder(nn.Module):
    """Makes a context of moves, in whatever order: the mean of what each says, and a network behind it.

    Args:
        size: Length of a move.
        hidden: Widths of the network that each move goes through, and of that behind the mean.
        latent: Length of the context.
        generator: Source of the initial weights.
    """

    def __init__(self, size: int, hidden: Sequence[int], latent: int, generator: torch.Generator) -> None:
        super().__init__()
        self.each = body(size, hidden, generator)
        self.all = mlp(hidden[-1], hidden, latent, generator)

    def forward(self, moves: Tensor, happened: Tensor) -> Tensor:
        """Return contexts `(n, latent)` of moves `(n, h, size)`, those `(n, h)` that have happened."""
        weight = happened / happened.sum(1, keepdim=True).clamp_min(1.0)
        return self.all((self.each(moves) * weight[..., None]).sum(1))


class Inferring(Model):
    """A model that infers its world from the last moves.

    Args:
        args: As in `Model`.
        encoder: Maps moves to contexts.
        history: Columns of the last pairs of observation and action, oldest first.
        size: Length of an observation in them.
    """

    def __init__(self, *args: Any, encoder: Encoder, history: slice, size: int) -> None:
        super().__init__(*args)
        self.encoder, self.history, self.size = encoder, history, size

    def context(self, features: Tensor) -> Tensor:
        """Return what is inferred of each world `(n, c)`, of normalized features `(n, features)`."""
        return self.encoder(*self.moves(features))

    def moves(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return past moves `(n, h, obs + act + obs)` of features `(n, features)`, and whether they happened.

        A move is an observation, an action, and what came of it: the change, on the scale on which the
        ensemble predicts it. Between normalized observations it would be lost, next to them it is small.
        """
        raw = self.normalizer.invert(features)
        pairs = raw[:, self.history].unflatten(1, (-1, self.size + self.low.shape[0]))
        happened = (pairs.abs().amax(2) > EMPTY).float()
        seen, action = pairs[..., : self.size], pairs[..., self.size :]
        after = torch.cat((seen[:, 1:], raw[:, None, : self.size]), 1)
        parts = _scaled(seen, self.normalizer), action, _scaled(after - seen, self.dynamics.scale)
        return torch.cat(parts, 2), happened


def _scaled(values: Tensor, by: Normalizer) -> Tensor:
    """Return values `(..., k)` by the first k statistics of more."""
    own = slice(0, values.shape[-1])
    std = by.var[own].sqrt().clamp_min(STD_FLOOR)
    return ((values - by.mean[own].float()) / std.float()).clamp(-CLIP, CLIP)


class CaDM(PETS):
    """A planner with a context; arguments and use as in `PETS`.

    Raises:
        ValueError: If its worlds do not show a history.
    """

    config: CaDMConfig

    def _make_networks(self) -> dict[str, Any]:
        if "history" not in dict(self.layout.context):
            raise ValueError(
                f"CaDM needs worlds that show a context: "
                f"make_worlds(..., wants=Wants(history={self.config.history}))"
            )
        networks = super()._make_networks()
        self.backward = None
        if self.config.told == "context":
            self.backward = self._make_backward(networks["actor"].dynamics.scale)
            networks["actor"].add_module("backward", self.backward)
        return networks

    @property
    def _context_size(self) -> int:
        return self.config.latent if self.config.told == "context" else 0

    def _make_model(self, low: Tensor, high: Tensor, normalizer: Normalizer, dynamics: Dynamics) -> Model:
        config, history = self.config, self.layout.columns("history")
        parts = low, high, normalizer, dynamics
        if config.told == "nothing":
            return super()._make_model(*parts)
        pair, actions = (history.stop - history.start) // config.history, self.action_space.shape[0]
        size = pair - actions
        encoder = Encoder(size + pair, config.encoder_hidden, config.latent, self._generator)
        encoder.requires_grad_(not self.partial)
        return Inferring(*parts, encoder=encoder, history=history, size=size)

    def _make_backward(self, scale: Normalizer) -> Dynamics:
        """Make a network that tells a step by its end; what it predicts is on the scale of the others."""
        config, size = self.config, self.plain.stop
        sizes = size, self.action_space.shape[0], config.latent, config.model_hidden, 1
        made = Dynamics(*sizes, self._generator, scale)
        self._ready("backward", made)
        return made

    def _model_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, error = super()._model_loss(batch)
        if self.backward is None:
            return loss, error
        seen = batch.next_obs[:, self.plain], self.actor.context(batch.obs), batch.action
        ended = (batch.discount == 0).float()
        rows = (part[None] for part in (torch.cat(seen, 1), self.truth(batch), ended))
        return loss + self.config.backward * self.backward.loss(*rows)[0], error
