"""Row 4: SAC updates, ours against Stable-Baselines3 and SBX, the same networks and the same work."""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from gymnasium import spaces

from benches.contest import OURS, Contest
from benches.figures import Bar, Figure, Mode, Outcome
from sim2real.agents import SAC, SACConfig
from sim2real.agents.base import Transitions

CORES = len(os.sched_getaffinity(0))
SIZES = {"observation": 17, "action": 6}
# Everyone may use all cores here. In a training ours leaves all but one to physics.
# How a peer is run: what it needs installed, its module, threads of torch (0 for its default), and updates in
# one call: its default, or as many as spread the cost of a call.
PEERS = {
    "SB3": ("sb3", "stable_baselines3", 0, 16),
    "SB3 on one thread": ("sb3", "stable_baselines3", 1, 16),
    "SBX, one update a call": ("sbx", "sbx", 0, 1),
    "SBX, 64 updates a call": ("sbx", "sbx", 0, 64),
}
STORED, WORLDS = 10_240, 16
# One update of critics, actor, temperature and targets each, as the peers do by default.
CONFIG = SACConfig.model_validate(
    {
        "actor_hidden": (256, 256), "critic_hidden": (256, 256), "batch_size": 256, "policy_delay": 1,
        "policy_updates": 1, "normalize_observations": False, "learning_starts": STORED,
    }
)  # fmt: skip


def updates(mode: Mode) -> Outcome:
    """Do updates from a replay of random transitions of HalfCheetah's sizes."""
    with Contest(mode, "update") as contest:
        contest.add(OURS, ours(CORES))
        contest.add("sim2real on one thread", ours(1))
        script, stored = "sac_updates.py", {"stored": STORED, **SIZES}
        for name, (group, library, threads, steps) in PEERS.items():
            more = {"library": library, "threads": threads, "gradient_steps": steps, **stored}
            contest.add_peer(name, group, script, **more)
        contest.run()
        figures = [
            against(contest, "SAC updates against SB3", ("SB3", "SB3 on one thread"), Bar(">=", 1.7)),
            against(contest, "SAC updates against SB3 with torch's default threads", ("SB3",)),
            against(
                contest,
                "SAC updates against SBX",
                ("SBX, one update a call", "SBX, 64 updates a call"),
                Bar(">=", 1.15),
            ),
            contest.cost("our time for an update", OURS, 1e6, "us", note=f"{CORES} threads"),
            contest.cost("our time for an update on one thread", "sim2real on one thread", 1e6, "us"),
        ]
        return Outcome(figures, contest.table(), contest.peers)


def against(contest: Contest, what: str, peers: tuple[str, ...], bar: Bar | None = None) -> Figure:
    """Return our speed against the fastest of a peer's ways to be run."""
    found = [contest.speedup(what, peer, bar) for peer in peers]
    return min(found, key=lambda figure: np.inf if figure.value is None else figure.value)


def ours(threads: int) -> Callable[[float], float]:
    """Return what times `SAC.update`, which does one update for every transition observed."""
    observation = spaces.Box(-np.inf, np.inf, (SIZES["observation"],), np.float64)
    action = spaces.Box(-1.0, 1.0, (SIZES["action"],), np.float32)
    agent, rng = SAC(observation, action, CONFIG, seed=0), np.random.default_rng(0)
    for _ in range(STORED // WORLDS):
        agent.observe(transitions(rng))

    def measure(window: float) -> float:
        torch.set_num_threads(threads)
        done, seconds = 0, 0.0
        while seconds < window:
            agent.observe(transitions(rng))  # earns the updates, and is not timed
            start = time.perf_counter()
            done += agent.update()
            seconds += time.perf_counter() - start
        return seconds / done

    return measure


def transitions(rng: np.random.Generator) -> Transitions:
    """Return one random vector step."""
    before, after = rng.standard_normal((2, WORLDS, SIZES["observation"]))
    none = np.zeros(WORLDS, dtype=bool)
    return Transitions(
        obs=before, next_obs=after, reward=rng.standard_normal(WORLDS),
        action=rng.uniform(-1, 1, (WORLDS, SIZES["action"])).astype(np.float32),
        terminated=none, truncated=none, started=none, valid=~none, failed=none,
    )  # fmt: skip
