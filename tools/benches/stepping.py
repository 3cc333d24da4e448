"""Rows 1 and 2: the full vector environment, against bare physics, EnvPool and Gymnasium."""

from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from benches.contest import OURS, Contest
from benches.figures import Bar, Mode, Outcome
from benches.peers.serve import timed
from randomizers import lookup
from sim2real.envs import make_task
from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Program
from sim2real.worlds.worlds import STATE_FIELDS

WORLDS, THREADS = 256, 2
Terms = dict[str, dict[str, Any]]

BARE = "bare Batch.step"
COMMON: Terms = {
    "friction": {"type": "friction", "select": ".*", "scale": [0.5, 1.5], "share": True},
    "mass": {"type": "mass", "select": ".*", "scale": [0.7, 1.3]},
    "gravity": {"type": "gravity", "scale": [0.9, 1.1]},
}
SIGNALS: Terms = {
    "latency": {"type": "action_latency", "set": ["0 ms", "40 ms"]},
    "noise": {"type": "observation_noise", "set": [0, 0.02]},
}
"""Drawn at a reset as any other term, but work at every step."""
CHEETAH: Terms = {
    **COMMON,
    "motor strength": {"type": "motor_strength", "select": ".*", "scale": [0.8, 1.2]},
    "damping": {"type": "damping", "select": "[bf]thigh|[bf]shin|[bf]foot", "scale": [0.7, 1.3]},
    "armature": {"type": "armature", "select": "[bf]thigh|[bf]shin|[bf]foot", "scale": [0.7, 1.3]},
}
_ARM = "robot0:(shoulder|upperarm|elbow|forearm|wrist)_.*"
_JOINTS = "robot0:(shoulder|elbow|wrist).*"
PUSH: Terms = {
    **COMMON,
    "mass": {"type": "mass", "select": f"object0|{_ARM}", "scale": [0.7, 1.3]},
    "damping": {"type": "damping", "select": _JOINTS, "scale": [0.7, 1.3]},
    "armature": {"type": "armature", "select": _JOINTS, "scale": [0.7, 1.3]},
    "softness": {"type": "contact_time_constant", "select": "object0", "scale": [0.8, 1.2]},
}


def cheetah(mode: Mode) -> Outcome:
    """HalfCheetah-v5: episodes of 1,000 steps, actuators."""
    return stepping(mode, "HalfCheetah-v5", CHEETAH, 256, 1, {BARE: 0.90, "EnvPool": 1.2, "Gymnasium": 4.0})


def push(mode: Mode) -> Outcome:
    """FetchPush-v4: episodes of 50 steps, moved by a mocap body."""
    return stepping(mode, "FetchPush-v4", PUSH, 16, 50, {BARE: 0.90, "EnvPool": 1.3, "Gymnasium": 4.0})


def stepping(
    mode: Mode, task: str, six: Terms, gymnasium_worlds: int, episode: int, bars: dict[str, float]
) -> Outcome:
    """Step everyone with random actions.

    Args:
        mode: How long.
        task: Its name, alike for all.
        six: The terms of ours; peers have none.
        gymnasium_worlds: How many worlds Gymnasium steps, one after the other.
        episode: Control steps that peers always do together, so that their resets count.
        bars: What our speed should at least be, in units of each peer's.
    """
    signals = dict(list(six.items())[: 6 - len(SIGNALS)]) | SIGNALS
    harder, none = "with latency and noise for two of them", "without any term"
    with Contest(mode, "world-step") as contest:
        env = full_env(task, WORLDS, six)
        contest.add(OURS, stepper(env))
        contest.add(BARE, bare(env))
        contest.add(harder, stepper(full_env(task, WORLDS, signals)))
        contest.add(none, stepper(full_env(task, WORLDS, {})))
        same = {"task": task, "episode": episode}
        contest.add_peer("EnvPool", "envpool", "envpool_steps.py", threads=THREADS, **same)
        contest.add_peer("Gymnasium", "sb3", "gymnasium_steps.py", worlds=gymnasium_worlds, **same)
        contest.run()
        note = {
            BARE: "same model, worlds, threads and actions, from our worlds' states; nothing is read",
            "EnvPool": "not randomized",
            "Gymnasium": "not randomized",
        }
        figures = [
            contest.speedup(f"speed against {peer}", peer, Bar(">=", bar), note[peer])
            for peer, bar in bars.items()
        ]
        figures += [
            contest.ratio(f"speed {harder} against {BARE}", BARE, harder, Bar(">=", bars[BARE])),
            contest.ratio(f"speed {none} against {BARE}", BARE, none),
        ]
        # Where the engine alone is slower than a bar asks for, no environment on it can reach that bar.
        figures += [
            contest.ratio(f"speed of {BARE} itself against {peer}", peer, BARE)
            for peer in bars if peer != BARE
        ]  # fmt: skip
        figures.append(contest.cost("our time for a world-step", OURS, 1e6, "us", note=", ".join(six)))
        return Outcome(figures, contest.table(), contest.peers)


def full_env(task: str, worlds: int, terms: Terms, threads: int = THREADS) -> TaskVectorEnv:
    """Return a vector environment with some terms, its worlds at different steps of their episodes."""
    made = make_task(task)
    bound = {name: lookup(str(body["type"])).model_validate(body) for name, body in terms.items()}
    env = TaskVectorEnv(made, worlds, Program(made.compile(), bound), threads=threads)
    env.reset(seed=0)
    env.steps[:] = np.random.default_rng(0).integers(0, made.max_episode_steps, worlds)
    return env


def stepper(env: TaskVectorEnv) -> Callable[[float], float]:
    """Return what times steps of an environment under random actions."""
    actions = policy(env)

    def work() -> int:
        env.step(actions())
        return env.num_envs

    return lambda window: timed(work, window)


def policy(env: TaskVectorEnv) -> Callable[[], NDArray[np.float64]]:
    """Return what draws uniformly random actions (n, a)."""
    space, rng = cast(gym.spaces.Box, env.single_action_space), np.random.default_rng(0)
    return lambda: rng.uniform(space.low, space.high, (env.num_envs, *space.shape))


def bare(env: TaskVectorEnv) -> Callable[[float], float]:
    """Return what times physics under random actions, from where an environment's worlds are."""
    ids, skip, actions = np.arange(env.num_envs), env.task.frame_skip, policy(env)
    batch: Any = Batch(env.program.model, env.num_envs, THREADS)

    def work() -> int:
        env.task.act(batch, ids, actions())  # how an action becomes ctrl or mocap_pos
        batch.step(nstep=skip)
        return env.num_envs

    def measure(window: float) -> float:
        for name in STATE_FIELDS:
            if (field := batch.bind(name)).size:
                field[:] = env.worlds.bind(name)
        batch.forward()
        return timed(work, window)

    return measure
