"""Makes environments from names and programs: one door for training, evaluation and Gymnasium."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv

from sim2real.envs.registry import NATIVE, make_task, nominal_model
from sim2real.envs.single import TaskEnv
from sim2real.envs.vector import Domains, TaskVectorEnv
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

    Raises:
        ValueError: If it cannot be made or cannot be randomized.
    """
    if name in NATIVE:
        task = make_task(name, options)
        task.compile()
        return TaskVectorEnv(task, num_envs, program, domains, seed, threads, same_step, render_mode)
    from sim2real.envs.foreign import foreign_vector

    return foreign_vector(name, options, program, num_envs, domains, seed, render_mode, same_step)


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
    terms = {}
    if spec is not None:
        bundle = load(spec, Catalog(nominal_model))
        if bundle.spec.env != task:
            raise ValueError(f"{spec} is a spec of {bundle.spec.env}, not of {task}")
        terms, options = bundle.spec.randomize, {**bundle.spec.env_options, **options}
    made = make_task(task, options)
    return TaskVectorEnv(made, num_envs, Program(made.compile(), terms), **own)


def make_single(task: str, spec: str | Path | None = None, **options: Any) -> TaskEnv:
    """Make one world of a native task as a `gymnasium.Env`; entry point of `gym.make("sim2real/…")`.

    Arguments and errors as for `make_vector`.
    """
    return TaskEnv(make_vector(task, 1, spec, autoreset=False, **options))
