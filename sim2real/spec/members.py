"""Sets of environments: what each member is called, and what is wrong with several of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from randomizers.words import listing
from sim2real.spec.model import Member, Spec
from sim2real.spec.source import Problem


@dataclass(frozen=True)
class Label:
    """Which task is done in a world, and by which robot: an index each, and of how many.

    Attributes:
        task: Of the tasks of all members, held-out ones too, in the order in which they appear.
        robot: Likewise; one of one where members name no robots.
    """

    task: tuple[int, int]
    robot: tuple[int, int]


def labels(members: Mapping[str, Member]) -> dict[str, Label]:
    """Return every member's label, by name."""
    tasks = list(dict.fromkeys(member.task for member in members.values()))
    robots = list(dict.fromkeys(member.robot for member in members.values()))
    return {
        name: Label(
            (tasks.index(member.task), len(tasks)),
            (robots.index(member.robot), len(robots)),
        )
        for name, member in members.items()
    }


def alone(spec: Spec, member: Member) -> Spec:
    """Return a set's spec for one of its members: an ordinary one, with all else alike."""
    return spec.model_copy(update={"env": member.env, "env_options": member.options, "envs": {}})


def together(found: Mapping[str, list[Problem]]) -> list[Problem]:
    """Return the problems of all members, each said once: of whom, unless it is of all."""
    who: dict[Problem, list[str]] = {}
    for name, problems in found.items():
        for problem in problems:
            who.setdefault(_placed(name, problem), []).append(name)
    return [
        problem
        if len(names) == len(found) or problem.path[:1] == ("envs",)
        else Problem(problem.path, f"{problem.message} (in {listing(names, most=4)})")
        for problem, names in who.items()
    ]


def _placed(name: str, problem: Problem) -> Problem:
    """Say of what is wrong with an environment itself where it stands in the set."""
    section, *rest = problem.path
    own = {"env": "env", "env_options": "options"}.get(str(section))
    return problem if own is None else Problem(("envs", name, own, *rest), problem.message)
