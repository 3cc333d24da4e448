"""What each choice of the default preset is worth: the return after a fixed time without it.

As in `benches.learning`: one core each, processor time, several seeds, on the training source. Chosen are
settings that did well here, so that this is no evidence for other tasks; `learning` is, as far as it goes.
"""

import statistics
from itertools import product

from benches import venv
from benches.figures import Figure, Mode, Outcome
from benches.learning import TASKS, Job, run_all

SEEDS = range(3)
# Share of a task's budget.
SHARES = {"cheetah": 1 / 4, "hopper": 1 / 3, "pusher": 1 / 4}
# What is changed, and how.
CHANGES: dict[str, tuple[str, ...]] = {
    "the default preset": (),
    "one value a critic, the lesser counts (SAC)": (
        "train.algorithm=sac",
        "train.agent.actor_hidden=[128, 128]",
        "train.agent.critic_hidden=[128, 128]",
        "train.agent.critic_layernorm=true",
        "train.agent.updates_per_step=0.125",
        "train.agent.policy_updates=1",
        "train.agent.n_step=3",
        "train.agent.tau=0.05",
    ),
    "eight quantiles": ("train.agent.quantiles=8",),
    "no quantile dropped": ("train.agent.dropped_quantiles=0",),
    "one-step returns": ("train.agent.n_step=1",),
    "five-step returns": ("train.agent.n_step=5",),
    "slow targets (tau 0.005)": ("train.agent.tau=0.005",),
    "no layer normalization": ("train.agent.critic_layernorm=false",),
    "16 worlds": ("train.num_envs=16",),
    "16 worlds, an update every two steps": ("train.num_envs=16", "train.agent.updates_per_step=0.5"),
    "512 worlds": ("train.num_envs=512",),
    "an update every two steps": ("train.agent.updates_per_step=0.5",),
    "an update every 32 steps": ("train.agent.updates_per_step=0.03125",),
    "256 wide": ("train.agent.critic_hidden=[256, 256]", "train.agent.actor_hidden=[256, 256]"),
    "batch of 512": ("train.agent.batch_size=512",),
    "actor every time": ("train.agent.policy_delay=1",),
    "actor three times as fast": ("train.agent.actor_lr=1e-3",),
    "temperature from 0.1": ("train.agent.initial_temperature=0.1",),
    "MKL instead of oneDNN": ("train.agent.fast_matmul=false",),
    "CrossQ": ("train.algorithm=crossq",),
    "textbook SAC, one world": (
        "train.algorithm=sac",
        "train.num_envs=1",
    ),
}


def ablation(mode: Mode) -> Outcome:
    """Train with one change at a time."""
    base = "runs/bench-quick/ablation" if mode.quick else "assets/results/bench/ablation"
    seeds, factor = (SEEDS[:1], 0.1) if mode.quick else (SEEDS, 1.0)
    jobs = {
        (task, change, seed): Job(
            venv.ROOT / base, task, slug(change), seed, SHARES[task] * factor, CHANGES[change]
        )
        for task, change, seed in product(SHARES, CHANGES, seeds)
    }
    if not mode.tables:
        run_all([job for job in jobs.values() if not job.file.exists()])
    table, figures = [], []
    for change in CHANGES:
        row = {"change": change}
        for task in SHARES:
            done = [job for seed in seeds if (job := jobs[task, change, seed]).file.exists()]
            reached = [last(job) for job in done]
            seconds = TASKS[task].budget * SHARES[task] * factor
            row[f"{task}, mean after {seconds:g} s"] = _shown(reached)
            figures.append(_figure(f"{task}: {change}", reached))
        table.append(row)
    return Outcome(figures, table)


def _shown(reached: list[float]) -> str:
    """Return a mean over seeds, and each of them."""
    each = ", ".join(f"{value:.0f}" for value in reached)
    return f"{statistics.fmean(reached):.0f} ({each})" if reached else ""


def _figure(what: str, reached: list[float]) -> Figure:
    if not reached:
        return Figure(what, unit="", missing="no seed yet")
    return Figure(what, statistics.fmean(reached), min(reached), max(reached), "")


def slug(change: str) -> str:
    """Return a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in change)


def last(job: Job) -> float:
    """Return the mean of a curve's last three evaluations: one alone depends on its moment."""
    return statistics.fmean(row["return"] for row in job.curve()[-3:])
