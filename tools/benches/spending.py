"""Row 10: where the time of a training run goes.

Functions of the product are wrapped from outside while a real training runs. What is counted is processor
time of the calling thread, and of nested functions each gets only what it does itself. Physics has a thread
of its own beside the learner's, so both are counted, and the clock on the wall as well.
"""

import functools
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np

from benches.contest import in_turn
from benches.figures import Figure, Mode, Outcome, Table, markdown
from benches.results import into_readme
from benches.stepping import SIGNALS, Terms
from benches.venv import ROOT
from sim2real.agents import Collector, Loop, RandomAgent
from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.off_policy import OffPolicy
from sim2real.agents.replay import Replay
from sim2real.envs.paths import Signals
from sim2real.envs.plants import TaskPlant
from sim2real.progress import Progress
from sim2real.session import Session
from sim2real.spec import Program
from sim2real.train import start
from sim2real.worlds import Worlds

SPEC = ROOT / "assets/specs/bench/cheetah.yaml"
EVERYTHING: Terms = {
    "gravity": {"type": "gravity", "scale": [0.9, 1.1]},
    "motor_strength": {"type": "motor_strength", "select": ".*", "scale": [0.8, 1.2]},
    **SIGNALS,
}
"""What is randomized beside the spec's mass and friction."""
MORE = tuple(f"randomize.{name}={json.dumps(term)}" for name, term in EVERYTHING.items())
TRAININGS: dict[str, tuple[str, ...]] = {
    "fast_sac": (),
    "fast_sac, everything randomized": MORE,
    "sac, everything randomized": ("train.algorithm=sac", *MORE),
}
SLICE = 4.0
"""Seconds that one training gets in a round."""

ENGINE, RANDOMIZING = "physics: the engine", "randomization: drawing and applying domains"
SIGNAL_PATHS, TASK = "signal paths: latency, noise", "observations, rewards, episodes"
ACTING, REPLAY, REST = "acting", "replay: storing and drawing", "the loop itself"
CRITICS, ACTOR, LOGS = "updates of the critics", "updates of the actor", "curves and checkpoints"
Wrapped = tuple[type, str, str]
WRAPPED: tuple[Wrapped, ...] = (
    (Worlds, "step", ENGINE), (Worlds, "play", ENGINE), (Worlds, "forward", ENGINE),
    (Worlds, "reset", ENGINE), (Worlds, "set_domains", RANDOMIZING),
    (Program, "quantiles", RANDOMIZING), (Program, "values", RANDOMIZING),
    (Signals, "control", SIGNAL_PATHS), (Signals, "reset", SIGNAL_PATHS),
    (TaskPlant, "act", TASK), (TaskPlant, "look", TASK), (Collector, "step", TASK),
    (OffPolicy, "act", ACTING), (RandomAgent, "act", ACTING),
    (OffPolicy, "observe", REPLAY), (Replay, "sample", REPLAY),
    (OffPolicy, "update", CRITICS), (ActorCritic, "_update_actor", ACTOR),
    (Loop, "step", REST), (Session, "report", LOGS), (Session, "save", LOGS),
)  # fmt: skip
PARTS = (ENGINE, RANDOMIZING, SIGNAL_PATHS, TASK, ACTING, CRITICS, ACTOR, REPLAY, REST, LOGS)
OURS_IN_PYTHON = (SIGNAL_PATHS, TASK)
BESIDE = (ENGINE, RANDOMIZING, SIGNAL_PATHS, TASK)
"""What the thread of physics does; the rest is the learner's."""


class Stopwatch:
    """Seconds of each part, every thread by itself: the innermost function that is watched gets them.

    Args:
        now: A clock of the calling thread [s].
    """

    def __init__(self, now: Callable[[], float] = time.thread_time) -> None:
        self._now, self._thread = now, threading.local()
        self._counts: list[Counter[str]] = []

    @property
    def seconds(self) -> Counter[str]:
        """Seconds so far, by part, all threads together."""
        return sum(self._counts, Counter[str]())

    @contextmanager
    def watching(self, wrapped: Iterable[Wrapped]) -> Iterator[None]:
        """Wrap functions for a while: whose, their names, and which part they count as."""
        with ExitStack() as stack:
            for owner, name, part in wrapped:
                stack.enter_context(patch.object(owner, name, self.wrap(vars(owner)[name], part)))
            yield

    def wrap(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return a function that does the same and is counted."""

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return counted

    def _enter(self, part: str) -> None:
        own = self._thread
        if not hasattr(own, "stack"):
            own.stack, own.mark, own.counts = [], 0.0, Counter()
            self._counts.append(own.counts)
        self._turn()
        own.stack.append(part)

    def _leave(self) -> None:
        self._turn()
        self._thread.stack.pop()

    def _turn(self) -> None:
        """Give the time since the last turn to whoever had it."""
        own, now = self._thread, self._now()
        if own.stack:
            own.counts[own.stack[-1]] += now - own.mark
        own.mark = now


@dataclass(frozen=True)
class Spent:
    """What a stretch of training took.

    Attributes:
        steps: Environment steps, all worlds together.
        updates: Gradient updates.
        wall: Seconds on the clock.
        parts: Seconds of processor time, by part.
    """

    steps: int
    updates: int
    wall: float
    parts: Counter[str]

    def __add__(self, other: "Spent") -> "Spent":
        both = self.steps + other.steps, self.updates + other.updates, self.wall + other.wall
        return Spent(*both, self.parts + other.parts)

    def seconds(self, parts: Iterable[str] = PARTS) -> float:
        """Return processor time [s] of some parts."""
        return sum(self.parts[part] for part in parts)

    def share(self, *parts: str) -> float:
        """Return the share that parts have in all of the processor time."""
        return self.seconds(parts) / self.seconds()

    @property
    def physics(self) -> float:
        """Processor time of the thread of physics [s]."""
        return self.seconds(BESIDE)

    @property
    def learner(self) -> float:
        """Processor time of the learner's thread [s]."""
        return self.seconds() - self.physics


class Training:
    """A training run like any other, in a folder that is thrown away, past its first updates.

    Worlds are at different steps of their episodes, so that every stretch has its share of resets.

    Args:
        overrides: What differs from the spec.
    """

    def __init__(self, overrides: tuple[str, ...] = ()) -> None:
        self._folder = TemporaryDirectory()
        self._progress = Progress.silent()
        run = start(SPEC, overrides, Path(self._folder.name) / "run")
        self._session = Session(run, "policy")
        self._agent: Any = self._session.loop.agent
        env: Any = self._session.env
        env.steps[:] = np.random.default_rng(0).integers(0, env.task.max_episode_steps, env.num_envs)
        while not self._agent.updates:
            self._session.step(self._progress)

    def work(self, window: float) -> Spent:
        """Train for at least so many seconds."""
        watch, loop = Stopwatch(), self._session.loop
        before, begin = (loop.steps, self._agent.updates), time.perf_counter()
        with watch.watching(WRAPPED):
            while time.perf_counter() - begin < window:
                self._session.step(self._progress)
        wall = time.perf_counter() - begin
        return Spent(loop.steps - before[0], self._agent.updates - before[1], wall, watch.seconds)

    def close(self) -> None:
        """End it, and remove its folder."""
        self._session.finish()
        self._folder.cleanup()


def spending(mode: Mode) -> Outcome:
    """Train in turn, and say which part takes how much."""
    few = ("train.num_envs=16",) if mode.quick else ()
    trainings = {name: Training(overrides + few) for name, overrides in TRAININGS.items()}
    rounds = measure(trainings, mode.rounds, mode.window if mode.quick else SLICE)
    for training in trainings.values():
        training.close()
    sums = {name: functools.reduce(Spent.__add__, spent) for name, spent in rounds.items()}
    if not mode.quick:
        into_readme("bench-profile", markdown(shown(sums)))
    return Outcome([figure for name in rounds for figure in figures(name, rounds[name])], listed(sums))


def measure(trainings: dict[str, Training], rounds: int, window: float) -> dict[str, list[Spent]]:
    """Let trainings work in turn, and return what each spent in every round."""
    found: dict[str, list[Spent]] = {name: [] for name in trainings}

    def work(name: str) -> float:
        found[name].append(trainings[name].work(window))
        return found[name][-1].wall

    in_turn({name: functools.partial(work, name) for name in trainings}, rounds)
    return {name: spent[1:] for name, spent in found.items()}  # the first does not count


def figures(name: str, rounds: list[Spent]) -> list[Figure]:
    """Return the shares that say what to improve, as they were round by round."""
    shares = {
        "updates": [100 * spent.share(CRITICS, ACTOR) for spent in rounds],
        "the engine": [100 * spent.share(ENGINE) for spent in rounds],
        "randomization": [100 * spent.share(RANDOMIZING) for spent in rounds],
        "the environment's Python": [100 * spent.share(*OURS_IN_PYTHON) for spent in rounds],
    }
    found = [spread(f"{name}: share of {part}", values, "%") for part, values in shares.items()]
    ratios = [spent.wall / spent.learner for spent in rounds]
    note = "1 if the learner never waits, for physics, for Python's lock, or for a processor"
    return [*found, spread(f"{name}: clock against the learner's processor time", ratios, "x", note)]


def spread(what: str, values: list[float], unit: str, note: str = "") -> Figure:
    """Return the median of some rounds and their range as a figure."""
    return Figure(what, statistics.median(values), min(values), max(values), unit, note=note)


def lines(spent: Spent) -> dict[str, float]:
    """Return seconds by the lines of the tables: parts, threads, and the clock."""
    threads = {
        "**thread of physics**": spent.physics,
        "**thread of the learner**": spent.learner,
        "**clock**": spent.wall,
    }
    return {part: spent.parts[part] for part in PARTS} | threads


def shown(sums: dict[str, Spent]) -> Table:
    """Return README's table: microseconds for a world-step, and shares of all processor time."""
    each = {name: lines(spent) for name, spent in sums.items()}
    table: Table = []
    for line in next(iter(each.values())):
        row = {"us per world-step (share of both threads)": line}
        for name, spent in sums.items():
            seconds = each[name][line]
            share = "" if line == "**clock**" else f" ({seconds / spent.seconds():.1%})"
            row[name] = f"{1e6 * seconds / spent.steps:.1f}{share}"
        table.append(row)
    return table


def listed(sums: dict[str, Spent]) -> Table:
    """Return everything that was counted, for the row's file."""
    return [
        {
            "training": name,
            "part": line.strip("*"),
            "seconds": f"{seconds:.4f}",
            "us per world-step": f"{1e6 * seconds / spent.steps:.3f}",
            "world-steps": str(spent.steps),
            "updates": str(spent.updates),
        }
        for name, spent in sums.items()
        for line, seconds in lines(spent).items()
    ]
