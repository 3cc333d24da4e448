"""Finds a model on which every term of a program can act, or says which terms an environment cannot take."""

from collections.abc import Mapping
from typing import Any

from randomizers import Distortion, Randomizer
from randomizers.inertia import general_bodies
from randomizers.words import listing
from sim2real.envs.paths import refuse_channels
from sim2real.envs.registry import is_native, make_task
from sim2real.envs.wrapper import needs_steps
from sim2real.spec import Problem, Program, ProgramError


def fit(name: str, options: Mapping[str, Any], program: Program) -> Program:
    """Return the program, bound to a model of the environment that can take all its terms.

    Args:
        name: A native task, a Gymnasium id, or `package.module:Class`.
        options: The environment's own arguments.
        program: What may vary, bound to the environment's nominal model.

    Raises:
        ProgramError: With every term that the environment cannot take.
        ValueError: If the environment cannot be made.
    """
    if is_native(name):
        task = make_task(name, options)
        if any(bound.term.channels for bound in program.terms(Distortion)):
            for path, width in zip(("observation", "action"), task.sizes(task.compile()), strict=True):
                refuse_channels(program, path, width)
        bodies = [program.model.body(i).name for ids in simplified(program).values() for i in ids]
        if not bodies:
            return program
        task.general = tuple(dict.fromkeys(bodies))
        return program.rebound(task.compile())
    refuse_simplified(program)
    if any(needs_steps(bound.term) for bound in program.bound):
        from sim2real.envs.foreign import try_out

        try_out(name, options, program)
    return program


def simplified(program: Program) -> dict[str, list[int]]:
    """Return by term the bodies whose centre of mass it moves although MuJoCo compiled them simplified."""
    found = {
        bound.name: [int(i) for i in general_bodies(bound.term, program.model)]
        for bound in program.terms(Randomizer)
    }
    return {name: ids for name, ids in found.items() if ids}


def refuse_simplified(program: Program) -> None:
    """Refuse to move centres of mass that a model compiled elsewhere cannot move.

    Raises:
        ProgramError: With every such term.
    """
    problems = [
        Problem(
            ("randomize", name),
            f"MuJoCo compiled {listing(program.model.body(i).name for i in ids)} in a simplified form, whose "
            "centre of mass cannot move; give the body simple='false' in the MJCF, or use a native task",
        )
        for name, ids in simplified(program).items()
    ]
    if problems:
        raise ProgramError(problems)
