"""Environments that are not ours: by Gymnasium id, or as `package.module:Class`."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import mujoco
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from randomizers.words import did_you_mean
from sim2real.envs.compat import patch_gymnasium_robotics
from sim2real.envs.registry import NATIVE
from sim2real.envs.vector import Domains
from sim2real.envs.wrapper import RandomizedEnv, model_of
from sim2real.spec import Program


def foreign_model(name: str, options: Mapping[str, Any]) -> mujoco.MjModel:
    """Return the model of a foreign environment; an empty one if it has none.

    Raises:
        ValueError: If there is no such environment, or it cannot be made.
    """
    maker = find(name)
    env = _make(maker, name, options if not _is_vector(maker) else {**options, "num_envs": 1})
    try:
        return mujoco.MjSpec().compile() if isinstance(env, VectorEnv) else model_of(env)
    finally:
        env.close()


def foreign_vector(
    name: str,
    options: Mapping[str, Any],
    program: Program,
    num_envs: int,
    domains: Domains | None = None,
    seed: int = 0,
    render_mode: str | None = None,
    same_step: bool = True,
) -> VectorEnv[Any, Any, Any]:
    """Make N foreign environments, each randomized where the program varies anything.

    Raises:
        ValueError: If there is no such environment, it cannot be made, or it cannot be randomized.
    """
    maker = find(name)
    if _is_vector(maker):
        if program.d:
            raise ValueError(f"{name} is a vector environment of its own and cannot be randomized")
        return _make(maker, name, {**options, "num_envs": num_envs})
    if render_mode is not None:
        options = {**options, "render_mode": render_mode}

    def one(world: int) -> gym.Env[Any, Any]:
        env = _make(maker, name, options)
        return RandomizedEnv(env, program, domains, seed, world) if program.d else env

    makers = [lambda world=world: one(world) for world in range(num_envs)]
    mode = AutoresetMode.SAME_STEP if same_step else AutoresetMode.NEXT_STEP
    return SyncVectorEnv(makers, autoreset_mode=mode)


def find(name: str) -> Callable[..., Any]:
    """Find what makes an environment: a class, or `gym.make` of an id.

    Raises:
        ValueError: If there is none; names the nearest.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"environment '{name}' cannot be loaded: {error}") from None
    if name not in gym.registry:
        _register_robotics()
    if name not in gym.registry:
        known = [*NATIVE, *(key for key in gym.registry if "sim2real/" not in key)]
        hint = did_you_mean(name, known)
        hint = hint if hint.startswith("; did") else did_you_mean("", NATIVE)
        raise ValueError(f"unknown environment '{name}'{hint}")
    return lambda **options: gym.make(name, **options)


def _register_robotics() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
    patch_gymnasium_robotics()


def _is_vector(maker: Any) -> bool:
    return isinstance(maker, type) and issubclass(maker, VectorEnv)


def _make(maker: Callable[..., Any], name: str, options: Mapping[str, Any]) -> Any:
    try:
        return maker(**options)
    except (gym.error.Error, TypeError, ValueError) as error:
        raise ValueError(f"environment '{name}' cannot be made: {error}") from None
