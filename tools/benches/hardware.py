"""Row 11: what more cores, a GPU or a cluster change: measured here where that can be, else computed."""

import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benches.contest import Contest, in_turn
from benches.figures import Figure, Mode, Outcome, Table
from benches.peers.serve import timed
from benches.results import folder
from benches.scaling_page import DEFAULT, Found, Trained, Update, written
from benches.spending import MORE, SLICE, Spent, Training, spread
from benches.stepping import CHEETAH, full_env, stepper
from benches.updates import SIZES, STORED, transitions
from benches.updates import WORLDS as ROWS
from benches.venv import ROOT
from sim2real.agents import SAC, FastSACConfig

PAGE = ROOT / "assets" / "docs" / "scaling.md"
ALGORITHMS = ("fast_sac", "sac")
WORLDS, WIDTHS = (64, 256, 1024, 4096), (128, DEFAULT, 512)


def hardware(mode: Mode) -> Outcome:
    """Measure trainings, threads of physics and threads of updates; write the page."""
    few = replace(mode, window=mode.window / 4, rounds=3 if mode.quick else mode.rounds)
    worlds, widths = (WORLDS[:2], (DEFAULT,)) if mode.quick else (WORLDS, WIDTHS)
    trained: dict[str, Trained] = {}
    figures: list[Figure] = []
    for algorithm in ALGORITHMS[:1] if mode.quick else ALGORITHMS:
        longer = few if mode.quick else replace(few, window=SLICE)
        trained[algorithm], found = training(longer, algorithm)
        figures += found
    steps, stepped, costs = on_two_threads(few, "world-step", "worlds", by_worlds(worlds))
    updates, updated, more = on_two_threads(few, "update", "wide", by_width(widths))
    torch.set_num_threads(1)
    counted = {width: count(width) for width in widths}
    page = folder(mode) / "scaling.md" if mode.quick else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(written(Found(trained, steps, updates, counted)))
    return Outcome([*figures, *stepped, *updated], costs + more)


Measures = dict[tuple[int, int], Callable[[float], float]]
"""What is measured, by size and number of threads."""


def on_two_threads(
    mode: Mode, unit: str, size: str, measures: Measures
) -> tuple[dict[tuple[int, int], float], list[Figure], Table]:
    """Measure every size on one thread and on two, in turn; return costs [s], figures and a table."""
    names = {key: f"{key[0]} {size}, {key[1]} thread{'s' * (key[1] > 1)}" for key in measures}
    with Contest(mode, unit) as contest:
        for key, measure in measures.items():
            contest.add(names[key], measure)
        contest.run()
        what = f"{unit}s on two threads against one"
        sizes = list(dict.fromkeys(n for n, _ in names))
        figures = [contest.ratio(f"{what}, {n} {size}", names[n, 1], names[n, 2]) for n in sizes]
        costs = {key: statistics.median(contest.costs[name]) for key, name in names.items()}
        table = [
            {"setting": f"{unit}, {names[key]}", "us": f"{1e6 * cost:.4g}"} for key, cost in costs.items()
        ]
        return costs, figures, table


def by_worlds(worlds: Sequence[int]) -> Measures:
    """Return what times steps of the full environment."""
    return {
        (n, threads): stepper(full_env("HalfCheetah-v5", n, CHEETAH, threads))
        for n in worlds
        for threads in (1, 2)
    }


def by_width(widths: Sequence[int]) -> Measures:
    """Return what times updates."""
    return {(width, threads): updating(agent(width), threads) for width in widths for threads in (1, 2)}


def agent(width: int) -> SAC:
    """Return the default learner at some width, with a replay of HalfCheetah's sizes."""
    hidden = {"actor_hidden": (width, width), "critic_hidden": (width, width)}
    # Half an update a transition: eight at a time, which draw their batches together.
    config = FastSACConfig.model_validate({**hidden, "learning_starts": STORED, "updates_per_step": 0.5})
    observation = spaces.Box(-np.inf, np.inf, (SIZES["observation"],), np.float64)
    action = spaces.Box(-1.0, 1.0, (SIZES["action"],), np.float32)
    made, rng = SAC(observation, action, config, seed=0), np.random.default_rng(0)
    for _ in range(STORED // ROWS):
        made.observe(transitions(rng))
    return made


def updating(learner: SAC, threads: int) -> Callable[[float], float]:
    """Return what times updates on some threads of torch."""
    rng = np.random.default_rng(0)

    def work() -> int:
        learner.observe(transitions(rng))  # earns the updates, and is nothing beside them
        return learner.update()

    def measure(window: float) -> float:
        torch.set_num_threads(threads)
        return timed(work, window)

    return measure


class Launches(TorchDispatchMode):
    """Counts operations that would each start a kernel: neither views, nor memory that is only taken."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do it, and count it."""
        self.count += not (func.is_view or "empty" in func.name() or "_unsafe_view" in func.name())
        return func(*args, **(kwargs or {}))


def count(width: int) -> Update:
    """Return what an update consists of, from the shapes of what it computes."""
    learner = agent(width)
    learner.observe(transitions(np.random.default_rng(0)))
    with FlopCounterMode(display=False) as flop, Launches() as launches:
        done = learner.update()
    return Update(flop.get_total_flops() / done, launches.count / done)


def training(mode: Mode, algorithm: str) -> tuple[Trained, list[Figure]]:
    """Train alone, and then two at a time, each in a process of its own."""
    alone: list[Spent] = []
    few = ("train.num_envs=16",) if mode.quick else ()
    with trainings(2, (f"train.algorithm={algorithm}", *MORE, *few)) as both:

        def one() -> float:
            alone.extend(work(both[:1], mode.window))
            return rate(alone[-1:])

        rates = in_turn({"one": one, "two": lambda: rate(work(both, mode.window))}, mode.rounds)
    ratios = [two / one for one, two in zip(rates["one"], rates["two"], strict=True)]
    del alone[0]  # of the round that does not count
    shares = [100 * spent.physics / spent.seconds() for spent in alone]
    figures = [
        spread(f"{algorithm}: two trainings at a time against one", ratios, "x"),
        spread(f"{algorithm}: share of physics in a training's processor time", shares, "%"),
    ]
    return Trained(reduce(Spent.__add__, alone), statistics.median(ratios)), figures


@contextmanager
def trainings(number: int, overrides: tuple[str, ...]) -> Iterator[list[Connection]]:
    """Start trainings in processes of their own, ready to work."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(number)]
    processes = [context.Process(target=serve, args=(there, overrides), daemon=True) for _, there in pipes]
    for process in processes:
        process.start()
    ours: list[Any] = [here for here, _ in pipes]
    for (_, there), pipe in zip(pipes, ours, strict=True):
        there.close()  # so that one which fails is heard
        pipe.recv()
    yield ours
    for pipe in ours:
        pipe.send(None)
    for process in processes:
        process.join()


def serve(pipe: Connection, overrides: tuple[str, ...]) -> None:
    """Train for as long as each message asks, and say what that took; end the process at a None."""
    trained = Training(overrides)
    pipe.send(None)
    while (window := pipe.recv()) is not None:
        pipe.send(trained.work(window))
    trained.close()
    os._exit(0)  # an interpreter's own end takes two seconds, with all that it has imported


def work(pipes: Sequence[Connection], window: float) -> list[Spent]:
    """Let trainings work at the same time."""
    for pipe in pipes:
        pipe.send(window)
    return [pipe.recv() for pipe in pipes]


def rate(spent: Sequence[Spent]) -> float:
    """Return environment steps per second of trainings together."""
    return sum(one.steps / one.wall for one in spent)
