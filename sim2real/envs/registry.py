"""Environments by name, and their registration with Gymnasium."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import mujoco

    from sim2real.envs.task import Task

# Named here as text, so that listing and registering import no simulator.
NATIVE = (
    "Hopper-v5",
    "Walker2d-v5",
    "HalfCheetah-v5",
    "Swimmer-v5",
    "Ant-v5",
    "Humanoid-v5",
    "InvertedPendulum-v5",
    "InvertedDoublePendulum-v5",
    "Reacher-v5",
    "Pusher-v5",
    "FetchReach-v4",
    "FetchReachDense-v4",
    "FetchPush-v4",
    "FetchPushDense-v4",
    "FetchSlide-v4",
    "FetchSlideDense-v4",
    "FetchPickAndPlace-v4",
    "FetchPickAndPlaceDense-v4",
    "AdroitHandDoor-v1",
    "AdroitHandDoorSparse-v1",
    "PointGoals-v0",
    "PointCorridors-v0",
    "PointLine-v0",
    "PlanarArm-v0",
    "PointNavigation-v0",
    "PointWind-v0",
    "SO101Reach-v0",
    "SO101Track-v0",
    "SO101Push-v0",
)

TIME_LIMIT = "max_episode_steps"
"""The option that every task has."""


def make_task(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """Make a native task by its name, such as `FetchPushDense-v4`, or your own as `package.module:Class`.

    Args:
        name: Its name.
        options: Its own arguments; and for any task `max_episode_steps`, as `gymnasium.make` takes it.

    Raises:
        ValueError: If there is none, or it does not know an option.
    """
    from randomizers.words import did_you_mean

    given = dict(options or {})
    made = own_task(name)
    if made is None and name in NATIVE:
        from sim2real.envs.tasks import TASKS

        for reward_type in ("Dense", "Sparse"):
            if reward_type in name:
                given.setdefault("reward_type", reward_type.lower())
        made = TASKS[name.replace("Dense", "").replace("Sparse", "")]
    if made is None:
        raise ValueError(f"unknown environment '{name}'{did_you_mean(name, NATIVE)}")
    own = list(inspect.signature(made).parameters)
    for key in given:
        if key not in (*own, TIME_LIMIT):
            raise ValueError(f"{name} has no option '{key}'{did_you_mean(key, (*own, TIME_LIMIT))}")
    if inspect.isabstract(made):
        missing = ", ".join(sorted(made.__abstractmethods__))
        raise ValueError(f"{name} cannot be made: it does not define {missing}")
    limit = None if TIME_LIMIT in own else given.pop(TIME_LIMIT, None)
    task = made(**given)
    return task if limit is None else _limited(name, task, limit)


def _limited(name: str, task: Task, limit: Any) -> Task:
    """Return a task with another time limit [control steps].

    Raises:
        ValueError: If that is not a whole number of steps.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(f"{name}: {TIME_LIMIT} must be a whole number of control steps, given {limit!r}")
    task.max_episode_steps = limit
    return task


def is_native(name: str) -> bool:
    """Return whether `make_task` makes it: a native task's name, or a `package.module:Class` of a `Task`.

    Raises:
        ValueError: If there is no such class.
    """
    return name in NATIVE or own_task(name) is not None


def own_task(name: str) -> type[Task] | None:
    """Return the `Task` class that `package.module:Class` names; None for every other environment.

    Raises:
        ValueError: If there is no such class.
    """
    if ":" not in name:
        return None
    from sim2real.envs.task import Task

    found = load_class(name)
    return found if isinstance(found, type) and issubclass(found, Task) else None


def load_class(name: str, what: str = "environment") -> Any:
    """Import what `package.module:Class` names; modules are also looked for in the working directory.

    Args:
        name: Of a module and something in it.
        what: It is, for messages.

    Raises:
        ValueError: If there is no such module or class.
    """
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    # The console script does not have it on the path, `python -m` does.
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{what} '{name}' cannot be loaded: {error}") from None
    except (Exception, SystemExit) as error:  # whatever else a module does while it is imported
        raise ValueError(f"{what} '{name}' cannot be loaded: {type(error).__name__}: {error}") from error


def nominal_model(name: str, options: Mapping[str, Any] | None = None) -> mujoco.MjModel:
    """Return the nominal model of a native task, a Gymnasium id, or a `package.module:Class`.

    Raises:
        ValueError: If there is no such environment, or it does not know an option.
    """
    if is_native(name):
        return make_task(name, options).compile()
    from sim2real.envs.foreign import foreign_model

    return foreign_model(name, options or {})


def register() -> None:
    """Register every native task as `sim2real/NAME`, for `gym.make` and `gym.make_vec`."""
    import gymnasium as gym

    for name in NATIVE:
        if f"sim2real/{name}" not in gym.registry:
            gym.register(
                id=f"sim2real/{name}",
                entry_point="sim2real.envs.make:make_single",
                vector_entry_point="sim2real.envs.make:make_vector",
                kwargs={"task": name},
                disable_env_checker=True,
            )
