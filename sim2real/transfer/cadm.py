"""CaDM (Lee et al. 2020, arXiv 2005.06800): a planner whose model is told what its last moves say of a world.

An encoder makes a context of the last pairs of observation and action, for all networks of the ensemble. It
learns from what they predict, and from a network that predicts steps backwards with the same context. What
differs from the paper: the context is held to one step, not to the next ten.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents.dynamics import Dynamics
from sim2real.agents.networks import Normalizer, mlp
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import Widths
from sim2real.envs.wants import Wants
from sim2real.transfer.contextual import Chosen
from sim2real.transfer.pets import PETS, PETSConfig


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

    def _make_encoder(self) -> tuple[nn.Module | None, int]:
        config = self.config
        if config.told == "nothing":
            return super()._make_encoder()
        history = self.layout.columns("history")
        sizes = history.stop - history.start, config.encoder_hidden, config.latent
        encoder = nn.Sequential(Chosen(history), mlp(*sizes, self._generator))
        return encoder.requires_grad_(not self.partial), config.latent

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
