"""The transfer methods by name, as the spec file's `train.algorithm` names them beside the learners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from gymnasium import spaces

from sim2real.agents import Agent, RewardFn
from sim2real.transfer.distillation import Distillation, DistillationConfig, Load
from sim2real.transfer.online import OnlineDistillation, OnlineDistillationConfig
from sim2real.transfer.student import StudentConfig


class _Make(Protocol):
    def __call__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: Any,
        seed: int,
        compute_reward: RewardFn | None,
        load: Load,
    ) -> Agent: ...


class Method(NamedTuple):
    """A method and the model that validates its settings.

    Attributes:
        make: Makes its agent; `load` returns the trained agent of a run folder.
        config: Its settings.
    """

    make: _Make
    config: type[StudentConfig]


def _online(
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    config: Any,
    seed: int,
    compute_reward: RewardFn | None,
    load: Load,
) -> Agent:
    del load
    return OnlineDistillation(observation_space, action_space, config, seed, compute_reward)


METHODS: dict[str, Method] = {
    "distillation": Method(Distillation, DistillationConfig),
    "online_distillation": Method(_online, OnlineDistillationConfig),
}


def make_method(
    name: str,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    config: Mapping[str, Any],
    seed: int,
    compute_reward: RewardFn | None,
    load: Load,
) -> Agent:
    """Make a method's agent from plain settings.

    Args:
        name: A key of `METHODS`.
        observation_space: Space of one world's observations.
        action_space: Space of one world's actions.
        config: Settings that differ from the defaults.
        seed: Seed of the agent's weights and draws.
        compute_reward: The environment's goal reward, for hindsight.
        load: Returns the trained agent of a run folder.

    Raises:
        ValueError: If a setting is unknown or out of range.
    """
    method = METHODS[name]
    settings = method.config.model_validate(dict(config))
    return method.make(observation_space, action_space, settings, seed, compute_reward, load)
