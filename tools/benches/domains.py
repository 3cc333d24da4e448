"""Row 3: what new domains cost, and what a reset costs that draws one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benches.contest import OURS, Contest
from benches.figures import Bar, Figure, Mode, Outcome, Table, markdown
from benches.peers.serve import timed
from benches.results import into_readme
from benches.stepping import Terms, full_env, stepper
from sim2real.envs.vector import TaskVectorEnv

EPISODE = 1000
"""Control steps of the episodes that a reset is compared with."""
# Twenty parameters of HalfCheetah: seven bodies, six joints with their motors, gravity.
TWENTY: Terms = {
    "mass": {"type": "mass", "select": ".*", "scale": [0.7, 1.3]},
    "damping": {"type": "damping", "select": "[bf](thigh|shin|foot)", "scale": [0.7, 1.3]},
    "strength": {"type": "motor_strength", "select": ".*", "scale": [0.8, 1.2]},
    "gravity": {"type": "gravity", "scale": [0.9, 1.1]},
}
RESET_TASKS = ("HalfCheetah-v5", "Ant-v5", "Humanoid-v5")
# What is randomized for the cost of a reset: each rung adds to the one before.
LADDER: dict[str, Terms] = {
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
TOP = list(LADDER)[-1]
RESET_WORLDS = 64


def domains(mode: Mode) -> Outcome:
    """Draw and apply 20 parameters to 1,024 worlds; then a whole reset, against an episode's steps."""
    env = full_env("HalfCheetah-v5", 1024, TWENTY)
    assert env.program.d == 20
    with Contest(mode, "world") as contest:
        contest.add(OURS, renewal(env))
        contest.add("draw only", drawing(env))
        contest.add("reset", resetting(env))
        contest.add("step", stepper(env))
        contest.run()
        note = "HalfCheetah-v5: 7 masses, 6 dampings, 6 motor strengths, gravity; 2 threads"
        what = "drawing and applying 20 parameters to 1,024 worlds"
        figures = [
            contest.cost(what, OURS, 1e3 * env.num_envs, "ms", Bar("<=", 5.0), note),
            contest.cost("of which drawing", "draw only", 1e3 * env.num_envs, "ms"),
            share(contest, "reset with them, as a share of the 1,000 steps of an episode"),
        ]
        return Outcome(figures, contest.table())


def share(contest: Contest, what: str) -> Figure:
    """Return the cost of a reset as a share of an episode's steps."""
    found = contest.ratio(what, "reset", "step")
    assert found.value is not None and found.low is not None and found.high is not None
    value, low, high = (100.0 * number / EPISODE for number in (found.value, found.low, found.high))
    return Figure(what, value, low, high, "%", Bar("<=", 5.0))


def renewal(env: TaskVectorEnv) -> Callable[[float], float]:
    """Return what times giving every world the domain of its next episode."""
    ids, episodes, zero = np.arange(env.num_envs), env.episodes.copy(), np.zeros(env.num_envs)

    def work() -> int:
        episodes[:] += 1
        env.worlds.set_domains(ids, env.domains(0, ids, episodes, zero))
        return env.num_envs

    return lambda window: timed(work, window)


def drawing(env: TaskVectorEnv) -> Callable[[float], float]:
    """Return what times drawing those domains, without applying them."""
    ids, episodes, zero = np.arange(env.num_envs), env.episodes.copy(), np.zeros(env.num_envs)

    def work() -> int:
        episodes[:] += 1
        env.domains(0, ids, episodes, zero)
        return env.num_envs

    return lambda window: timed(work, window)


def resetting(env: TaskVectorEnv) -> Callable[[float], float]:
    """Return what times a reset of every world into its next episode."""
    mask = {"reset_mask": np.ones(env.num_envs, dtype=bool)}

    def work() -> int:
        env.reset(options=mask)
        return env.num_envs

    return lambda window: timed(work, window)


def reset(mode: Mode) -> Outcome:
    """Reset worlds of three tasks up a ladder of terms; the last rungs are README's table."""
    outcome, shown = Outcome(), []
    for task in RESET_TASKS:
        figures, table = climb(replace(mode, window=mode.window / 5), task)
        outcome.figures += figures
        outcome.table += table
        shown.append(table[-1])
    if not mode.quick:
        into_readme("bench-reset", markdown(shown))
    return outcome


def climb(mode: Mode, task: str) -> tuple[list[Figure], Table]:
    """Reset one task on every rung in turn; return its figures, and the cost of every rung."""
    envs: dict[str, TaskVectorEnv] = {}
    terms: Terms = {}
    for rung, more in LADDER.items():
        terms = terms | more
        envs[rung] = full_env(task, RESET_WORLDS, terms, threads=1)
    with Contest(mode, "world") as contest:
        for rung, env in envs.items():
            contest.add(rung, resetting(env))
        contest.add("reset", resetting(envs[TOP]))
        contest.add("step", stepper(envs[TOP]))
        contest.run()
    note = f"{TOP}; {RESET_WORLDS} worlds, 1 thread"
    return [
        contest.ratio(f"{task}: reset with a new domain against a plain one", TOP, "nothing", note=note),
        share(contest, f"{task}: reset as a share of the 1,000 steps of an episode"),
    ], ladder(contest, task, envs)


def ladder(contest: Contest, task: str, envs: dict[str, TaskVectorEnv]) -> Table:
    """Return the cost of a reset on every rung."""
    rows: Table = []
    for rung, env in envs.items():
        cost, ratio = contest.cost("", rung, 1e6, "us"), contest.ratio("", rung, "nothing")
        row = {"task": task, "randomized": rung, "parameters": str(env.program.d)}
        row |= {"us per world": f"{cost.value:.1f}", "against a plain reset": f"{ratio.value:.2f}"}
        rows.append(row)
    return rows
