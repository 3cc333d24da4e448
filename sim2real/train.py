"""Trains a spec's policy and its baseline into a run folder. Here physics and learning meet."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from sim2real.agents import AGENTS, Agent, Loop, make_agent
from sim2real.envs import nominal_model
from sim2real.envs.context import ContextEnv
from sim2real.envs.domains import Domains, fixed
from sim2real.envs.fit import fit
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import is_native
from sim2real.envs.vector import TaskVectorEnv
from sim2real.progress import Progress
from sim2real.runs import Interrupted, Run, RunError, Track, create_run, open_run, to_arrays, write_json
from sim2real.spec import Bundle, Catalog, load
from sim2real.transfer.curricula import CURRICULA, Instructor, check_curriculum, make_curriculum
from sim2real.transfer.distillation import Distillation, DistillationConfig
from sim2real.transfer.lessons import taught_in
from sim2real.transfer.registry import METHODS, history_of, make_method, untold

Part = Literal["policy", "baseline"]
CATALOG = Catalog(
    nominal_model,
    {name: entry.config for name, entry in {**AGENTS, **METHODS}.items()},
    fit,
    {name: entry.settings for name, entry in CURRICULA.items()},
    check_curriculum,
)
LOG_EVERY = 1_000
"""Environment steps between rows of metrics.csv."""


def start(spec: Path, overrides: tuple[str, ...] = (), out: Path | None = None) -> Run:
    """Make the run folder of a spec file.

    Raises:
        SpecError: If the spec is wrong.
        RunError: If the folder exists, or a run that the spec wants for a teacher cannot be one.
    """
    bundle = load(spec, CATALOG, overrides)
    _refuse_teachers(bundle)
    return create_run(spec.stem, bundle.spec.text, bundle.spec.train.seed, out)


def reload(run: Run) -> Bundle:
    """Load the spec of a run folder.

    Raises:
        SpecError: If it was edited into something wrong.
    """
    return load(run.spec, CATALOG)


def train(run: Run, progress: Progress) -> None:
    """Train whatever is missing in a run folder: the policy, and beside it the baseline.

    With a processor to spare the baseline trains at the same time, in a process of its own.

    Raises:
        Interrupted: After SIGINT or SIGTERM; everything is saved, and `train` continues it.
        RunError: If a checkpoint cannot be used, or the other process failed.
    """
    bundle = reload(run)
    settings = bundle.spec.train
    if not settings.baseline or not bundle.spec.randomize:
        train_part(run, "policy", progress)
        return
    if len(os.sched_getaffinity(0)) < 2:
        train_part(run, "policy", progress)
        train_part(run, "baseline", progress)
        return
    # A fresh interpreter: forking one that has started physics threads is not safe.
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_baseline_process, args=(str(run.path),))
    other.start()
    try:
        with progress.watching("baseline", run.baseline, settings.steps, other.is_alive):
            train_part(run, "policy", progress)
            other.join()
    except BaseException:
        other.terminate()
        other.join()
        raise
    if other.exitcode != 0:
        raise RunError(
            f"{run.baseline.path}: training the baseline failed; see {run.baseline.path}/error.txt"
        )


def _baseline_process(path: str) -> None:
    run = open_run(path)
    try:
        train_part(run, "baseline", Progress.silent())
    except Interrupted:
        raise SystemExit(0) from None
    except BaseException as error:
        run.baseline.path.mkdir(exist_ok=True)
        (run.baseline.path / "error.txt").write_text(f"{type(error).__name__}: {error}\n")
        raise SystemExit(1) from None


def train_part(run: Run, part: Part, progress: Progress) -> None:
    """Train one of the two policies of a run up to its number of steps, from its checkpoint if any.

    Raises:
        Interrupted: After SIGINT or SIGTERM.
        RunError: If its checkpoint cannot be used, or another process trains it.
    """
    track = run.policy if part == "policy" else run.baseline
    with track.locked(), _stop_requests() as stopped:
        session = Session(run, part)
        target = session.bundle.spec.train.steps
        progress.begin(part, target, session.loop.steps)
        parent = multiprocessing.parent_process()
        while session.loop.steps < target:
            session.step(progress)
            orphaned = parent is not None and not parent.is_alive()
            if stopped() or orphaned:
                session.save()
                raise Interrupted
        session.finish()
        progress.end(part)


class Session:
    """One training in progress, from its newest checkpoint.

    Args:
        run: The run folder.
        part: Which of its two policies.
    """

    def __init__(self, run: Run, part: Part) -> None:
        torch.set_num_threads(1)  # faster for these sizes, and the same result everywhere
        self.bundle, self.part = reload(run), part
        self.track: Track = run.policy if part == "policy" else run.baseline
        settings = self.bundle.spec.train
        self.env = training_env(self.bundle, part)
        overlap = isinstance(self.env.unwrapped, TaskVectorEnv)
        self.instructor = instructor_of(self.bundle, self.env, part)
        agent = fresh_agent(self.bundle, self.env, part)
        self.loop = Loop(agent, self.env, settings.seed, overlap, self.instructor)
        self._board: Any = None
        self._reported = self._saved = 0
        if self.track.checkpoint.exists():
            self._restore(self.track.load())
        self.track.forget_after(self._reported)

    def step(self, progress: Progress) -> None:
        """Take one step in every world; log and save when it is time."""
        every = self.bundle.spec.train.checkpoint_every
        before = self.loop.steps
        self.loop.step()
        now = self.loop.steps
        save = now // every > before // every
        if save or now // LOG_EVERY > before // LOG_EVERY:
            progress.update(self.part, self.report())
        if save:
            self.save()

    def report(self) -> dict[str, float]:
        """Write a row of curves, and TensorBoard scalars, and return the row."""
        row = self.loop.metrics() | (self.instructor.metrics() if self.instructor else {})
        self._reported = int(row["step"])
        self.track.append(row)
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.track.path / "tensorboard"), purge_step=self._reported)
        for name, value in row.items():
            if np.isfinite(value) and name != "step":
                self._board.add_scalar(name, value, self._reported)
        return row

    def save(self) -> None:
        """Write the checkpoint and the list of failed episodes."""
        env = self.env.unwrapped
        own = isinstance(env, TaskVectorEnv)
        state = {"loop": self.loop.state_dict(), "step": self.loop.steps, "reported": self._reported}
        state["instructor"] = self.instructor.state_dict() if self.instructor else None
        self.track.save(state | {"env": _stateful(self.env).state_dict() if own else None})
        self._saved = self.loop.steps
        if own and env.failures:
            write_json(self.track.path / "failures.json", env.failures)

    def finish(self) -> None:
        """Write what is left, and close."""
        if self._reported < self.loop.steps:
            self.report()
        if self._saved < self.loop.steps:
            self.save()
        if self._board is not None:
            self._board.close()
        self.env.close()

    def _restore(self, saved: dict[str, Any]) -> None:
        env = self.env.unwrapped
        with _readable(self.track):
            if isinstance(env, TaskVectorEnv) and saved["env"] is not None:
                _stateful(self.env).load_state_dict(to_arrays(saved["env"]))
            if self.instructor is not None:
                self.instructor.load_state_dict(to_arrays(saved["instructor"]))
            self.loop.load_state_dict(saved["loop"])
        if saved["env"] is None:
            # A foreign environment cannot be saved: its running episodes are given up.
            self.loop.collector.restart(self.bundle.spec.train.seed + self.loop.steps)
        self._reported, self._saved = saved["reported"], saved["step"]


def training_env(bundle: Bundle, part: Part) -> VectorEnv[Any, Any, Any]:
    """Make the worlds that a policy trains in: its source or its teachers' targets; or only nominal."""
    spec = bundle.spec
    domains = fixed(bundle.program.nominal) if part == "baseline" else _taught_in(bundle)
    # An environment that is not ours is one Python object each, and costs as much memory as time.
    worlds = spec.train.num_envs or (128 if is_native(spec.env) else 8)
    return make_worlds(
        spec.env, spec.env_options, bundle.program, worlds, domains, spec.train.seed, threads=1,
        history=history_of(spec.train.algorithm, spec.train.agent),
    )  # fmt: skip


def _stateful(env: Any) -> TaskVectorEnv | ContextEnv:
    """Say that native worlds have a state, in a context or not."""
    return env


def _taught_in(bundle: Bundle) -> Domains | None:
    """Return the domains of the worlds that a student is taught in, or None for the source."""
    settings = bundle.spec.train
    if settings.algorithm != "distillation":
        return None
    return taught_in(DistillationConfig.model_validate(settings.agent).teachers, bundle)


def instructor_of(bundle: Bundle, env: VectorEnv[Any, Any, Any], part: Part) -> Instructor | None:
    """Let a spec's curriculum, if it has one, draw the domains that its policy trains in."""
    settings = bundle.spec.train
    native = env.unwrapped
    if part == "baseline" or not settings.curriculum or not isinstance(native, TaskVectorEnv):
        return None
    curriculum = make_curriculum(settings.curriculum, bundle.program.nominal_quantiles)
    return Instructor(curriculum, native, settings.seed)


def fresh_agent(bundle: Bundle, env: VectorEnv[Any, Any, Any], part: Part = "policy") -> Agent:
    """Make the spec's untrained agent for an environment."""
    settings = bundle.spec.train
    own = untold(settings.algorithm, settings.agent) if part == "baseline" else settings.agent
    spaces = env.single_observation_space, env.single_action_space
    reward = getattr(env.unwrapped, "compute_reward", None)
    made = settings.algorithm, *spaces, own, settings.seed, reward
    if settings.algorithm in METHODS:
        return make_method(*made, lambda folder: _teacher(folder, bundle.spec.env))
    return make_agent(*made)


def _teacher(folder: str, env: str) -> Agent:
    """Load the agent of a run folder that is to teach in an environment."""
    run = open_run(folder)
    there = reload(run).spec.env
    if there != env:
        raise RunError(f"{folder}: was trained in {there}, but this spec's env is {env}")
    if not run.policy.checkpoint.exists():
        raise RunError(f"{folder}: is not trained yet; run: sim2real train --resume {folder}")
    return trained_agent(run)[0]


def _refuse_teachers(bundle: Bundle) -> None:
    """Say what is wrong with teachers before there is a run folder that could never be trained."""
    if "teachers" not in bundle.spec.train.agent:
        return
    _taught_in(bundle)
    env = make_worlds(bundle.spec.env, bundle.spec.env_options, bundle.program, 1, threads=1)
    agent = fresh_agent(bundle, env)
    env.close()
    if isinstance(agent, Distillation):
        _ = agent.teachers


def trained_agent(run: Run, part: Part = "policy") -> tuple[Agent, int]:
    """Load a trained agent, whole, and the number of steps it was trained for.

    Raises:
        RunError: If it is not trained, or its checkpoint cannot be used.
    """
    bundle = reload(run)
    env = training_env(bundle, part)
    agent = fresh_agent(bundle, env, part)
    env.close()
    track = run.policy if part == "policy" else run.baseline
    saved = track.load()
    with _readable(track):
        agent.load_state_dict(saved["loop"]["agent"])
    return agent, int(saved["step"])


def is_finished(path: Path) -> bool:
    """Whether a folder holds a run whose policy has been trained for all its steps."""
    try:
        run = open_run(path)
        return int(run.policy.load()["step"]) >= reload(run).spec.train.steps
    except RunError:
        return False


@contextmanager
def _readable(track: Track) -> Iterator[None]:
    """Say which checkpoint does not fit, where its parts are not what this version expects."""
    try:
        yield
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{track.checkpoint}: written by another version of the toolkit ({reason})") from None


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the training loop asks between steps."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in signals}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
