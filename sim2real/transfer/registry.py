"""The transfer methods by name, as the spec file's `train.algorithm` names them beside the learners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gymnasium import spaces

from sim2real.agents import Agent, RewardFn
from sim2real.envs.wants import NOTHING, Wants
from sim2real.spec import Program, Spec
from sim2real.transfer.asymmetric import Asymmetric, AsymmetricConfig
from sim2real.transfer.contextual import ContextualConfig
from sim2real.transfer.distillation import Distillation, DistillationConfig, Load
from sim2real.transfer.history_sac import HistorySAC, HistorySACConfig
from sim2real.transfer.memory import MemoryConfig
from sim2real.transfer.online import OnlineDistillation, OnlineDistillationConfig
from sim2real.transfer.recurrent_sac import RecurrentSAC, RecurrentSACConfig
from sim2real.transfer.rl2 import RL2, RL2Config
from sim2real.transfer.rma import RMA, RMAConfig
from sim2real.transfer.student import StudentConfig
from sim2real.transfer.universal import Universal, UniversalConfig
from sim2real.transfer.up_osi import UPOSI, UPOSIConfig

_Settings = StudentConfig | ContextualConfig | MemoryConfig


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
    config: type[_Settings]


def _alone(agent: Callable[..., Agent], config: type[_Settings]) -> Method:
    """Return a method whose agent learns from no other run."""

    def make(
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: Any,
        seed: int,
        compute_reward: RewardFn | None,
        load: Load,
    ) -> Agent:
        del load
        return agent(observation_space, action_space, config, seed, compute_reward)

    return Method(make, config)


METHODS: dict[str, Method] = {
    "distillation": Method(Distillation, DistillationConfig),
    "online_distillation": _alone(OnlineDistillation, OnlineDistillationConfig),
    "universal": _alone(Universal, UniversalConfig),
    "up_osi": _alone(UPOSI, UPOSIConfig),
    "rma": _alone(RMA, RMAConfig),
    "asymmetric": _alone(Asymmetric, AsymmetricConfig),
    "history_sac": _alone(HistorySAC, HistorySACConfig),
    "recurrent_sac": _alone(RecurrentSAC, RecurrentSACConfig),
    "rl2": _alone(RL2, RL2Config),
}


def wants_of(algorithm: str, settings: Mapping[str, Any]) -> Wants:
    """Return what an algorithm wants of its worlds: the `wants` of its settings, if they have any.

    Args:
        algorithm: Its name.
        settings: Its settings, which are right.
    """
    method = METHODS.get(algorithm)
    if method is None:
        return NOTHING
    return getattr(method.config.model_validate(dict(settings)), "wants", NOTHING)


def check_validation(spec: Spec, program: Program) -> None:
    """Refuse a method that chooses its policy by validation where there is none.

    Raises:
        ValueError: Saying so.
    """
    del program
    if spec.train.algorithm == "online_distillation" and not spec.train.validate_on:
        raise ValueError("online_distillation chooses its policy by validation: give it some, such as 20")


def untold(algorithm: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a policy that acts on nothing it is told: one that knew a single domain only.

    Args:
        algorithm: Its name.
        settings: Its settings.
    """
    method = METHODS.get(algorithm)
    acts = method is not None and "context" in method.config.model_fields
    return {**settings, "context": "hidden"} if acts else dict(settings)


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
