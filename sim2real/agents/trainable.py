"""What learning may change in a network: everything, its last layers, or its biases."""

from __future__ import annotations

from typing import cast

from torch import nn

from sim2real.agents.critics import BatchNormCritic


def layers(network: nn.Module) -> list[list[nn.Module]]:
    """Return a network's layers from input to output, each as its modules.

    A layer is a linear map with the normalization and the nonlinearity that follow it; the last one is the
    `head`. Normalization of the input belongs to the first layer. A sum of critics has theirs side by side,
    as many as all of them have, counted from the last.
    """
    if (critics := getattr(network, "critics", None)) is not None:
        abreast = zip(*(reversed(layers(critic)) for critic in critics), strict=False)
        return [[module for layer in own for module in layer] for own in abreast][::-1]
    head = network.get_submodule("head")
    if isinstance(network, BatchNormCritic):
        return [*_stages(network), [head]]
    found: list[list[nn.Module]] = []
    for module in cast(nn.Sequential, network.get_submodule("body")):
        if any(parameter.ndim > 1 for parameter in module.parameters()):
            found.append([])
        found[-1].append(module)
    return [*found, [head]]


def _stages(critic: BatchNormCritic) -> list[list[nn.Module]]:
    """Return the hidden layers of all members together."""
    bodies = [cast(nn.ModuleList, body) for body in critic.body]
    norms = [cast(nn.ModuleList, own) for own in critic.norms]
    found: list[list[nn.Module]] = []
    for i in range(len(bodies[0])):
        inputs = [own[0] for own in norms] if i == 0 else []
        found.append([*inputs, *(body[i] for body in bodies), *(own[i + 1] for own in norms)])
    return found


def freeze(network: nn.Module, trainable: str) -> None:
    """Freeze all parameters of a network but those that a setting leaves to learn.

    Args:
        network: An actor or a critic; see `layers`.
        trainable: `all`; `last_layer` or `last_n` for the last n layers; `bias` for biases and the gains of
            normalizations alone.

    Raises:
        ValueError: If the network has fewer than n layers.
    """
    if trainable == "all":
        return
    network.requires_grad_(False)
    if trainable == "bias":
        for name, parameter in network.named_parameters():
            # Gains are the only weights with one dimension.
            parameter.requires_grad_(name.endswith("bias") or parameter.ndim == 1)
        return
    wanted = 1 if trainable == "last_layer" else int(trainable.removeprefix("last_"))
    found = layers(network)
    if wanted > len(found):
        raise ValueError(
            f"{trainable}: a network of this agent has only {len(found)} layers; "
            f"take {'last_layer' if len(found) == 1 else f'last_{len(found)}'} or all"
        )
    for module in (module for layer in found[-wanted:] for module in layer):
        module.requires_grad_(True)


def trained(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a network that learning may change."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
