"""Environments by name, and their registration with Gymnasium."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import gymnasium as gym

if TYPE_CHECKING:
    from collections.abc import Mapping

    import mujoco

    from sim2real.envs.task import Task

# Named here as text, so that listing and registering import no simulator.
NATIVE = (
    "Hopper-v5",
    "HalfCheetah-v5",
    "InvertedDoublePendulum-v5",
    "Pusher-v5",
    "FetchReach-v4",
    "FetchReachDense-v4",
    "FetchPush-v4",
    "FetchPushDense-v4",
)


def make_task(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """Make a native task by its name, such as `FetchPushDense-v4`.

    Raises:
        ValueError: If there is none, or it does not know an option.
    """
    from randomizers.words import did_you_mean
    from sim2real.envs.tasks import TASKS

    if name not in NATIVE:
        raise ValueError(f"unknown environment '{name}'{did_you_mean(name, NATIVE)}")
    given = dict(options or {})
    if "Dense" in name:
        given.setdefault("reward_type", "dense")
    made = TASKS[name.replace("Dense", "")]
    known = list(inspect.signature(made).parameters)
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known) if known else "; it takes none"
            raise ValueError(f"{name} has no option '{key}'{hint}")
    return made(**given)


def nominal_model(name: str, options: Mapping[str, Any] | None = None) -> mujoco.MjModel:
    """Return the nominal model of a native task, a Gymnasium id, or a `package.module:Class`.

    Raises:
        ValueError: If there is no such environment, or it does not know an option.
    """
    if name in NATIVE:
        return make_task(name, options).compile()
    from sim2real.envs.foreign import foreign_model

    return foreign_model(name, options or {})


def register() -> None:
    """Register every native task as `sim2real/NAME`, for `gym.make` and `gym.make_vec`."""
    for name in NATIVE:
        if f"sim2real/{name}" not in gym.registry:
            gym.register(
                id=f"sim2real/{name}",
                entry_point="sim2real.envs.make:make_single",
                vector_entry_point="sim2real.envs.make:make_vector",
                kwargs={"task": name},
                disable_env_checker=True,
            )
