"""Plain data → validated Spec, section by section, with every mistake and no exception."""

import importlib
import math
import re
import warnings
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from randomizers import Term, lookup, names
from randomizers.words import did_you_mean, listing, shown
from sim2real.spec.correlation import Correlate
from sim2real.spec.model import Evaluate, External, Member, Spec, Target, Train
from sim2real.spec.source import Path as SpecPath
from sim2real.spec.source import Problem, Source
from sim2real.spec.wording import plain_problems

M = TypeVar("M", bound=BaseModel)
Agents = Mapping[str, type[BaseModel]]
Curricula = Mapping[str, type[BaseModel]]

# Names become file names, parts of `a.b=value`, and items of comma-separated lists.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
# What evaluation and `inside: true` mean by these words.
RESERVED = {"randomize": ("inside",), "targets": ("source", "nominal"), "correlate": (), "envs": ()}
# A file system takes 255 bytes, of which ours need some.
_LONGEST_NAME = 100
# Each is checked against all others; a term may select any number of elements, a choice list any of values.
_MOST_ENTRIES, _MOST_CORRELATED, _MOST_UNKNOWN = 1000, 100, 200
# Of a pattern, and the ways in which it may try to match a name of so many letters.
_LONGEST_PATTERN, _MOST_WAYS, _LETTERS = 1000, 1e6, 40


def validate(
    source: Source, agents: Agents | None, text: str, curricula: Curricula | None = None
) -> tuple[Spec, list[Problem]]:
    """Validate everything that needs no model.

    Args:
        source: The document.
        agents: Each algorithm's settings class; None leaves them unchecked.
        text: The document as text, kept in the spec.
        curricula: Each curriculum's settings class; None leaves them unchecked.

    Returns:
        The spec, in which whatever was refused is left out or is at its default; and the problems.
    """
    data = cast(dict[str, Any], source.data)
    problems = list(source.problems)
    known = [name for name in Spec.model_fields if name not in ("path", "text")]
    for key in data:
        if key not in known:
            problems.append(Problem((key,), f"unknown key '{key}'{did_you_mean(key, known)}"))
    envs = _envs(data, problems) if data.get("envs") is not None else {}
    spec = Spec.model_construct(
        env=_env(data, problems),
        env_options=_mapping(data, "env_options", problems),
        envs=envs,
        randomize=_terms(_mapping(data, "randomize", problems), problems),
        correlate=_correlate(_mapping(data, "correlate", problems), problems),
        targets=_targets(_mapping(data, "targets", problems), data.get("randomize"), problems),
        train=_train(_mapping(data, "train", problems), agents, curricula, problems),
        evaluate=_section(Evaluate, _mapping(data, "evaluate", problems), ("evaluate",), problems)
        or Evaluate(),
        path=Path(source.name),
        text=text,
    )
    return spec, problems


def _env(data: dict[str, Any], problems: list[Problem]) -> str:
    """Return the one environment's name; empty where there is a set of them, or none that is right."""
    env = data.get("env")
    if data.get("envs") is not None:
        for key in ("env", "env_options"):
            if data.get(key) is not None:
                message = "is for one environment; in a set, each member under envs has its own"
                problems.append(Problem((key,), message))
        return ""
    if not isinstance(env, str) or not env:
        wrong = "is missing: name an environment, such as Hopper-v5"
        problems.append(Problem(("env",), wrong if env is None else f"must be a name, given {shown(env)}"))
        return ""
    return env


def _envs(data: dict[str, Any], problems: list[Problem]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    raw = _named("envs", _mapping(data, "envs", problems), problems)
    for name, body in raw.items():
        if not isinstance(body, dict):
            message = f"a member is a mapping such as {{env: Reacher-v5, …}}, given {shown(body)}"
            problems.append(Problem(("envs", name), message))
            continue
        member = _section(Member, cast(dict[str, Any], body), ("envs", name), problems)
        if member is not None:
            members[name] = member.model_copy(update={"task": member.task or name})
    if not data["envs"]:
        problems.append(Problem(("envs",), "is empty: name at least one environment"))
    if members and all(member.held_out for member in members.values()):
        problems.append(Problem(("envs",), "every member is held out: leave at least one to train on"))
    unnamed = [name for name, member in members.items() if not member.robot]
    if len(unnamed) < len(members):
        message = "names no robot, but others do: give one to every member, or to none"
        problems += [Problem(("envs", name), message) for name in unnamed]
    return members


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
    if _too_many(raw, (section,), problems):
        return good
    for name, body in raw.items():
        if not re.fullmatch(NAME, name):
            message = f"'{name}' cannot be a name: use letters, digits, '_' and '-'"
            problems.append(Problem((section, name), message))
        elif len(name) > _LONGEST_NAME:
            message = f"is too long a name: {len(name)} characters, of at most {_LONGEST_NAME}"
            problems.append(Problem((section, name), message))
        elif name in RESERVED[section]:
            problems.append(Problem((section, name), f"'{name}' has a meaning of its own; take another name"))
        else:
            good[name] = body
    return good


def _too_many(entries: Sized, path: SpecPath, problems: list[Problem], most: int = _MOST_ENTRIES) -> bool:
    if len(entries) > most:
        problems.append(Problem(path, f"has {len(entries)} entries, of at most {most}"))
    return len(entries) > most


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
    slow = _too_slow(body["select"]) if isinstance(body.get("select"), str) else None
    if slow is not None and "select" in cls.model_fields:
        problems.append(Problem((*path, "select"), slow))
        return None
    return _section(cls, body, path, problems)


def _too_slow(pattern: str) -> str | None:
    """Say what is wrong with a regular expression that could take for ever, such as `(a+)+`; or None."""
    if len(pattern) > _LONGEST_PATTERN:
        return f"is a pattern of {len(pattern)} characters, of at most {_LONGEST_PATTERN}"
    parse = cast(Any, importlib.import_module("re._parser")).parse
    try:
        with warnings.catch_warnings(action="ignore"):
            ways = _tries(*_ways(parse(pattern)))
    except re.error:
        return None  # the term itself says so
    except (OverflowError, RecursionError) as error:
        return f"{shown(pattern)} is not a usable regular expression: {error}"
    if ways <= _MOST_WAYS:
        return None
    return f"{shown(pattern)} could take for ever: it repeats what repeats or varies itself; use .* sparingly"


def _ways(tree: Any) -> tuple[float, int]:
    """Count the ways a parsed pattern may try to match that do not grow with the name, and its `.*`s."""
    factor, stars = 1.0, 0
    for op, arg in tree:
        kind, more = str(op), (1.0, 0)
        if kind in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
            more = _ways(arg[-1])
        elif kind == "ATOMIC_GROUP":
            more = _ways(arg)
        elif kind == "BRANCH":
            more = sum(_tries(*_ways(branch)) for branch in arg[1]), 0
        elif kind == "GROUPREF_EXISTS":
            more = sum(_tries(*_ways(branch)) for branch in arg[1:] if branch is not None), 0
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            more = _repeated(int(arg[0]), int(arg[1]), *_ways(arg[2]))
        factor, stars = factor * more[0], stars + more[1]
    return factor, stars


def _repeated(least: int, most: int, factor: float, stars: int) -> tuple[float, int]:
    if most == 1:
        return factor * (2 - least), stars
    if factor == 1 and stars == 0:
        return (1.0, 0) if least == most else (1.0, 1)
    # As floats: what is beyond all bounds is infinite, not an error.
    each, times = math.log(_tries(factor, stars)), min(most, _LETTERS)
    return (math.exp(each * times) if each * times < 700 else math.inf), 0


def _tries(factor: float, stars: int) -> float:
    return factor * math.comb(_LETTERS + stars, stars)


def _correlate(raw: dict[str, Any], problems: list[Problem]) -> dict[str, Correlate]:
    groups: dict[str, Correlate] = {}
    for name, body in _named("correlate", raw, problems).items():
        if not isinstance(body, dict):
            message = f"a group is a mapping such as {{terms: [a, b], correlation: 0.8}}, given {shown(body)}"
            problems.append(Problem(("correlate", name), message))
            continue
        terms = cast(dict[str, Any], body).get("terms")
        where = ("correlate", name, "terms")
        if isinstance(terms, list) and _too_many(cast(list[Any], terms), where, problems, _MOST_CORRELATED):
            continue
        group = _section(Correlate, cast(dict[str, Any], body), ("correlate", name), problems)
        if group is not None:
            groups[name] = group
    return groups


def _targets(raw: dict[str, Any], terms: object, problems: list[Problem]) -> dict[str, Target | External]:
    targets: dict[str, Target | External] = {}
    unknown, known = 0, cast(dict[str, Any], terms) if isinstance(terms, dict) else {}
    for name, body in _named("targets", raw, problems).items():
        if not isinstance(body, dict):
            message = f"a target is a mapping such as {{torso_mass: 1.8}}, given {shown(body)}"
            problems.append(Problem(("targets", name), message))
            continue
        values = dict(cast(dict[str, Any], body))
        if _too_many(values, ("targets", name), problems):
            continue
        if "env" in values and "env" not in known:  # an environment of its own; a term may be called so
            external = _section(External, values, ("targets", name), problems)
            targets |= {name: external} if external is not None else {}
            continue
        inside = values.pop("inside", False)
        unknown += sum(key.partition(".")[0] not in known for key in values)
        if unknown > _MOST_UNKNOWN:  # the nearest right word to each would be looked for
            message = f"more than {_MOST_UNKNOWN} values in all name no term under randomize"
            problems.append(Problem(("targets", name), message))
            break
        if not isinstance(inside, bool):
            problems.append(
                Problem(("targets", name, "inside"), f"must be true or false, given {shown(inside)}")
            )
            continue
        targets[name] = Target(values=values, inside=inside)
    return targets


def _train(
    raw: dict[str, Any], agents: Agents | None, curricula: Curricula | None, problems: list[Problem]
) -> Train:
    """Validate `train` and, apart so that one mistake hides no other, what has settings of its own."""
    optional = ("agent", "curriculum")
    raw = {key: value for key, value in raw.items() if key not in optional or value is not None}
    if isinstance(raw.get("curriculum"), dict) and curricula is not None:
        _curriculum(cast(dict[str, Any], raw["curriculum"]), curricula, problems)
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
    agent = raw.get("agent", {})  # some algorithms cannot do without settings
    own = {key: value for key, value in raw.items() if key not in misplaced}
    if isinstance(agent, dict):
        agent = cast(dict[str, Any], agent)
        problems += _endless(agent, ("train", "agent"))
        _section(settings, agent, ("train", "agent"), problems)
    return _section(Train, own, ("train",), problems) or Train()


def _curriculum(body: dict[str, Any], curricula: Curricula, problems: list[Problem]) -> None:
    """Validate a curriculum by its own type's settings."""
    path: SpecPath = ("train", "curriculum")
    kind = body.get("type")
    if not body:
        return
    if kind is None:
        problems.append(Problem(path, f"type is missing: name a curriculum ({listing(curricula)})"))
    elif not isinstance(kind, str):
        problems.append(Problem((*path, "type"), f"must be a name, given {shown(kind)}"))
    elif kind not in curricula:
        hint = did_you_mean(kind, curricula)
        problems.append(Problem((*path, "type"), f"unknown curriculum '{kind}'{hint}"))
    else:
        _section(curricula[kind], body, path, problems)


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
