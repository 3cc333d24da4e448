"""Whom a student learns from, and where: teachers of different dynamics each teach in worlds of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from randomizers.words import did_you_mean, shown
from sim2real.envs.domains import Domains, dealt, fixed, from_source
from sim2real.runs import RunError
from sim2real.spec import Bundle, Target


class _Lesson(BaseModel):
    """A teacher's run folder, and the target that its worlds are, or None for the student's source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(description="The teacher's run folder.")
    at: str | None = Field(None, description="Target that its worlds are; by default they are the source.")


def _lesson(raw: object) -> object:
    return {"run": raw} if isinstance(raw, str) else raw


Lesson = Annotated[_Lesson, BeforeValidator(_lesson)]
"""`{run: folder, at: target}`, or a run folder alone."""


def taught_in(lessons: Sequence[_Lesson], bundle: Bundle) -> Domains | None:
    """Return the domains of a student's worlds: of n lessons number i is given in worlds i, i + n, ...

    Args:
        lessons: Of all teachers.
        bundle: The student's spec.

    Returns:
        The domains, or None if all of them are the student's source.

    Raises:
        RunError: If a lesson is at a target that does not exist or is held out, or a curriculum draws the
            worlds.
    """
    if not any(one.at for one in lessons):
        return None
    for number, one in enumerate(lessons):
        if wrong := _wrong(one.at, bundle):
            raise RunError(f"train.agent.teachers[{number}].at: {wrong}")
    source = from_source(bundle.program)
    return dealt([fixed(bundle.targets[one.at].v) if one.at else source for one in lessons])


def _wrong(target: str | None, bundle: Bundle) -> str:
    if target is None:
        return ""
    if target not in bundle.targets:
        return f"no target {shown(target)}{did_you_mean(target, bundle.targets)}"
    said = bundle.spec.targets[target]
    if not (isinstance(said, Target) and said.inside):
        return f"{shown(target)} is held out, and would not be if it were trained at; say inside: true of it"
    if bundle.spec.train.curriculum:
        return "a curriculum draws all worlds itself; take the one or the other"
    return ""
