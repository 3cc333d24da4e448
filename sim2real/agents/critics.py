"""The critics' networks: stacked ones with layer normalization, and ones with batch normalization."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from sim2real.agents.networks import PlainLayerNorm, StackedLinear, linear


class Critic(nn.Module):
    """An ensemble of action values `Q(s, a)` evaluated as one stacked network.

    Args:
        features: Size of the (normalized) observation vector.
        actions: Size of the action vector.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
        members: Number of critics; two are the twin critics of Fujimoto et al. (2018).
        layernorm: Whether to normalize each hidden layer before its ReLU (Xu et al. 2019).
        quantiles: How many quantiles of the return each critic says, of which the value is the mean.
        front: What stands before the body: maps normalized observations to `features`; nothing by default.
    """

    def __init__(
        self,
        features: int,
        actions: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        members: int = 2,
        layernorm: bool = True,
        quantiles: int = 1,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.front = front or nn.Identity()
        layers: list[nn.Module] = []
        size = features + actions
        for width in hidden:
            layers.append(StackedLinear(members, size, width, generator))
            if layernorm:
                layers.append(PlainLayerNorm(width))
            layers.append(nn.ReLU(inplace=True))
            size = width
        self.body = nn.Sequential(*layers)
        self.head = StackedLinear(members, size, quantiles, generator)

    def quantiles(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the quantiles `(members, n, quantiles)` of actions `(n, act)` in [-1, 1]."""
        return last(self.body(torch.cat((self.front(features), action), -1)), self.head)

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the values `(members, n)` of actions `(n, act)` in [-1, 1] at `(n, features)`."""
        return self.quantiles(features, action).mean(-1)


def last(x: Tensor, head: StackedLinear) -> Tensor:
    """Return what a last layer makes of hidden activations `(members, n, width)`, `(members, n, outputs)`."""
    if head.weight.shape[-1] > 1:
        return head(x)
    # A product and a sum take half the time of a matrix product with one column.
    return (x * head.weight.mT).sum(-1, keepdim=True) + head.bias


class BatchNorm(nn.Module):
    """Batch normalization (Ioffe & Szegedy 2015) whose caller says, call by call, which statistics it uses.

    Args:
        width: Number of features.
        momentum: Share of a batch in the running statistics.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, width: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x: Tensor, batch: bool) -> Tensor:
        """Normalize `(n, width)`, by the batch's own statistics or by the running ones.

        Args:
            x: Features.
            batch: Use this batch's statistics, and let the running ones follow them.
        """
        return nn.functional.batch_norm(x, self.mean, self.var, self.weight, self.bias, batch, self.momentum)


class BatchNormCritic(nn.Module):
    """Twin action values `Q(s, a)` with batch normalization before every hidden layer and every ReLU.

    The two are separate networks: PyTorch has no batch normalization for stacked ones that is fast.

    Args:
        features: Size of the (normalized) observation vector.
        actions: Size of the action vector.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
        momentum: Share of a batch in the running statistics.
        members: Number of critics.
    """

    def __init__(
        self,
        features: int,
        actions: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        momentum: float = 0.01,
        members: int = 2,
    ) -> None:
        super().__init__()
        sizes = [features + actions, *hidden]
        self.norms, self.body, self.head = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for _ in range(members):
            self.norms.append(nn.ModuleList(BatchNorm(size, momentum) for size in sizes))
            self.body.append(nn.ModuleList(linear(*pair, generator) for pair in pairwise(sizes)))
            self.head.append(linear(sizes[-1], 1, generator))

    def forward(self, features: Tensor, action: Tensor, batch: bool = False) -> Tensor:
        """Return the values `(members, n)` of actions `(n, act)` in [-1, 1] at `(n, features)`.

        Args:
            features: Normalized observations.
            action: Actions.
            batch: Which statistics to normalize by; see `BatchNorm`.
        """
        inputs, values = torch.cat((features, action), -1), []
        for norms, body, head in zip(self.norms, self.body, self.head, strict=True):
            first, *others = cast(nn.ModuleList, norms)
            x = first(inputs, batch)
            for layer, norm in zip(cast(nn.ModuleList, body), others, strict=True):
                x = norm(layer(x), batch).relu_()
            # A product and a sum take a third of the time of a matrix product with one column.
            values.append((x * head.weight).sum(-1) + head.bias)
        return torch.stack(values)
