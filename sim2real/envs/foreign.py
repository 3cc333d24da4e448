"""Environments that are not ours: by Gymnasium id, or as `package.module:Class`."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from randomizers.words import did_you_mean
from sim2real.envs.domains import Domains
from sim2real.envs.registry import NATIVE, load_class
from sim2real.envs.task import try_file
from sim2real.envs.wrapper import RandomizedEnv, model_of
from sim2real.spec import Program


def foreign_model(name: str, options: Mapping[str, Any]) -> mujoco.MjModel:
    """Return the model of a foreign environment; an empty one if it has none.

    Raises:
        ValueError: If there is no such environment, or it cannot be made.
    """
    maker = find(name)
    file = options.get("xml_file")
    if isinstance(file, str) and file.startswith((".", "/", "~")):  # any other is Gymnasium's own
        try_file(Path(file).expanduser())
    env = _make(maker, name, options if not _is_vector(maker) else {**options, "num_envs": 1})
    try:
        return mujoco.MjSpec().compile() if isinstance(env, VectorEnv) else model_of(env)
    except Exception as error:  # it is made, but cannot be reset
        source = f" from {file}" if file else ""
        words = f"environment '{name}' cannot be used{source}: {type(error).__name__}: {error}"
        raise ValueError(words) from error
    finally:
        env.close()


class ForeignVectorEnv(SyncVectorEnv):
    """Foreign environments one after the other, with the goal reward of the first where it has one."""

    @property
    def compute_reward(self) -> Callable[..., Any]:
        """The environments' reward of goals (n, g), for hindsight relabelling.

        Raises:
            AttributeError: If they have none.
        """
        return self.envs[0].unwrapped.compute_reward  # type: ignore[attr-defined]


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
    return ForeignVectorEnv(makers, autoreset_mode=mode)


def try_out(name: str, options: Mapping[str, Any], program: Program) -> None:
    """Make one such environment and randomize it, to learn whether it can take every term.

    Raises:
        ProgramError: With every term it cannot take.
        ValueError: If it cannot be made, or is a vector environment of its own.
    """
    maker = find(name)
    if _is_vector(maker):
        raise ValueError(f"{name} is a vector environment of its own and cannot be randomized")
    env = _make(maker, name, options)
    try:
        RandomizedEnv(env, program)
    finally:
        env.close()


def find(name: str) -> Callable[..., Any]:
    """Find what makes an environment: a class, or `gym.make` of an id.

    Raises:
        ValueError: If there is none; names the nearest.
    """
    if ":" in name:
        return load_class(name)
    if name not in gym.registry:
        _register(name)
    if name not in gym.registry:
        known = [*NATIVE, *(key for key in gym.registry if "sim2real/" not in key)]
        hint = did_you_mean(name, known)
        hint = hint if hint.startswith("; did") else did_you_mean("", NATIVE)
        raise ValueError(f"unknown environment '{name}'{hint}")
    return lambda **options: gym.make(name, **options)


def _register(name: str) -> None:
    """Register gymnasium-robotics' environments, and dm_control's if the name is one of theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
        if name.startswith("dm_control/"):
            try:
                import dm_control  # type: ignore[import-not-found]  # noqa: F401
                import shimmy  # type: ignore[import-not-found]
            except ImportError as error:
                raise ValueError(
                    f"environment '{name}' needs dm_control: pip install 'sim2real[dm-control]' ({error})"
                ) from None
            gym.register_envs(shimmy)


def _is_vector(maker: Any) -> bool:
    return isinstance(maker, type) and issubclass(maker, VectorEnv)


def _make(maker: Callable[..., Any], name: str, options: Mapping[str, Any]) -> Any:
    file = options.get("xml_file")
    what = f"environment '{name}' cannot be made" + (f" from {file}" if isinstance(file, str) else "")
    try:
        made = maker(**options)
    except (gym.error.Error, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None
    except (Exception, SystemExit) as error:  # whatever else it does: it is not ours
        raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
    if not isinstance(made, gym.Env | VectorEnv):
        raise ValueError(f"'{name}' is no Gymnasium environment: it makes a {type(made).__name__}")
    return made
