"""A Gaussian policy as a function of a vector of parameters, of many such vectors at once.

Gradient-based meta-learning differentiates through a step of the parameters, in every task its own; so the
parameters are no module's, but an argument `(k, p)` of k policies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sim2real.agents.networks import linear

EDGE = 1.0 - 1e-5
"""An action beyond this, of either sign, was clipped."""

LOG_STD_MIN = -3.0
"""Least logarithm of a standard deviation, in actions of [-1, 1]."""


class ClippedGaussian:
    """Gaussians around what a network says, of one standard deviation in all states, clipped to [-1, 1].

    What is drawn beyond a bound is an action at the bound, and has the probability of the whole tail: the
    clipped action policy gradient (Fujita & Maeda 2018), which knows no more of an action than what it did.

    Args:
        inputs: Features of an observation.
        hidden: Widths of the hidden layers, which are tanh.
        actions: Numbers of an action.

    Attributes:
        size: p, the parameters of a policy.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], actions: int) -> None:
        widths = [inputs, *hidden, actions]
        self._layers = list(pairwise(widths))
        self._actions = actions
        self._sizes = [size for i, o in self._layers for size in (i * o, o)] + [actions]
        self.size = sum(self._sizes)

    def initial(self, generator: torch.Generator, std: float) -> Tensor:
        """Draw the parameters (p,) of a policy of a given standard deviation."""
        parts: list[Tensor] = []
        for inputs, outputs in self._layers:
            layer = linear(inputs, outputs, generator)
            parts += [layer.weight.detach().T.reshape(-1), layer.bias.detach()]
        return torch.cat([*parts, torch.full((self._actions,), math.log(std))])

    def trainable(self, part: str) -> Tensor:
        """Return 1 for each parameter (p,) that a setting leaves to learn, and 0 for the others.

        Args:
            part: `all`; `last_layer` or `last_n` for the last n layers; `bias` for biases alone. The standard
                deviation belongs to the last layer and is a bias.

        Raises:
            ValueError: If the network has fewer than n layers.
        """
        last = {"all": len(self._layers), "bias": 0, "last_layer": 1}.get(part, 0)
        last = last or int(part.rpartition("_")[2]) if part.startswith("last_") else last
        if last > len(self._layers):
            raise ValueError(f"{part}: the policy of this agent has only {len(self._layers)} layers")
        parts: list[Tensor] = []
        for i, (inputs, outputs) in enumerate(self._layers):
            whole = i >= len(self._layers) - last
            parts += [torch.full((inputs * outputs,), float(whole))]
            parts += [torch.full((outputs,), float(whole or part == "bias"))]
        return torch.cat([*parts, torch.ones(self._actions)])

    def parameters(self, theta: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """Split (k, p) into layers, weights (k, i, o) and biases (k, 1, o), and log deviations (k, 1, a)."""
        *layers, log_std = theta.split(self._sizes, -1)
        shaped = [
            (layers[2 * i].unflatten(-1, shape), layers[2 * i + 1].unsqueeze(-2))
            for i, shape in enumerate(self._layers)
        ]
        return shaped, log_std.unsqueeze(-2).clamp_min(LOG_STD_MIN)

    def gaussian(self, theta: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return means (k, m, a) and log deviations (k, 1, a) of policies (k, p) at features (k, m, i)."""
        layers, log_std = self.parameters(theta)
        for i, (weight, bias) in enumerate(layers):
            features = torch.baddbmm(bias, torch.tanh(features) if i else features, weight)
        return features, log_std

    def log_prob(self, theta: Tensor, features: Tensor, action: Tensor) -> Tensor:
        """Return log-probabilities (k, m) of actions (k, m, a): densities inside the bounds, else masses."""
        mean, log_std = self.gaussian(theta, features)
        z = (action - mean) / log_std.exp()
        edge = (action > EDGE).to(z.dtype) - (action < -EDGE).to(z.dtype)
        inside = -0.5 * z.square() - log_std - 0.5 * math.log(2.0 * math.pi)
        return torch.where(edge == 0, inside, torch.special.log_ndtr(-edge * z)).sum(-1)

    def sample(self, theta: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (k, m, a) in [-1, 1]."""
        mean, log_std = self.gaussian(theta, features)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return (mean + log_std.exp() * noise).clamp(-1.0, 1.0)

    def greedy(self, theta: Tensor, features: Tensor) -> Tensor:
        """Return the means, clipped to [-1, 1] (k, m, a)."""
        return self.gaussian(theta, features)[0].clamp(-1.0, 1.0)
