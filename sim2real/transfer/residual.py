"""Residual policies (Silver et al. 2018, arXiv 1812.06298; Johannink et al. 2019, arXiv 1812.03201).

What acts is a frozen policy plus a learned correction that starts at zero. Both papers add actions; here the
correction is added before the tanh, to the mean and to the log standard deviation of the Gaussian, so that
actions stay in bounds and have the exact density that maximum-entropy learning needs. The critics go on from
the source's, all of them learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sim2real.agents.networks import Actor
from sim2real.transfer.source import OnSource, SourceActor, another, silent


class Residual(OnSource):
    """An actor-critic whose policy is a frozen one plus a learned correction."""

    def _ready(self, name: str, network: nn.Module) -> nn.Module:
        if not isinstance(network, Actor):
            return super()._ready(name, network)
        return ResidualActor(network, self._generator)


class ResidualActor(SourceActor):
    """A frozen policy and a correction of the same shape; see the module.

    Args:
        source: The policy to correct.
        generator: Source of the correction's first weights; those of its last layer are zero.
    """

    def __init__(self, source: Actor, generator: torch.Generator) -> None:
        super().__init__(source)
        self.body = nn.Sequential(*(another(module, 1, generator) for module in source.body))
        self.head = silent(another(source.head, 1, generator))

    def outputs(self, features: Tensor) -> Tensor:
        """Return the source's outputs plus the correction `(n, 2 act)`."""
        with torch.no_grad():
            source = self.source.outputs(features)
        return source + super().outputs(features)
