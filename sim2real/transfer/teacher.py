"""A teacher: a frozen Gaussian policy, with the critics that its students may be fine-tuned by."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from gymnasium import spaces
from torch import Tensor, nn

from sim2real.agents import AGENTS, Agent, RewardFn, make_agent
from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.networks import STD_FLOOR, Actor, Normalizer
from sim2real.transfer.student import Gaussian


class Teacher:
    """A policy that labels states; its observation statistics are part of it and never move.

    Args:
        learner: The actor-critic that it is the policy of; it must not learn on.
    """

    def __init__(self, learner: ActorCritic) -> None:
        self.learner = learner

    @classmethod
    def of(cls, agent: Agent) -> Teacher:
        """Make a teacher of an agent as it is now; what the agent learns later does not reach it.

        Of a distilled student the actor-critic that fine-tunes it is taken, so that a student can teach.

        Raises:
            ValueError: If it has no Gaussian policy.
        """
        # Few-shot adaptation asks any agent for the same: a copy of it that can be trained by reward.
        learner = agent.clone({"learning_starts": 0}, keep_replay=False)
        if not isinstance(learner, ActorCritic) or not isinstance(learner.actor, Actor):
            able = ", ".join(name for name, entry in AGENTS.items() if issubclass(entry.agent, ActorCritic))
            kind = type(agent).__name__
            raise ValueError(f"a teacher needs a Gaussian policy, which {kind} has not; {able} have one")
        return cls(learner)

    @property
    def normalizer(self) -> Normalizer:
        """The policy's observation statistics."""
        return self.learner.actor.normalizer

    @torch.no_grad()
    def label(self, obs: Tensor) -> Gaussian:
        """Return the policy's Gaussians before the tanh for raw observations `(n, obs)`."""
        actor = self.learner.actor
        return Gaussian(*actor.gaussian(actor.normalizer(obs)))

    def must_fit(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        """Compare spaces with a student's.

        Raises:
            ValueError: If they differ: the Gaussians before the tanh would mean other actions.
        """
        own = self.learner
        pairs = {
            "observation": (own.observation_space, observation_space),
            "action": (own.action_space, action_space),
        }
        for what, (there, here) in pairs.items():
            if there != here:
                raise ValueError(f"the teacher's {what} space is {there}, but the student's is {here}")

    def finetuner(self, student: Actor) -> ActorCritic:
        """Return this teacher's learner with a student in place of its policy, and with fresh optimizers.

        Its critics, which value what the teacher did and hence nearly what the student does, and its
        temperature stay, so that the first target episodes need not be spent on learning values anew.
        """
        own, hidden = self.learner, hidden_widths(student)
        config = own.config.model_copy(update={"actor_hidden": hidden})
        twin = type(own)(own.observation_space, own.action_space, config, 0, own.compute_reward)
        actor = rebased(student, own.actor.normalizer)
        _fill(twin, {**_networks(own), "actor": actor.state_dict()}, own.log_alpha)
        return twin

    def state_dict(self) -> dict[str, Any]:
        """Return a copy from which the teacher can be made without its run folder."""
        own = self.learner
        name = next(name for name, entry in AGENTS.items() if entry.config is type(own.config))
        return {
            "algorithm": name,
            "config": own.config.model_dump(),
            "networks": copy.deepcopy(_networks(own)),
            "log_alpha": own.log_alpha.detach().clone(),
        }

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Any],
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        compute_reward: RewardFn | None,
    ) -> Teacher:
        """Make the teacher again whose `state_dict` returned this."""
        named = state["algorithm"], observation_space, action_space, state["config"]
        learner = cast(ActorCritic, make_agent(*named, 0, compute_reward))
        _fill(learner, state["networks"], state["log_alpha"])
        return cls(learner)


def _networks(learner: ActorCritic) -> dict[str, Any]:
    return {name: network.state_dict() for name, network in learner.networks.items()}


def _fill(learner: ActorCritic, networks: Mapping[str, Any], log_alpha: Tensor) -> None:
    """Give a new learner networks and a temperature."""
    learner.load_state_dict({**learner.state_dict(), **networks, "log_alpha": log_alpha.detach()})


def hidden_widths(actor: Actor) -> tuple[int, ...]:
    """Return the widths of a policy's hidden layers."""
    return tuple(layer.out_features for layer in actor.body if isinstance(layer, nn.Linear))


@torch.no_grad()
def rebased(actor: Actor, normalizer: Normalizer) -> Actor:
    """Return the same policy on other observation statistics.

    Its first layer takes up the change of scale: with x = (o - m) / s and x' = (o - m') / s', the layer
    W x + b is W (s' / s) x' + b + W (m' - m) / s. That is exact but for rounding, and where neither clips.

    Args:
        actor: The policy; it stays as it is.
        normalizer: The statistics, which are copied.
    """
    twin, before = copy.deepcopy(actor), actor.normalizer
    twin.normalizer = copy.deepcopy(normalizer)
    std, new_std = (n.var.sqrt().clamp_min(STD_FLOOR) for n in (before, normalizer))
    layer = next(layer for layer in (*twin.body, twin.head) if isinstance(layer, nn.Linear))
    weight = layer.weight.double()
    layer.bias.add_((weight @ ((normalizer.mean - before.mean) / std)).float())
    layer.weight.copy_(weight * (new_std / std))
    return twin
