"""Measures speed; run through `tools/bench`. Numbers are ratios of two timings taken in turn in one run."""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from reproduce import insert

RESULTS = Path(__file__).resolve().parent.parent / "assets" / "results" / "bench"
ROUNDS = 30
WORLDS = 64

# Tasks whose resets are timed.
TASKS = ("HalfCheetah-v5", "Ant-v5", "Humanoid-v5")
# What is randomized for the cost of a reset: each row adds to the one before.
LADDER: dict[str, dict[str, dict[str, object]]] = {
    "nothing": {},
    "friction": {"friction": {"type": "friction", "select": ".*", "scale": [0.5, 1.5], "share": True}},
    "+ mass": {"mass": {"type": "mass", "select": ".*", "scale": [0.7, 1.3]}},
    "+ motor strength": {"strength": {"type": "motor_strength", "select": ".*", "scale": [0.8, 1.2]}},
    "friction, mass, motor strength, gravity, latency, noise": {
        "gravity": {"type": "gravity", "scale": [0.9, 1.1]},
        "latency": {"type": "action_latency", "set": ["0 ms", "40 ms"]},
        "noise": {"type": "observation_noise", "set": [0, 0.02]},
    },
}


def reset() -> None:
    """Cost of a reset that draws a new domain, per world, against a plain reset of the same worlds."""
    ladders = [reset_rows(task) for task in TASKS]
    write("reset", [row for ladder in ladders for row in ladder])
    insert("bench-reset", table([ladder[-1] for ladder in ladders]))


def reset_rows(name: str) -> list[dict[str, str]]:
    """Time resets of one task up the ladder, all rungs in turn."""
    from randomizers import lookup
    from sim2real.envs import make_task
    from sim2real.envs.vector import TaskVectorEnv
    from sim2real.spec import Program

    task, terms, rungs = make_task(name), {}, {}
    model = task.compile()
    for rung, more in LADDER.items():
        terms |= {key: lookup(str(body["type"])).model_validate(body) for key, body in more.items()}
        rungs[rung] = TaskVectorEnv(task, WORLDS, Program(model, terms), threads=1)
        rungs[rung].reset(seed=0)
    mask = {"reset_mask": np.ones(WORLDS, dtype=bool)}
    times = in_turn({rung: lambda env=env: env.reset(options=mask) for rung, env in rungs.items()})
    plain = statistics.median(times["nothing"])
    return [
        {
            "task": name,
            "randomized": rung,
            "parameters": str(rungs[rung].program.d),
            "us per world": f"{1e6 * statistics.median(seconds) / WORLDS:.1f}",
            "against a plain reset": f"{statistics.median(seconds) / plain:.2f}",
        }
        for rung, seconds in times.items()
    ]


def in_turn(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Time calls round by round, so that whatever slows the machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def write(name: str, rows: list[dict[str, str]]) -> None:
    """Print rows as a markdown table, and write them as CSV."""
    print(table(rows))
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict[str, str]]) -> str:
    """Return rows as a markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *[[row[key] for key in head] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


BENCHES: dict[str, Callable[[], None]] = {"reset": reset}


def main() -> None:
    """Run one benchmark, or say which there are."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=list(BENCHES))
    name = parser.parse_args().name
    if name is None:
        print("\n".join(f"{name}: {(run.__doc__ or '').strip()}" for name, run in BENCHES.items()))
    else:
        BENCHES[name]()


if __name__ == "__main__":
    main()
