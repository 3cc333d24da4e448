"""Pydantic's findings in plain words, for any class that another package may bring."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim2real.spec.wording import plain_problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rate: float = 1.0


class Odd(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mode: Literal["fast", "slow"] = "fast"
    either: Literal["auto"] | float | list[int] = "auto"
    inner: Inner = Field(default_factory=Inner)
    maybe: Inner | None = None
    name: str = Field("x", min_length=2, description="what to call it")
    sizes: tuple[Annotated[int, Field(gt=0)], ...] = Field((1, 2), min_length=2, max_length=3)
    count: int = Field(2, multiple_of=2)
    pair: tuple[int, int] = (1, 2)
    needed: int = Field(description="how many there are")


def messages(**data):
    with pytest.raises(ValidationError) as caught:
        Odd.model_validate(data)
    return [
        f"{'.'.join(map(str, p.path))}: {p.message}"
        for p in plain_problems(Odd, data, ("train",), caught.value)
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mode": "fsat"}, "train.mode: must be 'fast' or 'slow', given 'fsat'; did you mean 'fast'?"),
        ({"mode": 3}, "train.mode: must be 'fast' or 'slow', given 3"),
        ({"either": "manual"}, "train.either: must be 'auto' or a number or a list, given 'manual'"),
        ({"inner": 3}, "train.inner: must be a mapping, given 3"),
        ({"inner": {"rate": "x"}}, "train.inner.rate: must be a number, given 'x'"),
        ({"inner": {"raet": 1}}, "train.inner.raet: unknown key 'raet'; did you mean 'rate'?"),
        ({"maybe": {"raet": 1}}, "train.maybe.raet: unknown key 'raet'"),
        ({"name": ""}, "train.name: must be a text that is not empty, given ''"),
        ({"name": True}, "train.name: must be a text, given true"),
        ({"sizes": [1]}, "train.sizes: must be a list of 2 or more values, given [1]"),
        ({"sizes": [1, 2, 3, 4]}, "train.sizes: must be a list of 3 values at most, given [1, 2, 3, 4]"),
        ({"sizes": [1, 0]}, "train.sizes.1: must be above 0, given 0"),
        ({"sizes": ["a", "b"]}, "train.sizes.0: must be a whole number, given 'a'"),
        ({"count": 1e300}, "train.count: must be a smaller number, given 1e+300"),
        ({"name": "long enough", "typo": 1}, "train.typo: unknown key 'typo'"),
    ],
)
def test_wording(data, message):
    found = messages(needed=1, **data)
    assert any(line.startswith(message) for line in found), found


def test_what_is_missing_is_described():
    assert messages() == ["train.needed: is missing: how many there are"]


def test_unforeseen_kinds_are_still_readable():
    (line,) = messages(needed=1, count=3)
    assert line == "train.count: must be a multiple of 2, given 3"


def test_long_values_are_cut():
    (line,) = messages(needed="a" * 500)
    assert len(line) < 130
    assert line.endswith("…")
