"""The frozen, validated form of a spec file. Terms are validated by their own classes."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from randomizers import Term
from sim2real.spec.correlation import Correlate

# No run counts as far, and what is far larger fits into no array.
_MOST_COUNT = 10**15


def _whole(raw: object) -> object:
    """Accept `1e5` and `200_000` given as text; pydantic checks that it is whole."""
    if isinstance(raw, bool):  # which is an int in Python
        raise PydanticCustomError("int_type", "a whole number is wanted")
    if isinstance(raw, str):
        with suppress(ValueError):
            raw = float(raw)
    if isinstance(raw, int | float) and _MOST_COUNT < raw < math.inf:
        raise PydanticCustomError("less_than_equal", "too large", {"le": _MOST_COUNT})
    return raw


def _number(raw: object) -> object:
    if isinstance(raw, bool):
        raise PydanticCustomError("float_type", "a number is wanted")
    return raw


Count = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Train(_Section):
    """How to train."""

    algorithm: str = Field(default="fast_sac", description="see `sim2real list agents`")
    steps: Count = Field(default=500_000, ge=1, description="environment steps in all worlds together")
    num_envs: Annotated[Count, Field(ge=1, le=65536)] | None = Field(
        default=None, description="worlds simulated at once; by default 128, or 8 of an environment not ours"
    )
    seed: Count = Field(default=0, ge=0, lt=2**31, description="seed of the agent and of every draw")
    checkpoint_every: Count = Field(default=10_000, ge=1, description="environment steps between checkpoints")
    validate_on: Count = Field(
        default=0,
        ge=0,
        description="episodes on the source at every checkpoint, whose mean return says which checkpoint is "
        "kept as the policy; 0 keeps the last",
    )
    baseline: bool = Field(
        default=True,
        description="also train and evaluate the same agent without randomization, to compare with",
    )
    agent: dict[str, Any] = Field(default_factory=dict, description="the algorithm's own settings")
    curriculum: dict[str, Any] = Field(
        default_factory=dict,
        description="its type (uniform, adr, doraemon, epopt) and that one's own settings",
    )


Finetune = Literal[
    "all", "last_layer", "last_2", "last_3", "last_4", "last_5", "bias", "progressive", "residual", "scratch"
]


class Evaluate(_Section):
    """How to evaluate."""

    episodes: Count = Field(default=20, ge=2, description="episodes for each target and shot")
    shots: tuple[Annotated[int, Field(ge=0), BeforeValidator(_whole)], ...] = Field(
        default=(0, 1, 5), min_length=1, description="target episodes to fine-tune on before evaluating"
    )
    seed: Count = Field(default=1_000, ge=0, lt=2**31, description="seed of the evaluation episodes")
    finetune: Finetune = Field(
        default="all",
        description="what few-shot adaptation may change: all, the last n layers, or biases and gains; or "
        "what it adds to the frozen policy: a progressive column or a residual; scratch is a control",
    )
    updates_per_step: Number = Field(default=1.0, gt=0, description="gradient updates for each target step")
    warm_episodes: Count = Field(
        default=0, ge=0, description="first target episodes, of all shots, that the policy only collects"
    )
    reset_temperature: bool = Field(
        default=False, description="start adaptation from the learner's initial temperature, not the last one"
    )
    retention: bool = Field(default=False, description="also measure each adapted policy on the source")

    @field_validator("warm_episodes")
    @classmethod
    def _leave_some_to_adapt_on(cls, warm: int, info: ValidationInfo) -> int:
        most = max(info.data.get("shots", (0,)))
        if 0 < most <= warm:
            raise ValueError(
                f"must be below the most shots, {most}, or nothing is ever learned; given {warm}"
            )
        return warm


class Member(_Section):
    """One environment of a set, and what a policy is told of it."""

    env: str = Field(min_length=1, description="a native task: one of ours, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the environment")
    task: str = Field(default="", description="what is to be done there; by default the member's name")
    robot: str = Field(default="", description="who is to do it; all members name one, or none does")
    held_out: bool = Field(default=False, description="never trained on, only evaluated")


class Target(_Section):
    """A held-out domain: the values that differ from nominal.

    Attributes:
        values: Raw value of each named term or `term.parameter`.
        inside: True if it may lie inside the source.
    """

    values: dict[str, Any]
    inside: bool = False


class External(_Section):
    """A target that is an environment of its own, such as a robot: one world, one episode at a time."""

    env: str = Field(min_length=1, description="module:Class or module:function, or a Gymnasium id")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of what makes it")
    confirm: str = Field(
        default="ask",
        min_length=1,
        description="who is asked before every episode: ask a person at the terminal, never, or "
        "module:function, which is told of the episode and returns whether it may begin",
    )
    max_steps: Annotated[Count, Field(ge=1)] | None = Field(
        default=None, description="most steps ever taken there, of evaluation and adaptation together"
    )
    episode_steps: Annotated[Count, Field(ge=1)] | None = Field(
        default=None, description="steps after which an episode is cut; by default as many as in training"
    )
    episodes: Annotated[Count, Field(ge=1)] | None = Field(
        default=None, description="evaluation episodes for each policy and shot [evaluate.episodes]"
    )
    baseline: bool = Field(
        default=False, description="also evaluate the policy that was trained without randomization there"
    )

    @field_validator("confirm")
    @classmethod
    def _name_who_is_asked(cls, confirm: str) -> str:
        if confirm not in ("ask", "never") and ":" not in confirm:
            raise ValueError(f"must be ask, never or module:function; given '{confirm}'")
        return confirm


class Spec(_Section):
    """One spec file.

    Attributes:
        path: The file it came from, for messages.
        text: The document itself, with overrides applied; a run folder keeps it.
    """

    env: str = Field(default="", description="a task of ours, a Gymnasium id, or package.module:Class")
    env_options: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the environment"
    )
    envs: dict[str, Member] = Field(
        default_factory=dict, description="a set of environments for one policy, by name, in place of env"
    )
    randomize: dict[str, Term] = Field(default_factory=dict)
    correlate: dict[str, Correlate] = Field(default_factory=dict)
    targets: dict[str, Target | External] = Field(default_factory=dict)
    train: Train = Field(default_factory=Train)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    path: Path = Path("spec.yaml")
    text: str = ""

    @property
    def external(self) -> dict[str, External]:
        """The targets that are environments of their own, by name."""
        return {name: one for name, one in self.targets.items() if isinstance(one, External)}

    @property
    def about(self) -> str:
        """The environment, or what stands for it where there are several."""
        return self.env or f"a set of {len(self.envs)} environments"
