"""One training in progress: worlds, agent and loop of a run folder, from its newest checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from sim2real.agents import AGENTS, Agent, Loop, make_agent
from sim2real.envs import nominal_model
from sim2real.envs.context import ContextEnv
from sim2real.envs.domains import Domains, fixed
from sim2real.envs.external import check_external
from sim2real.envs.fit import fit
from sim2real.envs.joined import NATIVE_WORLDS, JoinedVectorEnv
from sim2real.envs.make import make_worlds
from sim2real.envs.recall import RecallEnv
from sim2real.envs.registry import is_native
from sim2real.envs.vector import TaskVectorEnv
from sim2real.progress import Progress
from sim2real.runs import Run, RunError, Track, open_run, to_arrays, write_json
from sim2real.spec import Bundle, Catalog, load
from sim2real.transfer.curricula import CURRICULA, Instructor, check_curriculum, make_curriculum
from sim2real.transfer.distillation import DistillationConfig
from sim2real.transfer.lessons import taught_in
from sim2real.transfer.registry import (
    METHODS,
    check_domain,
    check_groups,
    check_set,
    check_validation,
    make_method,
    untold,
    wanted,
)
from sim2real.validation import SEED, Validation

Part = Literal["policy", "baseline"]
CATALOG = Catalog(
    nominal_model,
    {name: entry.config for name, entry in {**AGENTS, **METHODS}.items()},
    fit,
    {name: entry.settings for name, entry in CURRICULA.items()},
    {
        ("train", "algorithm"): check_domain,
        ("train", "curriculum"): check_curriculum,
        ("train", "validate_on"): check_validation,
        ("train", "num_envs"): check_groups,
    },
    check_set,
    check_external,
)
LOG_EVERY = 1_000
"""Environment steps between rows of metrics.csv."""


def reload(run: Run, overrides: tuple[str, ...] = ()) -> Bundle:
    """Load the spec of a run folder, with `a.b=value` assignments if there are any.

    Raises:
        SpecError: If it was edited into something wrong.
    """
    return load(run.spec, CATALOG, overrides)


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
        overlap = isinstance(self.env.unwrapped, NATIVE_WORLDS)
        self.instructor = instructor_of(self.bundle, self.env, part)
        agent = fresh_agent(self.bundle, self.env, part)
        self.loop = Loop(agent, self.env, settings.seed, overlap, self.instructor)
        self.validation = validation_of(self.bundle, part)
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
        improved = save and self._improved()
        if save or now // LOG_EVERY > before // LOG_EVERY:
            progress.update(self.part, self.report())
        if save:
            self.save(improved)

    def report(self) -> dict[str, float]:
        """Write a row of curves, and TensorBoard scalars, and return the row."""
        row = self.loop.metrics()
        for other in (self.instructor, self.validation):
            row |= other.metrics() if other else {}
        self._reported = int(row["step"])
        self.track.append(row)
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.track.path / "tensorboard"), purge_step=self._reported)
        for name, value in row.items():
            if np.isfinite(value) and name != "step":
                self._board.add_scalar(name, value, self._reported)
        return row

    def _improved(self) -> bool:
        """Validate the agent, if that is wanted, and return whether it was never better."""
        return self.validation is not None and self.validation.improved(self.loop.agent)

    def save(self, best: bool = False) -> None:
        """Write the checkpoint, which may be the best one, and the list of failed episodes."""
        env = self.env.unwrapped
        own = isinstance(env, NATIVE_WORLDS)
        state = {"loop": self.loop.state_dict(), "step": self.loop.steps, "reported": self._reported}
        state["instructor"] = self.instructor.state_dict() if self.instructor else None
        state["validation"] = self.validation.state_dict() if self.validation else None
        state["best"] = best
        self.track.save(state | {"env": _stateful(self.env).state_dict() if own else None})
        if best:
            self.track.keep()
        self._saved = self.loop.steps
        if own and env.failures:
            write_json(self.track.path / "failures.json", env.failures)

    def finish(self) -> None:
        """Write what is left, and close."""
        unsaved = self._saved < self.loop.steps
        improved = unsaved and self._improved()
        if self._reported < self.loop.steps:
            self.report()
        if unsaved:
            self.save(improved)
        if self._board is not None:
            self._board.close()
        if self.validation is not None:
            self.validation.close()
        self.env.close()

    def _restore(self, saved: dict[str, Any]) -> None:
        env = self.env.unwrapped
        with _readable(self.track):
            if isinstance(env, NATIVE_WORLDS) and saved["env"] is not None:
                _stateful(self.env).load_state_dict(to_arrays(saved["env"]))
            if self.instructor is not None:
                self.instructor.load_state_dict(to_arrays(saved["instructor"]))
            self.loop.load_state_dict(saved["loop"])
            if self.validation is not None:
                self.validation.load_state_dict(saved["validation"])
            if saved["best"]:
                self.track.keep()  # it may have been killed before it came to that
        if saved["env"] is None:
            # A foreign environment cannot be saved: its running episodes are given up.
            self.loop.collector.restart(self.bundle.spec.train.seed + self.loop.steps)
        self._reported, self._saved = saved["reported"], saved["step"]


def training_env(bundle: Bundle, part: Part) -> VectorEnv[Any, Any, Any]:
    """Make the worlds that a policy trains in: its source or its teachers' targets; or only nominal.

    Those of a set are shared equally by the members that are trained on.
    """
    # An environment that is not ours is one Python object each, and costs as much memory as time.
    usual = 128 if bundle.members or is_native(bundle.spec.env) else 8
    worlds = bundle.spec.train.num_envs or max(usual, len(bundle.trained))
    return _worlds(bundle, part, worlds, bundle.spec.train.seed)


def validation_of(bundle: Bundle, part: Part) -> Validation | None:
    """Make what scores a policy while it trains, in worlds like its own, if that is wanted."""
    count = bundle.spec.train.validate_on
    return Validation(_worlds(bundle, part, count, SEED)) if count else None


def _worlds(bundle: Bundle, part: Part, count: int, seed: int) -> VectorEnv[Any, Any, Any]:
    if bundle.members:
        share = count // len(bundle.trained)
        return JoinedVectorEnv(
            {name: _worlds(own, part, share, seed) for name, own in bundle.trained.items()}
        )
    spec = bundle.spec
    domains = fixed(bundle.program.nominal) if part == "baseline" else taught_domains(bundle)
    return make_worlds(
        spec.env, spec.env_options, bundle.program, count, domains, seed, threads=1,
        wants=wanted(bundle),
    )  # fmt: skip


def _stateful(env: Any) -> TaskVectorEnv | ContextEnv | RecallEnv | JoinedVectorEnv:
    """Say that native worlds have a state, whatever they show, of one environment or several."""
    return env


def taught_domains(bundle: Bundle) -> Domains | None:
    """Return the domains of the worlds that a student is taught in, or None for the source.

    Raises:
        RunError: If one that its spec names cannot be found.
    """
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
        return make_method(*made, lambda folder: _teacher(folder, bundle.spec.about))
    return make_agent(*made)


def _teacher(folder: str, env: str) -> Agent:
    """Load the agent of a run folder that is to teach in an environment."""
    run = open_run(folder)
    there = reload(run).spec.about
    if there != env:
        raise RunError(f"{folder}: was trained in {there}, but this spec's env is {env}")
    if not run.policy.checkpoint.exists():
        raise RunError(f"{folder}: is not trained yet; run: sim2real train --resume {folder}")
    return trained_agent(run)[0]


def trained_agent(run: Run, part: Part = "policy") -> tuple[Agent, int]:
    """Load a trained agent, whole, and the number of steps it was trained for: the best, if one was chosen.

    Raises:
        RunError: If it is not trained, or its checkpoint cannot be used.
    """
    bundle = reload(run)
    env = training_env(bundle, part)
    agent = fresh_agent(bundle, env, part)
    env.close()
    track = run.policy if part == "policy" else run.baseline
    saved = track.load(best=bundle.spec.train.validate_on > 0)
    with _readable(track):
        agent.load_state_dict(saved["loop"]["agent"])
    return agent, int(saved["step"])


@contextmanager
def _readable(track: Track) -> Iterator[None]:
    """Say which checkpoint does not fit, where its parts are not what this version expects."""
    try:
        yield
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{track.checkpoint}: written by another version of the toolkit ({reason})") from None
