"""What can vary between worlds: terms that map drawn values to MuJoCo fields, latency and noise.

This package stands alone on numpy, mujoco and pydantic (scipy for two inverse CDFs, on first use). A
randomizer that someone else writes imports from here and nothing else.
"""

from randomizers.base import Fields, Parameter, Randomizer, Term, nominal_field
from randomizers.distributions import (
    Bernoulli,
    Beta,
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
)
from randomizers.kinds import (
    Clock,
    Delay,
    Distortion,
    Disturbance,
    Draw,
    Drive,
    Jitter,
    Lens,
    Loss,
    Paint,
    SignalTerm,
)
from randomizers.operations import ElementTerm, OperationTerm
from randomizers.registry import lookup, names
from randomizers.schedule import Schedule
from randomizers.select import Selection, select

__all__ = [
    "Bernoulli",
    "Beta",
    "Choice",
    "Clock",
    "Constant",
    "Delay",
    "Distortion",
    "Distribution",
    "Disturbance",
    "Draw",
    "Drive",
    "ElementTerm",
    "Fields",
    "Jitter",
    "Lens",
    "LogUniform",
    "Loss",
    "Normal",
    "OperationTerm",
    "Paint",
    "Parameter",
    "Randomizer",
    "Schedule",
    "Selection",
    "SignalTerm",
    "Term",
    "TruncatedNormal",
    "Uniform",
    "lookup",
    "names",
    "nominal_field",
    "select",
]
