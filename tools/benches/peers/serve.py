"""The peers' side of the talk: JSON lines in, JSON lines out. Knows nothing of this project."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Any


def options() -> dict[str, Any]:
    """Return what the harness told this script."""
    return json.loads(sys.argv[1])


def timed(work: Callable[[], int], window: float) -> float:
    """Work for at least `window` seconds, and return the cost [s] of one unit of work.

    Args:
        work: Does some, and returns how many units it was.
        window: Least time [s].
    """
    units, start = 0, time.perf_counter()
    while True:
        units += work()
        elapsed = time.perf_counter() - start
        if elapsed >= window:
            return elapsed / units


def best(variants: dict[str, Callable[[], int]], window: float) -> str:
    """Return the name of the fastest variant, of three rounds after one that does not count."""
    costs: dict[str, float] = {}
    for number in range(4):
        for name, work in variants.items():
            cost = timed(work, window)
            if number:
                costs[name] = min(cost, costs.get(name, cost))
    return min(costs, key=costs.__getitem__)


def serve(make: Callable[[], tuple[Callable[[], int], str]], packages: tuple[str, ...]) -> None:
    """Make the work, say so, and then do as much of it as each line asks for, until there are no more.

    Args:
        make: Returns the work, warmed up, and what to say of its setting.
        packages: Whose versions to state.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get into the talk

    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        work, setting = make()
        say(setting=setting, versions={name: version(name) for name in packages})
        for line in sys.stdin:
            say(cost=timed(work, json.loads(line)["window"]))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1].name
        say(error=f"{type(error).__name__}: {error} (in {where})")
        raise SystemExit(1) from error
