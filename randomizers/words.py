"""Words for error messages: the nearest right word and readable lists."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"`, or the list of what exists when nothing is near.

    Args:
        word: What the user wrote.
        known: Every word that would have been right.
    """
    names = list(known)
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    return f"; there are: {listing(names)}" if names else ""


def listing(names: Iterable[str], most: int = 12) -> str:
    """Join names with commas; past `most` of them, say how many are left out."""
    items = [str(name) for name in names]
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown}, … ({len(items) - most} more)"


def shown(value: object) -> str:
    """Write a value as it would stand in YAML, short enough for a message."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, Mapping):
        text = (
            "{"
            + ", ".join(f"{key}: {shown(item)}" for key, item in cast(Mapping[object, object], value).items())
            + "}"
        )
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(item) for item in cast(Sequence[object], value)) + "]"
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def between(low: float, high: float, unit: str = "") -> str:
    """Say in words which numbers an interval holds: `at least 0 kg`, `between 0 and 2 s`."""
    si = f" {unit}" if unit else ""
    if low == -math.inf and high == math.inf:
        return "any number"
    if high == math.inf:
        # MuJoCo's smallest mass and the like stand for "not zero".
        return f"above 0{si}" if 0 < low < 1e-12 else f"at least {low:g}{si}"
    if low == -math.inf:
        return f"at most {high:g}{si}"
    return f"between {low:g} and {high:g}{si}"
