"""When a term's values are drawn: for each episode, once, again and again, or drifting in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BeforeValidator, InstanceOf, WithJsonSchema

from randomizers.units import parse_quantity
from randomizers.words import did_you_mean, shown

Once = Literal["reset", "run"]
Inside = Literal["every", "walk", "ramp", "sine"]

# No physics step is as short, and how often far shorter times have passed fits into no integer.
_SHORTEST = 1e-6

MEANING: dict[str, str] = {
    "reset": "drawn anew for each episode",
    "run": "drawn once for each world, and kept for the whole run",
    "every": "drawn anew each time this much time has passed",
    "walk": "wanders from its draw; after this time typically by a whole range",
    "ramp": "goes from one draw to another in this time, and stays there",
    "sine": "swings over the whole range with this period, from a drawn phase",
}


@dataclass(frozen=True)
class Schedule:
    """When values are drawn.

    Drifts move the *quantile*, so that no value ever leaves its distribution's support.

    Attributes:
        kind: A key of `MEANING`.
        seconds: Its time [s]; 0 for `reset` and `run`.
    """

    kind: str = "reset"
    seconds: float = 0.0

    @property
    def drifts(self) -> bool:
        """Whether values change inside an episode."""
        return self.kind in get_args(Inside)

    def describe(self) -> str:
        """Return it as one would write it in YAML."""
        return f"{self.kind} {self.seconds:g} s" if self.drifts else self.kind


def _read(raw: object) -> Schedule:
    if isinstance(raw, Schedule):
        return raw
    if isinstance(raw, str) and raw in get_args(Once):
        return Schedule(raw)
    if isinstance(raw, str):
        hint = did_you_mean(raw, MEANING)
        timed = f"; '{raw}' needs a time, as {{{raw}: 2 s}}" if raw in MEANING else hint
        raise ValueError(f"must be one of {', '.join(MEANING)}, given {shown(raw)}{timed}")
    if not isinstance(raw, Mapping) or len(cast(Mapping[object, object], raw)) != 1:
        given = shown(cast(object, raw))
        raise ValueError(f"must be reset, run, or one of {{every: 2 s}} and its kin, given {given}")
    (kind, time), *_ = cast(Mapping[object, object], raw).items()
    if not isinstance(kind, str) or kind not in get_args(Inside):
        hint = did_you_mean(str(kind), get_args(Inside))
        raise ValueError(f"unknown schedule {shown(kind)}{hint}")
    seconds = parse_quantity(time, "s")
    if not seconds > 0:
        raise ValueError(f"{kind} needs a time above 0 s, given {shown(time)}")
    if seconds < _SHORTEST:
        raise ValueError(f"{kind} needs a time of at least {_SHORTEST:g} s, given {shown(time)}")
    return Schedule(kind, seconds)


_TIME: dict[str, Any] = {"type": ["number", "string"]}
_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": list(get_args(Once))},
        {
            "type": "object",
            "properties": {kind: _TIME | {"description": MEANING[kind]} for kind in get_args(Inside)},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ],
    "description": "when it is drawn: reset (each episode), run (once), {every | walk | ramp | sine: time}",
}

When = Annotated[InstanceOf[Schedule], BeforeValidator(_read), WithJsonSchema(_SCHEMA)]
