"""Row 8: the cost of a world-step by number of worlds and of terms, and the memory of a world."""

import json
import subprocess
import sys

from benches.contest import Contest
from benches.figures import Bar, Figure, Mode, Outcome, Table
from benches.stepping import CHEETAH, Terms, full_env, policy, stepper
from sim2real.envs import make_task

TASK = "HalfCheetah-v5"
WORLDS = (1, 4, 16, 64, 256, 1024, 4096)
TERMS = (0, 1, 5, 10, 20, 50)
AT = 256
"""Worlds in which the number of terms is varied."""
FLAT = Bar("<=", 1.2)


def scaling(mode: Mode) -> Outcome:
    """Step HalfCheetah in 1 to 4,096 worlds, then with 0 to 50 terms, then weigh its worlds."""
    by_worlds, costs = by_number_of_worlds(mode)
    by_terms, more = by_number_of_terms(mode)
    memory, weights = by_memory(mode)
    return Outcome([*by_worlds, *by_terms, *memory], costs + more + weights)


def by_number_of_worlds(mode: Mode) -> tuple[list[Figure], Table]:
    """Return how the cost grows past 64 worlds: the worst of the larger numbers."""
    with Contest(mode, "world-step") as contest:
        for n in WORLDS:
            contest.add(f"{n} worlds", stepper(full_env(TASK, n, CHEETAH)))
        contest.run()
        grown = [
            contest.ratio(
                f"cost of a world-step, {n:,} worlds against 64", f"{n} worlds", "64 worlds", FLAT,
                f"the worst of {', '.join(f'{m:,}' for m in WORLDS if m > 64)}; 6 terms, 2 threads",
            )
            for n in WORLDS if n > 64
        ]  # fmt: skip
        return [max(grown, key=lambda figure: figure.value or 0.0)], rows(contest)


def by_number_of_terms(mode: Mode) -> tuple[list[Figure], Table]:
    """Return how the cost grows with terms that write physics, each drawn once an episode of 1,000 steps."""
    terms = fifty()
    with Contest(mode, "world-step") as contest:
        for count in TERMS:
            some = dict(list(terms.items())[:count])
            contest.add(f"{count} terms", stepper(full_env(TASK, AT, some)))
        contest.run()
        what = "cost of a world-step, 50 terms against none"
        return [contest.ratio(what, "50 terms", "0 terms", FLAT, f"{AT} worlds, 2 threads")], rows(contest)


def by_memory(mode: Mode) -> tuple[list[Figure], Table]:
    """Return the resident memory of a world, each number of worlds in a process of its own."""
    numbers = (1, 256, 4096) if mode.quick else WORLDS
    weights = {n: weigh(n) for n in numbers}
    table = [
        {**dict.fromkeys(COLUMNS, ""), "setting": f"{n} worlds", "resident MiB": f"{weight:.1f}"}
        for n, weight in weights.items()
    ]
    most = max(numbers)
    each = 1024 * (weights[most] - weights[1]) / (most - 1)
    what = f"resident memory of a world, of {most:,}"
    return [Figure(what, each, unit="KiB", note=f"6 terms; one world alone: {weights[1]:.0f} MiB")], table


COLUMNS = ("setting", "us per world-step", "least", "greatest", "resident MiB")


def rows(contest: Contest) -> Table:
    """Return a contest's costs in this row's columns."""
    return [
        {
            "setting": row["entrant"],
            **{key: row[key] for key in COLUMNS[1:4]},
            "resident MiB": "",
        }
        for row in contest.table()
    ]


def fifty() -> Terms:
    """Return fifty terms that each write one element of HalfCheetah's model.

    Dry friction is not among them: for each joint that has any the engine solves one constraint more,
    randomized or not, and that would be measured in place of the terms.
    """
    model = make_task(TASK).compile()
    joints = [f"^{model.joint(i).name}$" for i in range(3, model.njnt)]
    bodies = [f"^{model.body(i).name}$" for i in range(1, model.nbody)]
    motors = [f"^{model.actuator(i).name}$" for i in range(model.nu)]
    kinds = {
        "mass": bodies, "damping": joints, "motor_strength": motors, "friction": bodies, "stiffness": joints,
        "armature": joints, "center_of_mass": bodies, "gear": motors,
    }  # fmt: skip
    operation = {"center_of_mass": {"x": ["-5 mm", "5 mm"]}}
    terms: Terms = {
        f"{kind} {name}": {"type": kind, "select": name, **operation.get(kind, {"scale": [0.9, 1.1]})}
        for kind, names in kinds.items()
        for name in names
    }
    assert len(terms) >= 50
    return dict(list(terms.items())[:50])


def weigh(worlds: int) -> float:
    """Return the resident memory [MiB] of a fresh process with so many worlds."""
    command = [sys.executable, "-m", "benches.scaling", str(worlds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["resident_mib"])


def main() -> None:
    """Make worlds, step them, and print what this process weighs."""
    env = full_env(TASK, int(sys.argv[1]), CHEETAH)
    actions = policy(env)
    for _ in range(3):
        env.step(actions())
    with open("/proc/self/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    print(json.dumps({"resident_mib": kib / 1024}))


if __name__ == "__main__":
    main()
