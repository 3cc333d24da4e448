"""Zero-shot and few-shot on a target that is an environment of its own, such as a robot."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sim2real.agents import Agent
from sim2real.envs.domains import fixed
from sim2real.envs.external import ExternalVectorEnv, close, make_external, misfit
from sim2real.envs.registry import is_native, make_task
from sim2real.evaluation.confirm import confirm_by, refuse_without_terminal
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.robot import Plan, Robot, Stopped
from sim2real.evaluation.statistics import pooled, summarize
from sim2real.evaluation.step_log import Key, StepLog
from sim2real.evaluation.zeroshot import Summary, worlds
from sim2real.film import FASTEST, captioned, film
from sim2real.progress import Progress
from sim2real.rollout import Episodes, run_episodes
from sim2real.runs import Run, RunError, Track, write_atomically
from sim2real.spec import Bundle, Evaluate, External, Problem
from sim2real.spec.source import SpecError, read
from sim2real.transfer.contextual import Believing
from sim2real.transfer.registry import wanted


@dataclass(frozen=True)
class Found:
    """What was found on an external target.

    Attributes:
        entry: Its entry in `evaluation.json`.
        others: Summaries of other policies there, by name.
        interrupted: Whether it was stopped at the keyboard.
    """

    entry: dict[str, Any]
    others: dict[str, Summary]
    interrupted: bool


@dataclass
class Trial:
    """The evaluation of one run on one external target.

    Args:
        run: The run.
        bundle: Its spec.
        name: The target's name.
        settings: How to evaluate.
        seed: Added to the evaluation seed for episodes that are learned from.
        yes: Whether all episodes are confirmed beforehand.
        progress: Where to show progress.
    """

    run: Run
    bundle: Bundle
    name: str
    settings: Evaluate
    seed: int
    yes: bool
    progress: Progress
    summaries: dict[str, Summary] = field(default_factory=dict[str, Summary])
    others: dict[str, Summary] = field(default_factory=dict[str, Summary])

    def __post_init__(self) -> None:
        self.target: External = self.bundle.spec.external[self.name]
        self.folder = self.run.path / "targets" / self.name
        self.episodes = self.target.episodes or self.settings.episodes
        self._total = self._done = 0

    def check(self, agent: Agent) -> None:
        """Refuse, before any long work, what could not be done.

        Raises:
            RunError: If the policy acts on the domain, or a person is to be asked who is not there.
            SpecError: If the environment cannot be made, or its spaces are not the policy's.
        """
        if isinstance(agent, Believing) and agent.config.context in ("true", "permuted"):
            raise RunError(
                f"targets.{self.name}: {self.bundle.spec.train.algorithm} acts on the true domain, which no "
                "robot can tell it; up_osi and rma estimate it, history_sac and asymmetric do without"
            )
        if not self.yes:
            refuse_without_terminal(self.name, self.target.confirm)
        with self._environment():
            pass

    def carry_out(self, agent: Agent, others: Mapping[str, Agent]) -> Found:
        """Evaluate, adapt, and evaluate again; what the log holds is not done again.

        Args:
            agent: The run's policy.
            others: Policies that are evaluated zero-shot beside it.
        """
        shots = sorted(set(self.settings.shots))
        self._total = self.episodes * (len(shots) + len(others)) + max(shots)
        self.progress.begin(self.name, self._total)
        why, interrupted = "", False
        with self._environment() as (env, spaces), self._logged(spaces) as log:
            asked = confirm_by("never" if self.yes else self.target.confirm, self.progress)
            self._robot = Robot(self.name, self.target, log, asked, self._limit())
            self._env = ExternalVectorEnv(env, spaces[0], spaces[1], self._robot)
            try:
                self._all(agent, others, shots)
            except Stopped as stopped:
                why = str(stopped)
            except KeyboardInterrupt:
                why, interrupted = "interrupted; the same command goes on", True
            entry = self._entry(log, why)
        if not why:
            self.progress.end(self.name)
        return Found(entry, self.others, interrupted)

    def _all(self, agent: Agent, others: Mapping[str, Agent], shots: list[int]) -> None:
        if 0 in shots and self.settings.finetune != "scratch":
            self._judge(agent, "policy", 0, 0, self._work(self.run.policy))
            shots = shots[1:]
        for who, other in others.items():
            self._judge(other, who, 0, 0, self._work(self.run.baseline))
        if not shots:
            return
        how = {"finetune", "updates_per_step", "warm_episodes", "reset_temperature"}
        work = self._work(self.run.policy, self.settings.model_dump(include=how))
        plan = Plan(Key(work, "policy", "adaptation", 0, 0), max(shots), self.settings.seed + self.seed)
        view = self._view()
        self._robot.plan = plan
        begun = adapt(agent, view, shots, self.settings, plan.seed, lambda _: self._tell(), self._robot.taken)
        for k, copy, used in begun:
            learned = self._robot.plan
            self._judge(copy, "policy", k, used, work)
            self._robot.plan = learned

    def _judge(self, agent: Agent, who: str, shots: int, used: int, work: str) -> None:
        """Evaluate a policy in episodes one after the other, and keep the summary of those that ended."""
        view, found = self._view(), list[Episodes]()
        key = Key(work, who, "evaluation", shots, 0)
        self._robot.plan = Plan(key, self.episodes, self.settings.seed)
        try:
            for _ in range(self.episodes):
                with self._filmed() as look:
                    found.append(run_episodes(agent, view, self.settings.seed, look))
                self._tell()
        finally:
            if found and who == "policy":
                self.summaries[str(shots)] = summarize(_joined(found), used) | self._retention(agent, used)
            elif found:
                self.others[who] = summarize(_joined(found), used)

    def _view(self) -> Any:
        """Return the environment as the policy wants to see it, with a past of its own."""
        return wanted(self.bundle).shown(self._env, self.bundle.program)

    def _retention(self, agent: Agent, used: int) -> dict[str, Any]:
        if not self.settings.retention:
            return {}
        source = worlds(self.bundle, self.settings.episodes, None, threads=1)
        kept = pooled([summarize(run_episodes(agent, source, self.settings.seed), 0)])
        return {"retention": kept | {"target_steps_used": used}}

    def _tell(self) -> None:
        self._done += 1
        self.progress.move(self.name, self._done, f"{self._robot.log.steps:,} steps taken")

    def _limit(self) -> int | None:
        spec = self.bundle.spec
        if self.target.episode_steps is not None or not is_native(spec.env):
            return self.target.episode_steps
        return make_task(spec.env, spec.env_options).max_episode_steps

    def _work(self, track: Track, adaptation: Mapping[str, Any] | None = None) -> str:
        """Return the digest of what decides what a policy does there: another one is other work."""
        path = track.best if track.best.exists() else track.checkpoint
        there = self.target.model_dump(include={"env", "options", "episode_steps"})
        decides = [there, self.settings.seed, adaptation]
        parts = path.read_bytes(), json.dumps(decides, sort_keys=True, default=str).encode()
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def _entry(self, log: StepLog, why: str) -> dict[str, Any]:
        kinds = ("evaluation", "adaptation", "unfinished")
        own = {
            "env": self.target.env,
            "log": str(log.path.relative_to(self.run.path)),
            "steps": {kind: log.taken[kind] for kind in kinds} | {"total": log.steps},
            "max_steps": self.target.max_steps,
            "episodes": {
                kind: sum(key.purpose == kind for key in log.done) for kind in ("evaluation", "adaptation")
            },
            "stopped": why,
        }
        _write_curve(self.folder / "shots.csv", self.summaries)
        shots = dict(sorted(self.summaries.items(), key=lambda item: int(item[0])))
        return {"values": {}, "text": self.target.env, "held_out": True, "external": own, "shots": shots}

    @contextmanager
    def _logged(self, spaces: Any) -> Iterator[StepLog]:
        log = StepLog(self.folder / "steps.csv", spaces[0], spaces[1].shape[0])
        try:
            yield log
        finally:
            log.close()

    @contextmanager
    def _environment(self) -> Iterator[tuple[Any, Any]]:
        """Make the environment, and give it with the policy's spaces; close it at the end."""
        like = worlds(self.bundle, 1, fixed(self.bundle.program.nominal), threads=1).unwrapped
        spaces = like.single_observation_space, like.single_action_space
        like.close()
        try:
            env = make_external(self.target.env, self.target.options)
        except ValueError as error:
            raise self._wrong(str(error)) from error
        try:
            if why := misfit(*spaces, env):
                raise self._wrong(f"'{self.target.env}' does not fit: {why}")
            yield env, spaces
        finally:
            close(env)

    def _wrong(self, message: str) -> SpecError:
        source = read(self.bundle.spec.text, str(self.bundle.spec.path))
        return SpecError(source, [Problem(("targets", self.name, "env"), message)])

    def _filmed(self) -> Any:
        """Film the first episode that is run, if the environment takes pictures."""
        path = self.run.path / "videos" / f"{self.name}.mp4"
        key = self._robot.plan.key if self._robot.plan else None
        if self._env.render_mode != "rgb_array" or path.exists() or key in self._robot.log.done:
            return nullcontext()
        return _film(self._env, path, self.name, self.target.env)


def film_of(run: Run, name: str) -> Path:
    """Return the film of an external target, taken while it was evaluated: no episode is run for it.

    Raises:
        RunError: If there is none; says why.
    """
    path = run.path / "videos" / f"{name}.mp4"
    if not path.exists():
        raise RunError(
            f"targets.{name}: no episode is run for a film; one is taken of the first that is evaluated "
            "there, if the environment's render_mode is rgb_array"
        )
    return path


@contextmanager
def _film(env: ExternalVectorEnv, path: Path, *title: str) -> Iterator[Any]:
    fps = float(env.metadata.get("render_fps") or 30)
    stride, count = max(1, int(np.ceil(fps / FASTEST))), 0
    with film(path, fps / stride) as writer:

        def look(_: Any) -> None:
            nonlocal count
            pictures = env.render() if count % stride == 0 else None
            if pictures is not None:
                even = Image.fromarray(pictures[0]).resize(
                    [side // 2 * 2 for side in pictures[0].shape[1::-1]]
                )
                writer.append_data(captioned(np.asarray(even), (*title, f"step {count}")))
            count += 1

        yield look


def _joined(found: list[Episodes]) -> Episodes:
    success = [one.success for one in found if one.success is not None]
    return Episodes(
        np.concatenate([one.returns for one in found]),
        np.concatenate(success) if len(success) == len(found) else None,
        np.concatenate([one.failed for one in found]),
        np.concatenate([one.lengths for one in found]),
    )


def _write_curve(path: Path, summaries: Mapping[str, Summary]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["shots", "episodes", "mean", "iqm", "low", "high", "success_rate", "target_steps_used"])
    for k, own in sorted(summaries.items(), key=lambda item: int(item[0])):
        numbers = [own["mean"], own["iqm"], *own["ci95"], own["success_rate"], own["target_steps_used"]]
        writer.writerow([k, len(own["episodes"]), *("" if x is None else f"{x:.6g}" for x in numbers)])
    write_atomically(path, text.getvalue().encode())
