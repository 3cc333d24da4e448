"""File → validated Spec and Program, with every mistake reported at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import yaml
from pydantic import BaseModel

from sim2real.spec.domains import Domain, resolve_targets
from sim2real.spec.model import Spec
from sim2real.spec.program import Program, ProgramError
from sim2real.spec.source import Problem, SpecError, override, read, read_file
from sim2real.spec.validate import validate

Check = Callable[[Spec, Program], None]


@dataclass(frozen=True)
class Catalog:
    """What a spec may name that lies above this layer.

    Attributes:
        model: Returns an environment's nominal model from its name and options; raises ValueError.
        agents: Each algorithm's settings class; None leaves `train.agent` unchecked.
        fit: Returns a program bound to a model that can take every term, compiled anew where that is needed;
            raises ProgramError for terms that the environment cannot take.
        curricula: Each curriculum's settings class; None leaves `train.curriculum` unchecked.
        checks: Raise ValueError where a section, by its path, does not go with the rest of a spec.
    """

    model: Callable[[str, Mapping[str, Any]], mujoco.MjModel]
    agents: Mapping[str, type[BaseModel]] | None = None
    fit: Callable[[str, Mapping[str, Any], Program], Program] | None = None
    curricula: Mapping[str, type[BaseModel]] | None = None
    checks: Mapping[tuple[str, ...], Check] = field(default_factory=dict[tuple[str, ...], Check])


@dataclass(frozen=True)
class Bundle:
    """A spec with its program and its targets, ready to use."""

    spec: Spec
    program: Program
    targets: dict[str, Domain]


def load(path: str | Path, catalog: Catalog, overrides: tuple[str, ...] = ()) -> Bundle:
    """Read, validate and bind a spec file.

    Args:
        path: The YAML file.
        catalog: Environments and agents that it may name.
        overrides: `a.b=value` assignments from the command line.

    Raises:
        SpecError: With every problem found.
    """
    return load_text(read_file(path), str(path), catalog, overrides)


def load_text(text: str, name: str, catalog: Catalog, overrides: tuple[str, ...] = ()) -> Bundle:
    """Like `load`, from text; `name` stands in the messages."""
    source = read(text, name)
    for assignment in overrides:
        override(source, assignment)
    if overrides:
        text = yaml.safe_dump(source.data, sort_keys=False, allow_unicode=True)
    spec, problems = validate(source, catalog.agents, text, catalog.curricula)
    model = _model(spec.env, spec.env_options, catalog, problems) if spec.env else None
    program, targets = (None, {}) if model is None else _bind(model, spec, catalog, problems)
    if not problems and program is not None:
        problems += _checked(spec, program, catalog)
    if problems or program is None:
        raise SpecError(source, problems)
    return Bundle(spec, program, targets)


def _checked(spec: Spec, program: Program, catalog: Catalog) -> list[Problem]:
    found: list[Problem] = []
    for path, check in catalog.checks.items():
        try:
            check(spec, program)
        except ValueError as error:
            found.append(Problem(path, str(error)))
    return found


def _model(
    env: str, options: Mapping[str, Any], catalog: Catalog, problems: list[Problem]
) -> mujoco.MjModel | None:
    """Return the model; without the options if they are what is wrong, so that the rest can be checked."""
    try:
        return catalog.model(env, options)
    except ValueError as error:
        message = str(error)
    model = None
    if options:
        try:
            model = catalog.model(env, {})
        except ValueError as error:
            message = str(error)
    problems.append(Problem(("env",) if model is None else ("env_options",), message))
    return model


def _bind(
    model: mujoco.MjModel, spec: Spec, catalog: Catalog, problems: list[Problem]
) -> tuple[Program | None, dict[str, Domain]]:
    terms = dict(spec.randomize)
    try:
        program = Program(model, terms, spec.correlate)
        if catalog.fit is not None:
            program = catalog.fit(spec.env, spec.env_options, program)
    except ProgramError as error:
        problems += error.problems
        # Targets of the terms that are right can still be checked.
        for problem in error.problems:
            if problem.path[0] == "randomize":
                terms.pop(str(problem.path[1]), None)
        program = Program(model, terms)
    except ValueError as error:  # the environment as a whole can take nothing
        problems.append(Problem(("env",), str(error)))
        program = Program(model, terms)
    # A target may name a term that was itself refused; that would only repeat the complaint.
    refused = {str(p.path[1]) for p in problems if p.path[:1] == ("randomize",) and len(p.path) > 1}
    targets, wrong = resolve_targets(program, spec.targets, refused)
    problems += wrong
    return program, targets
