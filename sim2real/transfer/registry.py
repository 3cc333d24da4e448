"""The transfer methods by name, as the spec file's `train.algorithm` names them beside the learners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from gymnasium import spaces
from pydantic import BaseModel

from sim2real.agents import Agent, RewardFn
from sim2real.envs.joined import check_members
from sim2real.envs.registry import is_native
from sim2real.envs.wants import NOTHING, Wants
from sim2real.spec import Bundle, Problem, Program, Spec
from sim2real.transfer.asymmetric import Asymmetric, AsymmetricConfig
from sim2real.transfer.cadm import CaDM, CaDMConfig
from sim2real.transfer.distillation import Distillation, DistillationConfig, Load
from sim2real.transfer.history_sac import HistorySAC, HistorySACConfig
from sim2real.transfer.maml import MAML, MAMLConfig
from sim2real.transfer.mbpo import MBPO, MBPOConfig
from sim2real.transfer.modular import Modular, ModularConfig, check_modular
from sim2real.transfer.online import OnlineDistillation, OnlineDistillationConfig
from sim2real.transfer.pets import PETS, PETSConfig
from sim2real.transfer.recurrent_sac import RecurrentSAC, RecurrentSACConfig
from sim2real.transfer.reptile import Reptile, ReptileConfig
from sim2real.transfer.rl2 import RL2, RL2Config
from sim2real.transfer.rma import RMA, RMAConfig
from sim2real.transfer.universal import Universal, UniversalConfig
from sim2real.transfer.up_osi import UPOSI, UPOSIConfig


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
    config: type[BaseModel]


def _alone(agent: Callable[..., Agent], config: type[BaseModel]) -> Method:
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
    "modular": _alone(Modular, ModularConfig),
    "maml": _alone(MAML, MAMLConfig),
    "reptile": _alone(Reptile, ReptileConfig),
    "history_sac": _alone(HistorySAC, HistorySACConfig),
    "recurrent_sac": _alone(RecurrentSAC, RecurrentSACConfig),
    "rl2": _alone(RL2, RL2Config),
    "pets": _alone(PETS, PETSConfig),
    "cadm": _alone(CaDM, CaDMConfig),
    "mbpo": _alone(MBPO, MBPOConfig),
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


def wanted(bundle: Bundle) -> Wants:
    """Return what the worlds of one environment of a spec are to show; of a set, their label too."""
    settings = bundle.spec.train
    return replace(wants_of(settings.algorithm, settings.agent), label=bundle.label)


def check_set(spec: Spec, members: Mapping[str, Bundle]) -> list[Problem]:
    """Return what is wrong with a set of environments, in itself and for the spec's algorithm."""
    found = check_members(spec, members) or check_modular(spec, members)
    if members and spec.train.algorithm == "distillation":
        message = "teaches in one environment, and a set has several"
        found.append(Problem(("train", "algorithm"), f"distillation {message}"))
    return found


def check_validation(spec: Spec, program: Program) -> None:
    """Refuse a method that chooses its policy by validation where there is none.

    Raises:
        ValueError: Saying so.
    """
    del program
    if spec.train.algorithm == "online_distillation" and not spec.train.validate_on:
        raise ValueError("online_distillation chooses its policy by validation: give it some, such as 20")


def check_domain(spec: Spec, program: Program) -> None:
    """Refuse a policy that acts on what it knows of the domain where nothing varies.

    Raises:
        ValueError: Saying so.
    """
    if _acts_on_domain(spec.train.algorithm) and not program.d:
        raise ValueError(f"{spec.train.algorithm} acts on what it knows of the domain, but nothing varies")


def check_groups(spec: Spec, program: Program) -> None:
    """Refuse worlds, or a curriculum, with which the trials that a method wants are none.

    Raises:
        ValueError: Saying why.
    """
    del program
    settings, wants = spec.train, wants_of(spec.train.algorithm, spec.train.agent)
    if wants.in_step and not is_native(spec.env):
        raise ValueError(f"{settings.algorithm} needs a native task, whose worlds begin episodes together")
    if (worlds := settings.num_envs or 128) % wants.together:
        raise ValueError(
            f"{settings.algorithm} wants worlds in groups of {wants.together}, given {worlds}; "
            f"take {-(-worlds // wants.together) * wants.together}"
        )
    if wants.episodes * wants.together > 1 and settings.curriculum:
        raise ValueError(f"{settings.algorithm} keeps domains for trials, curricula draw one an episode")


def untold(algorithm: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a policy that acts on nothing it is told: one that knew a single domain only.

    Args:
        algorithm: Its name.
        settings: Its settings.
    """
    return {**settings, "context": "hidden"} if _acts_on_domain(algorithm) else dict(settings)


def _acts_on_domain(algorithm: str) -> bool:
    method = METHODS.get(algorithm)
    return method is not None and "context" in method.config.model_fields


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
