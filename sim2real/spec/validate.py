"""Plain data → validated Spec, section by section, with every mistake and no exception."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from randomizers import Term, lookup, names
from randomizers.words import did_you_mean, listing, shown
from sim2real.spec.model import Evaluate, Spec, Target, Train
from sim2real.spec.source import Path as SpecPath
from sim2real.spec.source import Problem, Source
from sim2real.spec.wording import plain_problems

M = TypeVar("M", bound=BaseModel)
Agents = Mapping[str, type[BaseModel]]

# Names become file names, parts of `a.b=value`, and items of comma-separated lists.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
# What evaluation and `inside: true` mean by these words.
RESERVED = {"randomize": ("inside",), "targets": ("source", "nominal")}


def validate(source: Source, agents: Agents | None, text: str) -> tuple[Spec, list[Problem]]:
    """Validate everything that needs no model.

    Args:
        source: The document.
        agents: Each algorithm's settings class; None leaves them unchecked.
        text: The document as text, kept in the spec.

    Returns:
        The spec, in which whatever was refused is left out or is at its default; and the problems.
    """
    data = cast(dict[str, Any], source.data)
    problems = list(source.problems)
    known = [name for name in Spec.model_fields if name not in ("path", "text")]
    for key in data:
        if key not in known:
            problems.append(Problem((key,), f"unknown key '{key}'{did_you_mean(key, known)}"))
    env = data.get("env")
    if not isinstance(env, str) or not env:
        wrong = "is missing: name an environment, such as Hopper-v5"
        problems.append(Problem(("env",), wrong if env is None else f"must be a name, given {shown(env)}"))
        env = ""
    spec = Spec.model_construct(
        env=env,
        env_options=_mapping(data, "env_options", problems),
        randomize=_terms(_mapping(data, "randomize", problems), problems),
        targets=_targets(_mapping(data, "targets", problems), problems),
        train=_train(_mapping(data, "train", problems), agents, problems),
        evaluate=_section(Evaluate, _mapping(data, "evaluate", problems), ("evaluate",), problems)
        or Evaluate(),
        path=Path(source.name),
        text=text,
    )
    return spec, problems


def _mapping(data: dict[str, Any], key: str, problems: list[Problem]) -> dict[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(Problem((key,), f"must be a mapping, given {shown(value)}"))
        return {}
    return cast(dict[str, Any], value)


def _named(section: str, raw: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the entries of a section whose names can be used everywhere."""
    good: dict[str, Any] = {}
    for name, body in raw.items():
        if not re.fullmatch(NAME, name):
            message = f"'{name}' cannot be a name: use letters, digits, '_' and '-'"
            problems.append(Problem((section, name), message))
        elif name in RESERVED[section]:
            problems.append(Problem((section, name), f"'{name}' has a meaning of its own; take another name"))
        else:
            good[name] = body
    return good


def _terms(raw: dict[str, Any], problems: list[Problem]) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    for name, body in _named("randomize", raw, problems).items():
        path: SpecPath = ("randomize", name)
        if not isinstance(body, dict):
            message = f"a term is a mapping such as {{type: mass, …}}, given {shown(body)}"
            problems.append(Problem(path, message))
            continue
        term = _term(cast(dict[str, Any], body), path, problems)
        if term is not None:
            terms[name] = term
    return terms


def _term(body: dict[str, Any], path: SpecPath, problems: list[Problem]) -> Term | None:
    kind = body.get("type")
    if kind is None:
        problems.append(Problem(path, f"type is missing: name a randomizer ({listing(names(), most=20)})"))
        return None
    if not isinstance(kind, str):
        problems.append(Problem((*path, "type"), f"must be a name, given {shown(kind)}"))
        return None
    try:
        cls = lookup(kind)
    except ValueError as error:
        problems.append(Problem((*path, "type"), str(error)))
        return None
    return _section(cls, body, path, problems)


def _targets(raw: dict[str, Any], problems: list[Problem]) -> dict[str, Target]:
    targets: dict[str, Target] = {}
    for name, body in _named("targets", raw, problems).items():
        if not isinstance(body, dict):
            message = f"a target is a mapping such as {{torso_mass: 1.8}}, given {shown(body)}"
            problems.append(Problem(("targets", name), message))
            continue
        values = dict(cast(dict[str, Any], body))
        inside = values.pop("inside", False)
        if not isinstance(inside, bool):
            problems.append(
                Problem(("targets", name, "inside"), f"must be true or false, given {shown(inside)}")
            )
            continue
        targets[name] = Target(values=values, inside=inside)
    return targets


def _train(raw: dict[str, Any], agents: Agents | None, problems: list[Problem]) -> Train:
    """Validate `train` and, apart from it so that one mistake hides no other, the agent's settings."""
    raw = {key: value for key, value in raw.items() if key != "agent" or value is not None}
    algorithm = raw.get("algorithm", Train.model_fields["algorithm"].default)
    if agents is None or not isinstance(algorithm, str):
        return _section(Train, raw, ("train",), problems) or Train()
    if algorithm not in agents:
        hint = did_you_mean(algorithm, agents)
        problems.append(Problem(("train", "algorithm"), f"unknown algorithm '{algorithm}'{hint}"))
        return _section(Train, raw, ("train",), problems) or Train()
    settings = agents[algorithm]
    misplaced = [key for key in raw if key not in Train.model_fields and key in settings.model_fields]
    for key in misplaced:
        message = f"'{key}' is a setting of {algorithm}: write it as train.agent.{key}"
        problems.append(Problem(("train", key), message))
    agent = raw.get("agent")
    own = {key: value for key, value in raw.items() if key not in misplaced}
    if isinstance(agent, dict):
        agent = cast(dict[str, Any], agent)
        problems += _endless(agent, ("train", "agent"))
        _section(settings, agent, ("train", "agent"), problems)
    return _section(Train, own, ("train",), problems) or Train()


def _endless(values: dict[str, Any], path: SpecPath) -> list[Problem]:
    """Refuse `.inf` and `.nan`, which no hyper-parameter can be."""
    return [
        Problem((*path, key), f"must be a finite number, given {value}")
        for key, value in values.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]


def _section(cls: type[M], data: dict[str, Any], path: SpecPath, problems: list[Problem]) -> M | None:
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        problems += plain_problems(cls, data, path, error)
        return None
