"""YAML → frozen, validated Spec; Program; Domain sets."""

from sim2real.spec.domains import Domain, domain
from sim2real.spec.draws import KeyedDraw, Moment, Stream
from sim2real.spec.load import Bundle, Catalog, load, load_text
from sim2real.spec.members import Label
from sim2real.spec.model import Evaluate, External, Member, Spec, Target, Train
from sim2real.spec.program import Bound, Program, ProgramError
from sim2real.spec.source import Problem, SpecError

__all__ = [
    "Bound",
    "Bundle",
    "Catalog",
    "Domain",
    "Evaluate",
    "External",
    "KeyedDraw",
    "Label",
    "Member",
    "Moment",
    "Problem",
    "Program",
    "ProgramError",
    "Spec",
    "SpecError",
    "Stream",
    "Target",
    "Train",
    "domain",
    "load",
    "load_text",
]
