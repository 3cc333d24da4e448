"""What can vary between worlds: terms that map drawn values to MuJoCo fields, latency and noise.

This package stands alone on numpy, mujoco and pydantic (scipy for two inverse CDFs, on first use). A
randomizer that someone else writes imports from here and nothing else.
"""

from randomizers.base import Delay, Fields, Noise, Parameter, Randomizer, Term, nominal_field
from randomizers.distributions import (
    Beta,
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
)
from randomizers.operations import ElementTerm, OperationTerm
from randomizers.registry import lookup, names
from randomizers.select import Selection, select

__all__ = [
    "Beta",
    "Choice",
    "Constant",
    "Delay",
    "Distribution",
    "ElementTerm",
    "Fields",
    "LogUniform",
    "Noise",
    "Normal",
    "OperationTerm",
    "Parameter",
    "Randomizer",
    "Selection",
    "Term",
    "TruncatedNormal",
    "Uniform",
    "lookup",
    "names",
    "nominal_field",
    "select",
]
