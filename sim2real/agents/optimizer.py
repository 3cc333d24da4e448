"""Adam over many tensors kept as one, so that a step costs one kernel instead of several for each tensor."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """Move tensors into one vector, of which they become views; return the vector.

    Writing to either shows in the other. Copying one of the tensors ends that for the copy.
    """
    tensors = list(tensors)
    vector = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    for tensor, part in zip(tensors, vector.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.data = part.view_as(tensor)
    return vector


class FlatAdam:
    """Adam (Kingma & Ba 2015), in PyTorch's own implementation, on the concatenation of some parameters.

    Args:
        parameters: What it may change.
        lr: Step size.

    Attributes:
        vector: All of them, one after another.
    """

    def __init__(self, parameters: Iterable[nn.Parameter | Tensor], lr: float) -> None:
        self._parameters = list(parameters)
        self.vector = nn.Parameter(flatten(self._parameters))
        self._adam = torch.optim.Adam([self.vector], lr, fused=True)

    def descend(self, loss: Tensor, max_norm: float = math.inf) -> None:
        """Do one step down the gradient of a loss; gradients of anything else are not even computed.

        Args:
            loss: What to descend.
            max_norm: Norm that a longer gradient is cut to.
        """
        gradients = torch.autograd.grad(loss, self._parameters)
        self.vector.grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
        if max_norm < math.inf:
            self.vector.grad *= (max_norm / self.vector.grad.norm().clamp_min(1e-12)).clamp_max(1.0)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the step size, not the parameters themselves."""
        return self._adam.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, without sharing memory with it."""
        self._adam.load_state_dict(copy.deepcopy(dict(state)))

    def set_lr(self, lr: float) -> None:
        """Change the step size."""
        self._adam.param_groups[0]["lr"] = lr
