"""Rapid motor adaptation (Kumar et al. 2021, arXiv 2107.04034): an encoding of the domain is estimated.

The first phase trains policy and encoder together: the encoding keeps of the domain what acting needs.
What differs from the paper: an off-policy learner whose critics see the domain itself, and a history of
observations and actions through a plain network in place of convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, PositiveInt
from torch import nn

from sim2real.agents.networks import mlp
from sim2real.agents.sac_config import Widths
from sim2real.transfer.contextual import Informed
from sim2real.transfer.estimating import Estimating, EstimatingConfig


class RMAConfig(EstimatingConfig):
    """Rapid motor adaptation (Kumar et al. 2021): acts on an estimated encoding of the domain."""

    latent: PositiveInt = Field(8, description="Numbers that the encoding consists of.")
    encoder_hidden: Widths = Field((64,), description="Widths of the encoder's hidden layers.")


class RMA(Estimating):
    """A policy that estimates an encoding of the domain; arguments and use as in `ActorCritic`."""

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        if name != "actor":
            return super()._front(name)
        width, config = self.domain.stop - self.domain.start, self.config
        encoder = mlp(width, config.encoder_hidden, config.latent, self._generator)
        return Informed(self.plain, self.domain, encoder), self.plain.stop + config.latent

    def estimated(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return one name for all: a single number of an encoding means nothing, and may hardly vary."""
        del names
        return ("encoding",) * self.config.latent
