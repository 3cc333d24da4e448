"""Sets of domains to evaluate on: the spec's targets, or a grid made from its source."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from randomizers.words import did_you_mean
from sim2real.runs import RunError
from sim2real.spec import Bundle, Domain, External, Program, domain

SUITES = ("targets", "grid")
_PLACES = (-0.5, 0.0, 0.5, 1.0, 1.5)
"""Where the grid looks: in units of a range's width, from its low end."""


def choose(bundle: Bundle, names: Iterable[str] | None, suite: str = "targets") -> dict[str, Domain]:
    """Return the domains to evaluate on, by name.

    Args:
        bundle: The run's spec.
        names: Only these, but for environments of their own; None for all.
        suite: `targets` of the spec, or `grid`: every term alone, at both ends, the middle, and half a
            range's width beyond either end.

    Raises:
        RunError: If the suite or a name does not exist, or there is nothing to evaluate.
    """
    if suite not in SUITES:
        raise RunError(f"unknown suite '{suite}'{did_you_mean(suite, SUITES)}")
    found = bundle.targets if suite == "targets" else _grids(bundle)
    external = choose_external(bundle, names, suite)
    for name in names or ():
        if name not in found and name not in external:
            raise RunError(f"no target '{name}'{did_you_mean(name, [*found, *external])}")
    chosen = {name: found[name] for name in (names or found) if name not in external}
    if not chosen and not external:
        raise RunError(
            f"{bundle.spec.path}: names no targets; add some under `targets:`, or use --suite grid"
        )
    return chosen


def choose_external(
    bundle: Bundle, names: Iterable[str] | None, suite: str = "targets"
) -> dict[str, External]:
    """Return the targets to evaluate on that are environments of their own, by name; arguments as above."""
    found = bundle.spec.external if suite == "targets" else {}
    return {name: found[name] for name in (found if names is None else names) if name in found}


def _grids(bundle: Bundle) -> dict[str, Domain]:
    """Return the grid; of a set, that of every member, as `member/place`."""
    if not bundle.members:
        return grid(bundle.program)
    found = {
        f"{name}/{place}": one
        for name, part in bundle.members.items()
        for place, one in grid(part.program).items()
    }
    return {name: replace(one, name=name) for name, one in found.items()}


def grid(program: Program) -> dict[str, Domain]:
    """Return one domain for each term and place, all else nominal; values stay in physical bounds.

    Terms with more parameters than a plant has coordinates, such as visuals, say nothing one at a time
    and are left out.
    """
    domains: dict[str, Domain] = {}
    for bound in program.bound:
        first = bound.parameters[0]
        if any(p.distribution != first.distribution for p in bound.parameters) or len(bound.parameters) > 12:
            continue
        low, high = first.distribution.support
        for place in _PLACES:
            value = float(np.clip(low + place * (high - low), *first.bounds))
            name = f"{bound.name}={value:.4g}"
            domains.setdefault(name, domain(program, name, {bound.name: value}))
    return domains
