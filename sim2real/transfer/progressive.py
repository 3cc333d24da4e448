"""Progressive networks (Rusu et al. 2016, arXiv 1606.04671): a new column beside a frozen one.

Every hidden layer of the new column sees its own column's layer below and, through lateral connections,
the source's: `h_i = f(W_i h_{i-1} + U_i h'_{i-1})` (equation 1; `W` and `U` stand side by side as one matrix
on both activations). There is one source column, so the adapters that reduce several in the paper are left
out. What differs: the new column's last layer starts at zero and adds to the source's output, so that the
new policy and critics begin exactly as the old.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from sim2real.agents.critics import BatchNorm, BatchNormCritic, Critic, last
from sim2real.agents.networks import Actor, StackedLinear, linear
from sim2real.agents.trainable import layers
from sim2real.transfer.source import OnSource, SourceActor, another, silent


class Progressive(OnSource):
    """An actor-critic with a new column beside a frozen source, in the actor and in the critics."""

    def _ready(self, name: str, network: nn.Module) -> nn.Module:
        if isinstance(network, Actor):
            return ProgressiveActor(network, self._generator)
        if isinstance(network, Critic):
            return ProgressiveCritic(network, self._generator)
        if isinstance(network, BatchNormCritic):
            return ProgressiveBatchNormCritic(network, self._generator)
        raise ValueError(f"progressive knows no column for a {type(network).__name__}")


class Columns(nn.Module):
    """The hidden layers of a new column, run in step with those of a source.

    Args:
        source: A network whose `body` is a sequence of layers.
        generator: Source of the first weights.
    """

    def __init__(self, source: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        hidden = [nn.Sequential(*layer) for layer in layers(source)[:-1]]
        self.widen = 2 if hidden else 1
        self._source = hidden  # in a list, which does not make them this module's own
        self.layers = nn.ModuleList(
            nn.Sequential(*(another(module, 2 if depth else 1, generator) for module in layer))
            for depth, layer in enumerate(hidden)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run both columns on the input `(n, inputs)`.

        Returns:
            What the last hidden layers give: the source's `(..., n, width)`, and both columns' side by side,
            the new one's first `(..., n, 2 width)`.
        """
        source = both = x
        for theirs, own in zip(self._source, self.layers, strict=True):
            source = theirs(source)
            both = torch.cat((own(both), source), -1)
        return source, both


class ProgressiveActor(SourceActor):
    """A Gaussian policy of two columns.

    Args:
        source: The policy to build on.
        generator: Source of the new column's first weights.
    """

    def __init__(self, source: Actor, generator: torch.Generator) -> None:
        super().__init__(source)
        self.columns = Columns(source, generator)
        self.head = silent(another(source.head, self.columns.widen, generator))

    def outputs(self, features: Tensor) -> Tensor:
        """Return the source's outputs plus those of the new column `(n, 2 act)`."""
        source, both = self.columns(self.source.front(features))
        return self.source.head(source) + self.head(both)


class ProgressiveCritic(nn.Module):
    """An ensemble of action values of two columns; use as of `Critic`.

    Args:
        source: The critics to build on; they are frozen.
        generator: Source of the new columns' first weights.
    """

    def __init__(self, source: Critic, generator: torch.Generator) -> None:
        super().__init__()
        self.source = source.requires_grad_(False)
        self.columns = Columns(source, generator)
        self.head = cast(StackedLinear, silent(another(source.head, self.columns.widen, generator)))

    def quantiles(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the quantiles `(members, n, quantiles)` of actions `(n, act)` in [-1, 1]."""
        source, both = self.columns(torch.cat((self.source.front(features), action), -1))
        return last(source, self.source.head) + last(both, self.head)

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the values `(members, n)` of actions `(n, act)` in [-1, 1] at `(n, features)`."""
        return self.quantiles(features, action).mean(-1)


class ProgressiveBatchNormCritic(nn.Module):
    """Twin action values of two columns with batch normalization; use as of `BatchNormCritic`.

    The source's statistics are frozen with it; the new columns have their own.

    Args:
        source: The critics to build on; they are frozen.
        generator: Source of the new columns' first weights.
    """

    def __init__(self, source: BatchNormCritic, generator: torch.Generator) -> None:
        super().__init__()
        self.source = source.requires_grad_(False)
        self.norms, self.body, self.head = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for norms in source.norms:
            old = [cast(BatchNorm, norm) for norm in cast(nn.ModuleList, norms)]
            sizes = [norm.weight.shape[0] for norm in old]
            widths = [(2 if depth else 1, *pair) for depth, pair in enumerate(pairwise(sizes))]
            self.norms.append(nn.ModuleList(BatchNorm(norm.weight.shape[0], norm.momentum) for norm in old))
            self.body.append(nn.ModuleList(linear(widen * n, out, generator) for widen, n, out in widths))
            self.head.append(silent(linear((2 if widths else 1) * sizes[-1], 1, generator)))

    def forward(self, features: Tensor, action: Tensor, batch: bool = False) -> Tensor:
        """Return the values `(members, n)` of actions `(n, act)` in [-1, 1] at `(n, features)`.

        Args:
            features: Normalized observations.
            action: Actions.
            batch: Which statistics the new columns normalize by; see `BatchNorm`.
        """
        inputs = torch.cat((features, action), -1)
        return torch.stack([self._member(i, inputs, batch) for i in range(len(self.head))])

    def _member(self, i: int, inputs: Tensor, batch: bool) -> Tensor:
        """Return one critic's values `(n,)`."""
        (first, *norms), (their_first, *their_norms) = _parts(self.norms[i]), _parts(self.source.norms[i])
        source, both = their_first(inputs, False), first(inputs, batch)
        columns = zip(_parts(self.body[i]), norms, _parts(self.source.body[i]), their_norms, strict=True)
        for layer, norm, their_layer, their_norm in columns:
            source = their_norm(their_layer(source), False).relu()
            both = torch.cat((norm(layer(both), batch).relu(), source), -1)
        return self._last(self.source.head[i], source) + self._last(self.head[i], both)

    @staticmethod
    def _last(head: nn.Module, x: Tensor) -> Tensor:
        return (x * cast(Tensor, head.weight)).sum(-1) + cast(Tensor, head.bias)


def _parts(modules: nn.Module) -> list[nn.Module]:
    return list(cast(nn.ModuleList, modules))
