"""File → validated Spec and Program, with every mistake reported at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mujoco
import yaml
from pydantic import BaseModel

from sim2real.spec.domains import Domain, domain, resolve_targets
from sim2real.spec.members import Label, alone, labels, together
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
        checks: Raise ValueError where a section, by its path, does not go with the rest of a spec; of a set,
            of each member's.
        set_check: Returns what is wrong with a spec in view of its members, which may be none.
        external: Raises ValueError if what a key of an external target names does not serve;
            None leaves them unchecked.
    """

    model: Callable[[str, Mapping[str, Any]], mujoco.MjModel]
    agents: Mapping[str, type[BaseModel]] | None = None
    fit: Callable[[str, Mapping[str, Any], Program], Program] | None = None
    curricula: Mapping[str, type[BaseModel]] | None = None
    checks: Mapping[tuple[str, ...], Check] = field(default_factory=dict[tuple[str, ...], Check])
    set_check: "Callable[[Spec, Mapping[str, Bundle]], list[Problem]] | None" = None
    external: Callable[[str, str], None] | None = None


@dataclass(frozen=True)
class Bundle:
    """A spec with its program and its targets, ready to use; or a set of such, one for each environment.

    Attributes:
        spec: The spec; a member's is that of its environment alone.
        bound: The program, or None of a set.
        targets: Held-out domains by name. Of a set, those of all members, as `member/target`; a held-out
            member's nominal domain is among them, as `member/nominal`.
        members: Of a set, an ordinary bundle for each environment, by name.
        label: What tells a member of a set from the others.
        held_out: Whether it is a member that is never trained on.
    """

    spec: Spec
    bound: Program | None
    targets: dict[str, Domain]
    members: "Mapping[str, Bundle]" = field(default_factory=dict[str, "Bundle"])
    label: Label | None = None
    held_out: bool = False

    @property
    def program(self) -> Program:
        """The program of the one environment.

        Raises:
            ValueError: If there are several: each member has its own.
        """
        if self.bound is None:
            raise ValueError(f"{self.spec.path}: a set has no program; each of its members has its own")
        return self.bound

    @property
    def parts(self) -> "Mapping[str, Bundle]":
        """All that have one environment: the members of a set by name, or this one as `""`."""
        return self.members or {"": self}

    @property
    def trained(self) -> "Mapping[str, Bundle]":
        """Those of the parts that are trained on."""
        return {name: part for name, part in self.parts.items() if not part.held_out}

    def at(self, place: str) -> "Bundle":
        """Return the part that a place belongs to, such as the member before the slash of a target."""
        return self.parts[place.partition("/")[0] if self.members else ""]


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
    problems += _external(spec, catalog)
    bundle = _part(spec, catalog, problems) if not spec.envs else _set(spec, catalog, problems)
    if not problems:
        problems += _checked(bundle, catalog)
    if problems:
        raise SpecError(source, problems)
    return bundle


def _external(spec: Spec, catalog: Catalog) -> list[Problem]:
    """Return what is wrong with targets that are environments of their own; none is made for it."""
    found: list[Problem] = []
    for name, target in spec.external.items():
        if spec.envs:
            message = "an environment as a target is for a policy of one environment, and a set has several"
            found.append(Problem(("targets", name), message))
            continue
        for key in ("env", "confirm"):
            try:
                if catalog.external is not None:
                    catalog.external(key, getattr(target, key))
            except ValueError as error:
                found.append(Problem(("targets", name, key), str(error)))
    return found


def _part(spec: Spec, catalog: Catalog, problems: list[Problem]) -> Bundle:
    """Bind a spec of one environment."""
    model = _model(spec.env, spec.env_options, catalog, problems) if spec.env else None
    program, targets = (None, {}) if model is None else _bind(model, spec, catalog, problems)
    return Bundle(spec, program, targets)


def _set(spec: Spec, catalog: Catalog, problems: list[Problem]) -> Bundle:
    """Bind a spec to each environment of its set."""
    found: dict[str, list[Problem]] = {name: [] for name in spec.envs}
    marks, members = labels(spec.envs), dict[str, Bundle]()
    for name, member in spec.envs.items():
        part = _part(alone(spec, member), catalog, found[name])
        targets = part.targets
        if member.held_out:
            targets = {key: replace(target, held_out=True) for key, target in targets.items()}
        members[name] = replace(part, targets=targets, label=marks[name], held_out=member.held_out)
    problems += together(found)
    return Bundle(spec, None, {} if problems else _all_targets(members), members)


def _all_targets(members: Mapping[str, Bundle]) -> dict[str, Domain]:
    found: dict[str, Domain] = {}
    for name, part in members.items():
        own = dict(part.targets)
        if part.held_out:
            own = {"nominal": replace(domain(part.program, "nominal", {}), held_out=True), **own}
        found |= {f"{name}/{key}": replace(target, name=f"{name}/{key}") for key, target in own.items()}
    return found


def _checked(bundle: Bundle, catalog: Catalog) -> list[Problem]:
    found: dict[str, list[Problem]] = {name: [] for name in bundle.parts}
    for name, part in bundle.parts.items():
        for path, check in catalog.checks.items():
            try:
                check(part.spec, part.program)
            except ValueError as error:
                found[name].append(Problem(path, str(error)))
    if any(found.values()) or catalog.set_check is None:
        return together(found)
    return catalog.set_check(bundle.spec, bundle.members)


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
