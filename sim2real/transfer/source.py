"""What methods that build on a frozen source share: its networks inside a new agent, exact at first."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.networks import Actor, Normalizer, StackedLinear, linear


class OnSource(ActorCritic):
    """An actor-critic that has a frozen source in its networks; arguments and use as in `OffPolicy`.

    It is mixed into a learner by `mixed_with`. Its statistics of observations are those of the source for
    ever: the source must go on seeing what it was trained on.
    """

    def _make_normalizer(self) -> Normalizer:
        normalizer = super()._make_normalizer()
        normalizer.frozen = True
        return normalizer


class SourceActor(Actor):
    """A Gaussian policy whose parameters are a frozen source's plus what a subclass's `outputs` adds to them.

    Args:
        source: The policy to build on; it is frozen.
    """

    low: Tensor
    high: Tensor

    def __init__(self, source: Actor) -> None:
        nn.Module.__init__(self)  # instead of Actor's own, which would make a body and a head
        self.source = source.requires_grad_(False)
        self.normalizer, self.front = source.normalizer, source.front
        self.register_buffer("low", source.low.clone())
        self.register_buffer("high", source.high.clone())


def mixed_with(learner: type[ActorCritic], method: type[OnSource]) -> type[ActorCritic]:
    """Return the learner with its networks built on a source by a method.

    Raises:
        ValueError: If the learner is no actor-critic, whose networks a method knows.
    """
    if not issubclass(learner, ActorCritic):
        name = method.__name__.lower()
        raise ValueError(
            f"{name} builds on a Gaussian policy and its critics, which {learner.__name__} lacks"
        )
    return type(f"{method.__name__}{learner.__name__}", (method, learner), {"__doc__": method.__doc__})


def begin_on(
    agent: ActorCritic, method: type[OnSource], changes: Mapping[str, Any], seed: int
) -> ActorCritic:
    """Make a learner that has an agent's networks as its source and at first acts exactly like it.

    The temperature is carried over. A network that is not built on a source goes on from the agent's own.

    Args:
        agent: The source; it stays as it is.
        method: How the networks are built on it.
        changes: Settings that differ from the agent's.
        seed: Seed of the new weights and of the learner's draws.

    Raises:
        ValueError: If the agent is no actor-critic.
    """
    kind = mixed_with(type(agent), method)
    config = type(agent.config).model_validate({**agent.config.model_dump(), **changes, "trainable": "all"})
    made = kind(agent.observation_space, agent.action_space, config, seed, agent.compute_reward)
    for name, network in made.networks.items():
        grown = hasattr(network, "source")
        # A target that trails a source which never moves would never catch up with it.
        origin = agent.networks["critic" if grown and name == "target" else name]
        (network.get_submodule("source") if grown else network).load_state_dict(origin.state_dict())
    with torch.no_grad():
        made.log_alpha.copy_(agent.log_alpha)
    return made


def another(module: nn.Module, widen: int, generator: torch.Generator) -> nn.Module:
    """Return a module like another: newly drawn and with an input `widen` times as wide if it has weights."""
    if isinstance(module, nn.Linear):
        return linear(widen * module.in_features, module.out_features, generator)
    if isinstance(module, StackedLinear):
        members, inputs, outputs = module.weight.shape
        return StackedLinear(members, widen * inputs, outputs, generator)
    return copy.deepcopy(module)


def silent(head: nn.Module) -> nn.Module:
    """Set a last layer to zero, so that it adds nothing until it has learned, and return it."""
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    return head
