"""The parameters of a spec, as rows for people."""

from randomizers import (
    Clock,
    Disturbance,
    Drive,
    Lens,
    Paint,
    Parameter,
    Randomizer,
    SignalTerm,
    Term,
)
from sim2real.spec import Bundle

_MOST_ALIKE = 8
"""Parameters drawn alike that still have a row each."""


def parameter_rows(bundle: Bundle) -> list[dict[str, str]]:
    """Describe every parameter: name, nominal, source, unit, when it is drawn, and what it writes.

    Many parameters of one term that are drawn alike, as those of colours, share a row. What is alike in all
    members of a set has one too; whatever is not, one for each member.
    """
    if bundle.members:
        each = {name: parameter_rows(part) for name, part in bundle.members.items()}
        if all(rows == next(iter(each.values())) for rows in each.values()):
            return next(iter(each.values()))
        return [row | {"name": f"{name}/{row['name']}"} for name, rows in each.items() for row in rows]
    rows: list[dict[str, str]] = []
    for bound in bundle.program.bound:
        names = bundle.program.names[bound.columns]
        groups: dict[tuple[str, str, str], list[str]] = {}
        for name, parameter in zip(names, bound.parameters, strict=True):
            groups.setdefault(_drawn_alike(parameter), []).append(name)
        for alike, members in groups.items():
            many = len(members) > _MOST_ALIKE
            shown = [f"{members[0]} … {members[-1]} ({len(members)})"] if many else members
            nominal, source, unit = alike
            about = {"nominal": nominal, "source": source, "unit": unit}
            about |= {"when": bound.term.when.describe(), "writes": writes(bound.term)}
            rows += [{"name": name, **about} for name in shown]
    return rows


def _drawn_alike(parameter: Parameter) -> tuple[str, str, str]:
    return f"{parameter.nominal:g}", parameter.distribution.describe(), parameter.unit or "factor"


def writes(term: Term) -> str:
    """Say what a term acts on."""
    if isinstance(term, Randomizer):
        return ", ".join(term.writes)
    if isinstance(term, SignalTerm):
        return f"the {term.path} path"
    return next((what for kind, what in _KINDS.items() if isinstance(term, kind)), "")


_KINDS = {
    Disturbance: "xfrc_applied",
    Drive: "set points and dof_frictionloss in each physics step",
    Clock: "opt.timestep",
    Lens: "the picture",
    Paint: "tex_data",
}


_SEEN = ("geom_rgba", "site_rgba", "tendon_rgba", "skin_rgba", "mat_", "light_", "cam_", "vis.", "tex_")


def is_visual(term: Term) -> bool:
    """Whether a term can only be seen, and changes no physics."""
    if isinstance(term, Lens | Paint):
        return True
    return isinstance(term, Randomizer) and all(field.startswith(_SEEN) for field in term.writes)
