"""Trains a spec's policy and its baseline into a run folder. Here physics and learning meet."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sim2real.envs.make import make_worlds
from sim2real.progress import Progress
from sim2real.runs import Interrupted, Run, RunError, create_run, open_run
from sim2real.session import CATALOG, Part, Session, fresh_agent, reload, taught_domains
from sim2real.spec import Bundle, load
from sim2real.transfer.distillation import Distillation


def start(spec: Path, overrides: tuple[str, ...] = (), out: Path | None = None) -> Run:
    """Make the run folder of a spec file.

    Raises:
        SpecError: If the spec is wrong.
        RunError: If the folder exists, or a run that the spec wants for a teacher cannot be one.
    """
    bundle = load(spec, CATALOG, overrides)
    _refuse_teachers(bundle)
    return create_run(spec.stem, bundle.spec.text, bundle.spec.train.seed, out)


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


def _refuse_teachers(bundle: Bundle) -> None:
    """Say what is wrong with teachers before there is a run folder that could never be trained."""
    if "teachers" not in bundle.spec.train.agent:
        return
    taught_domains(bundle)
    env = make_worlds(bundle.spec.env, bundle.spec.env_options, bundle.program, 1, threads=1)
    agent = fresh_agent(bundle, env)
    env.close()
    if isinstance(agent, Distillation):
        _ = agent.teachers


def is_finished(path: Path) -> bool:
    """Whether a folder holds a run whose policy has been trained for all its steps."""
    try:
        run = open_run(path)
        return int(run.policy.load()["step"]) >= reload(run).spec.train.steps
    except RunError:
        return False


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
