"""A spec whose source is a posterior: the given one with terms that are drawn as the logs leave them open."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from randomizers import Distribution, Normal, OperationTerm, TruncatedNormal, lookup
from randomizers.components import ComponentTerm
from sim2real.identify.margins import margin
from sim2real.identify.posterior import Posterior
from sim2real.replay import IDENTIFIED, constants
from sim2real.runs import write_atomically
from sim2real.spec import Bound, Bundle, Catalog, load_text

Floats = NDArray[np.float64]
_LOOSE = 0.3
"""Correlation up to which a parameter that the logs leave open is drawn alone, from its prior."""
_SINGULAR = 1e-6
"""How much is taken off all correlations, so that rounding leaves a positive definite matrix."""
GROUP, TARGET = "posterior", IDENTIFIED
Body = dict[str, Any]


@dataclass
class _Draft:
    """What becomes of a spec's terms.

    Attributes:
        randomize: Terms by name.
        moved: New names of terms that were split, and of their parameters, by old one.
        drawn: Name and distribution of each parameter that is drawn from the posterior, by column.
        whole: Terms that could not be split, so that they keep their priors.
    """

    randomize: dict[str, Body] = field(default_factory=dict[str, Body])
    moved: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    drawn: dict[int, tuple[str, Distribution]] = field(default_factory=dict[int, tuple[str, Distribution]])
    whole: list[str] = field(default_factory=list[str])


@dataclass
class _Part:
    """A term on one of the elements of another.

    Attributes:
        element: Its name; empty if the term has but one.
        body: The term.
        operands: By column, the key of its operand, and what the parameter is called within the term.
    """

    element: str
    body: Body
    operands: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])


def identified(bundle: Bundle, found: Posterior, notes: Sequence[str]) -> tuple[str, list[str]]:
    """Return the text of a spec whose source is the posterior, and the terms that could not be split for it.

    Parameters that the logs leave open, and that depend on no other, keep their prior. Each other one is
    normal, truncated where its prior ends, and all of them have the posterior's covariance. The most likely
    domain becomes a target, so that other commands can name it.

    Args:
        bundle: The spec; of one environment.
        found: The posterior.
        notes: Comments on the file's first lines.
    """
    data: dict[str, Any] = yaml.safe_load(bundle.spec.text)
    draft = _Draft()
    kept = _kept(found)
    for bound in bundle.program.bound:
        _draft_term(draft, bundle, bound, data["randomize"][bound.name], found, kept)
    data["randomize"] = draft.randomize
    data["targets"] = _targets(data.get("targets") or {}, draft) | {TARGET: _best(bundle, found, draft)}
    data["correlate"] = _group(found, draft)
    if not data["correlate"]:
        del data["correlate"]
    first = bundle.spec.text.partition("\n")[0]
    editor = f"{first}\n" if first.startswith("# yaml-language-server") else ""
    return editor + "".join(f"# {note}\n" for note in notes) + _text(data), draft.whole


def write(path: Path, text: str, catalog: Catalog) -> Bundle:
    """Write a spec atomically, once it has been read without a complaint.

    Raises:
        SpecError: If it is wrong; then nothing is written.
    """
    bundle = load_text(text, str(path), catalog)
    write_atomically(path, text.encode())
    return bundle


def _kept(found: Posterior) -> set[int]:
    """Return columns that keep their prior."""
    apart = np.abs(found.correlation - np.eye(len(found.mean))).max(axis=1) < _LOOSE
    prior = np.abs(found.space.prior - np.eye(len(found.mean))).max(axis=1) == 0
    names = found.space.names
    return {
        int(column)
        for i, column in enumerate(found.space.columns)
        if names[i] in found.open and apart[i] and prior[i]
    }


def _draft_term(
    draft: _Draft, bundle: Bundle, bound: Bound[Any], body: Body, found: Posterior, kept: set[int]
) -> None:
    """Add a term, or one for each of its elements if they differ now."""
    places = {int(column): i for i, column in enumerate(found.space.columns) if int(column) not in kept}
    changed = [column for column in range(bound.columns.start, bound.columns.stop) if column in places]
    parts = _split(bundle, bound, body) if changed else None
    if parts is None:
        draft.randomize[bound.name] = body
        draft.whole += [bound.name] if changed else []
        return
    for part in parts:
        own, name = dict(part.body), bound.name
        if part.element:
            name = _fresh(bundle, draft, f"{bound.name}_{part.element}")
            draft.moved.setdefault(bound.name, []).append(name)
        for column, (key, label) in part.operands.items():
            parameter = f"{name}.{label}" if label else name
            if part.element:
                draft.moved[bundle.program.names[column]] = [parameter]
            if column in places:
                i, prior = places[column], bundle.program.parameters[column].distribution
                drawn = _rounded(margin(prior, float(found.mean[i]), float(found.std[i])))
                own[key] = {drawn.name: _numbers(drawn)}
                draft.drawn[column] = parameter, drawn
        draft.randomize[name] = own


def _split(bundle: Bundle, bound: Bound[Any], body: Body) -> list[_Part] | None:
    """Return a term for each element; None where a parameter has no operand of its own."""
    parts: dict[str, _Part] = {}
    for column in range(bound.columns.start, bound.columns.stop):
        full = bundle.program.names[column].removeprefix(bound.name).removeprefix(".")
        if isinstance(bound.term, OperationTerm):
            element, key, label = full, bound.term.operation, ""
        elif isinstance(bound.term, ComponentTerm):
            element, _, label = full.rpartition(".")
            key = next((name for name, c in bound.term.components.items() if c.labels == (label,)), "")
        else:
            return None
        parts.setdefault(element, _Part(element, body)).operands[column] = key, label
    # A name may also be that of a body which owns another element; then only the label tells them apart.
    found = [next((own for own in _selected(part) if _alone(bundle, own)), None) for part in parts.values()]
    return None if None in found else [part for part in found if part]


def _selected(part: _Part) -> list[_Part]:
    patterns = [re.escape(part.element), f"={part.element}"] if part.element else []
    return [replace(part, body={**part.body, "select": pattern}) for pattern in patterns] or [part]


def _alone(bundle: Bundle, part: _Part) -> bool:
    """Whether a part of a term has just the parameters that it is meant to have."""
    try:
        made = lookup(part.body["type"]).model_validate(part.body).parameters(bundle.program.model)
    except ValueError:
        return False
    wanted = {label: bundle.program.parameters[column] for column, (_, label) in part.operands.items()}
    return made == wanted and all(key for key, _ in part.operands.values())


def _fresh(bundle: Bundle, draft: _Draft, name: str) -> str:
    """Return a name for a term that no other has."""
    name = re.sub(r"\W+", "_", name)
    while name in draft.randomize or any(name == bound.name for bound in bundle.program.bound):
        name += "_"
    return name


def _rounded(own: Normal | TruncatedNormal) -> Normal | TruncatedNormal:
    """Return it with six digits, so that the covariance can be that of what the file says."""
    mean, std = (float(f"{x:.6g}") for x in (own.mean, own.std))
    return Normal(mean, std) if isinstance(own, Normal) else TruncatedNormal(mean, std, own.low, own.high)


def _numbers(own: Normal | TruncatedNormal) -> list[float]:
    ends = [own.low, own.high] if isinstance(own, TruncatedNormal) else []
    return [own.mean, own.std, *ends]


def _group(found: Posterior, draft: _Draft) -> dict[str, Body]:
    """Return the covariance of all that is drawn from the posterior."""
    places = [i for i, column in enumerate(found.space.columns) if int(column) in draft.drawn]
    if len(places) < 2:
        return {}
    drawn = [draft.drawn[int(found.space.columns[i])] for i in places]
    std = np.array([getattr(distribution, "std", 1.0) for _, distribution in drawn])
    correlation = found.correlation[np.ix_(places, places)]
    correlation = (1 - _SINGULAR) * correlation + _SINGULAR * np.eye(len(places))
    rows = [[float(f"{x:.10g}") for x in row] for row in correlation * np.outer(std, std)]
    return {GROUP: {"terms": [name for name, _ in drawn], "covariance": rows}}


def _targets(given: Mapping[str, Body], draft: _Draft) -> dict[str, Body]:
    """Return targets by the new names; what is said of one parameter wins over what is said of its term."""
    found: dict[str, Body] = {}
    for target, body in given.items():
        own: Body = {}
        for name in sorted(body, key=lambda name: -len(draft.moved.get(name, []))):
            own |= dict.fromkeys(draft.moved.get(name, [name]), body[name])
        found[target] = own
    return found


def _best(bundle: Bundle, found: Posterior, draft: _Draft) -> Body:
    """Return the most likely domain as a target: a target is nominal but for what it names, constants too."""
    v, own = found.space.values(found.best[None])[0], Body(inside=True)
    searched = [bundle.program.names[column] for column in found.space.columns]
    for old in (*searched, *constants(bundle.program)):
        for name in draft.moved.get(old, [old]):
            own[name] = float(f"{v[bundle.program.columns(old)[0]]:.6g}")
    return own


def _text(data: Mapping[str, Any]) -> str:
    """Return a spec as people write it: a line for each term, target and row."""
    lines: list[str] = []
    for key, value in data.items():
        if key == "correlate":
            group = value[GROUP]
            rows = ",\n".join(f"      {_flow(row)}" for row in group["covariance"])
            lines.append(f"correlate:\n  {GROUP}:\n    terms: {_flow(group['terms'])}")
            lines.append(f"    covariance: [\n{rows}]")
        elif isinstance(value, Mapping) and key in ("randomize", "targets"):
            lines += [f"{key}:", *(f"  {_flow(name)}: {_flow(body)}" for name, body in value.items())]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...")
