"""Makes environments from names and programs: one door for training, evaluation and Gymnasium."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from sim2real.envs.domains import Domains, from_source
from sim2real.envs.fit import fit, refuse_simplified
from sim2real.envs.pixels import PixelObservation, VectorPixelObservation
from sim2real.envs.registry import is_native, make_task, nominal_model
from sim2real.envs.single import TaskEnv
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wants import NOTHING, Wants
from sim2real.envs.wrapper import RandomizedEnv, model_of
from sim2real.spec import Catalog, Program, load


def make_worlds(
    name: str,
    options: Mapping[str, Any],
    program: Program,
    num_envs: int,
    domains: Domains | None = None,
    seed: int = 0,
    threads: int = 0,
    render_mode: str | None = None,
    same_step: bool = True,
    wants: Wants = NOTHING,
) -> VectorEnv[Any, Any, Any]:
    """Make N worlds of any environment that a spec can name.

    Args:
        name: A native task, a Gymnasium id, or `package.module:Class`.
        options: The environment's own arguments.
        program: What may vary, bound to the environment's model.
        num_envs: N.
        domains: Where the domains come from; by default the program's whole source.
        seed: Seed until `reset` is given one.
        threads: Physics threads of native tasks, 0 for all processors.
        render_mode: `rgb_array`, or None.
        same_step: Whether ended worlds reset in the same step; if not, they first show how they ended.
        wants: What they show besides observations, and how long they keep a domain.

    Raises:
        ValueError: If it cannot be made or cannot be randomized.
    """
    made: VectorEnv[Any, Any, Any]
    domains = wants.tried(domains or from_source(program))
    same_step = same_step and not wants.in_step
    if is_native(name):
        task = make_task(name, options)
        task.compile()
        made = TaskVectorEnv(task, num_envs, program, domains, seed, threads, same_step, render_mode)
    else:
        from sim2real.envs.foreign import foreign_vector

        made = foreign_vector(name, options, program, num_envs, domains, seed, render_mode, same_step)
    made.metadata = {**made.metadata, "in_step": wants.in_step}
    return wants.shown(made, program)


def make_vector(
    task: str, num_envs: int = 1, spec: str | Path | None = None, **options: Any
) -> TaskVectorEnv:
    """Make N worlds of a native task; entry point of `gym.make_vec("sim2real/…")`.

    Args:
        task: A native task's name.
        num_envs: N.
        spec: A spec file whose `randomize` section is the source; None for nominal worlds only.
        options: Arguments of `TaskVectorEnv` (`seed`, `threads`, `render_mode`, …) or of the task.

    Raises:
        SpecError: If the spec is wrong.
        ValueError: If the task is unknown, the spec is of another one, or an option is.
    """
    known = ("domains", "seed", "threads", "autoreset", "render_mode")
    own = {key: options.pop(key) for key in known if key in options}
    if spec is None:
        made = make_task(task, options)
        return TaskVectorEnv(made, num_envs, Program(made.compile(), {}), **own)
    bundle = load(spec, Catalog(nominal_model, fit=fit))
    if bundle.spec.env != task:
        raise ValueError(f"{spec} is a spec of {bundle.spec.about}, not of {task}")
    options = {**bundle.spec.env_options, **options}
    made = make_task(task, options)
    # Options may change the model, so the terms are bound to the very one that is simulated.
    program = fit(task, options, bundle.program.rebound(made.compile()))
    return TaskVectorEnv(made, num_envs, program, **own)


def make_single(task: str, spec: str | Path | None = None, **options: Any) -> TaskEnv:
    """Make one world of a native task as a `gymnasium.Env`; entry point of `gym.make("sim2real/…")`.

    Arguments and errors as for `make_vector`.
    """
    return TaskEnv(make_vector(task, 1, spec, autoreset=False, **options))


def randomize(
    env: gym.Env[Any, Any], spec: str | Path, seed: int = 0, domains: Domains | None = None
) -> gym.Env[Any, Any]:
    """Randomize any Gymnasium environment that simulates with MuJoCo, as a spec's `randomize` section says.

    Args:
        env: The environment, as `gym.make` or a class of your own makes it.
        spec: A spec file; its `env` must be this environment's id, if it has one.
        seed: Seed of the draws until `reset` is given one; environments with the same one draw alike.
        domains: Where the domains come from; by default the spec's whole source.

    Returns:
        The same environment, wrapped; for a native task (`sim2real/…`) a new one of its own kind.

    Raises:
        SpecError: If the spec is wrong.
        ProgramError: With every term that this environment cannot take.
        ValueError: If the spec is of another environment, or this one has no MuJoCo model.
    """
    if isinstance(env, VectorEnv):
        raise ValueError('randomize takes single environments; for N worlds use gym.make_vec("sim2real/…")')
    native = env.unwrapped if isinstance(env.unwrapped, TaskEnv) else None
    model = native.vector.program.model if native is not None else copy.copy(model_of(env))
    # The terms are bound to a copy of the environment's own model, whatever made it: the nominal one.
    bundle = load(spec, Catalog(lambda name, options: model))
    own = env.spec.id if env.spec is not None else None
    if own is not None and bundle.spec.env not in (own, own.removeprefix("sim2real/")):
        raise ValueError(f"{spec} is a spec of {bundle.spec.about}, not of {own}")
    if native is not None:
        vector = native.vector
        program = fit(bundle.spec.env, {}, bundle.program)
        made = TaskVectorEnv(vector.task, 1, program, domains, seed, 1, False, vector.render_mode)
        return TaskEnv(made)
    refuse_simplified(bundle.program)
    return RandomizedEnv(env, bundle.program, domains, seed)


def pixels(
    env: Any, size: tuple[int, int] = (84, 84), camera: str | int | None = None, keep_state: bool = False
) -> PixelObservation | VectorPixelObservation:
    """Observe pictures of an environment, under the looks and lenses of its spec.

    Args:
        env: What `randomize`, `gym.make("sim2real/…")` or `gym.make_vec("sim2real/…")` made.
        size: Width and height [pixel].
        camera: Name of a camera of the model; None for the usual one.
        keep_state: Observe a dictionary of `pixels` and `state`.

    Raises:
        ValueError: If it takes no pictures, or its spec delays or distorts observations, which pictures
            would not follow.
    """
    if isinstance(env, VectorEnv):
        return VectorPixelObservation(env, size, camera, keep_state)
    return PixelObservation(env, size, camera, keep_state)
