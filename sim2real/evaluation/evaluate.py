"""Zero-shot and few-shot evaluation of a run, into `evaluation.json`."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from pydantic import ValidationError

from sim2real.agents import Agent, RandomAgent
from sim2real.envs.domains import fixed
from sim2real.evaluation.estimator import estimator_r2
from sim2real.evaluation.external import Trial
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.statistics import pooled, summarize
from sim2real.evaluation.suites import choose, choose_external
from sim2real.evaluation.zeroshot import Summary, compare_all, worlds
from sim2real.progress import Progress
from sim2real.rollout import run_episodes
from sim2real.runs import Interrupted, Run, RunError, open_run, write_json
from sim2real.session import reload, trained_agent
from sim2real.spec import Bundle, Domain, Evaluate
from sim2real.spec.wording import plain_problems
from sim2real.train import train_part
from sim2real.transfer.estimating import Estimating
from sim2real.transfer.finetune import begin

_TARGET_SEED = 500_000
"""Added to the evaluation seed for the episodes that adaptation takes, so that it never trains on those that
score it."""


@dataclass(frozen=True)
class Request:
    """What to evaluate; None leaves it to the spec.

    Attributes:
        targets: Names of domains.
        suite: See `sim2real.evaluation.suites.choose`.
        episodes: For each domain and shot.
        shots: Numbers of target episodes to adapt on.
        finetune: How to adapt; see `sim2real.transfer.finetune.MODES`.
        retention: Whether to measure adapted policies on the source too.
        overrides: `targets.NAME=…` assignments: targets that the run's spec does not have, or has otherwise.
        yes: Whether all episodes on robots are confirmed beforehand.
    """

    targets: tuple[str, ...] | None = None
    suite: str = "targets"
    episodes: int | None = None
    shots: tuple[int, ...] | None = None
    finetune: str | None = None
    retention: bool | None = None
    overrides: tuple[str, ...] = ()
    yes: bool = False

    def bundle(self, run: Run) -> Bundle:
        """Return a run's spec, with this request's targets.

        Raises:
            RunError: If something else than a target is to differ: it would not be what was trained.
            SpecError: If it is wrong.
        """
        for one in self.overrides:
            if not one.startswith("targets."):
                raise RunError(f"--set {one}: only targets may differ from what was trained")
        return reload(run, self.overrides)

    def settings(self, spec: Evaluate) -> Evaluate:
        """Return the spec's settings with this request's in their place.

        Raises:
            RunError: If one is out of range or no such mode exists.
        """
        keys = ("episodes", "shots", "finetune", "retention")
        given = {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
        data = spec.model_dump() | given
        try:
            return Evaluate.model_validate(data)
        except ValidationError as error:
            problem = plain_problems(Evaluate, data, ("evaluate",), error)[0]
            raise RunError(f"{'.'.join(map(str, problem.path))}: {problem.message}") from None


def evaluate(run: Run, request: Request, progress: Progress) -> dict[str, Any]:
    """Evaluate a run, write `evaluation.json`, and return what is in it.

    The random policy and, unless the spec's `train.baseline` is false, the policy trained without
    randomization are evaluated beside the run's own, on the same episodes; the latter is trained first where
    that has not been done.

    Raises:
        RunError: If the run cannot be used, or a target does not exist.
        Interrupted: If it was stopped while it trained the baseline, which is saved.
    """
    torch.set_num_threads(1)
    bundle = request.bundle(run)
    chosen = choose(bundle, request.targets, request.suite)
    settings = request.settings(bundle.spec.evaluate)
    agent, steps = trained_agent(run)
    begin(agent, settings, settings.seed)  # what does not fit the agent is said before the long work
    external = choose_external(bundle, request.targets, request.suite)
    trials = [Trial(run, bundle, name, settings, _TARGET_SEED, request.yes, progress) for name in external]
    for trial in trials:
        trial.check(agent)
    policies: dict[str, Agent] = {"random": RandomAgent(agent.action_space, settings.seed)}
    compares = bundle.spec.randomize and bundle.spec.train.baseline
    if compares or any(target.baseline for target in external.values()):
        policies["baseline"] = _baseline(run, steps, progress)
    compared = compare_all(bundle, settings, {"policy": agent, **policies}, chosen, progress)
    own = compared.pop("policy")
    if settings.retention:
        own |= {name: own[name] | {"retention": own["source"]} for name in chosen}
    shots = _all_shots(run, chosen, own, settings, progress)
    targets = {name: _describe(found) | {"shots": shots[name]} for name, found in chosen.items()}
    result = {
        "spec_sha256": run.spec_sha256,
        "env": bundle.spec.about,
        "trained_steps": steps,
        "settings": settings.model_dump(),
        "source": {"shots": {"0": own["source"]}},
        "nominal": {"shots": {"0": own["nominal"]}},
        "targets": targets,
        "policies": compared,
    }
    if bundle.members:
        result["members"] = _members(bundle, own, targets)
    if isinstance(agent, Estimating):
        result["estimator_r2"] = estimator_r2(bundle, agent, settings)
    write_json(run.evaluation, result)
    for trial in trials:  # last, when all else is saved
        _on_robot(run, trial, agent, policies, result)
    return result


def _on_robot(
    run: Run, trial: Trial, agent: Agent, policies: Mapping[str, Agent], result: dict[str, Any]
) -> None:
    """Add what is found on an environment of its own to the results, and save them.

    Raises:
        Interrupted: If it was stopped at the keyboard.
    """
    others = {"baseline": policies["baseline"]} if trial.target.baseline else {}
    found = trial.carry_out(agent, others)
    result["targets"][trial.name] = found.entry
    for who, summary in found.others.items():
        result["policies"][who][trial.name] = summary
    write_json(run.evaluation, result)
    if found.interrupted:
        raise Interrupted


def _members(
    bundle: Bundle, own: Mapping[str, Summary], targets: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what was found, member by member of a set, with targets by their own names."""
    return {
        name: {
            **bundle.spec.envs[name].model_dump(include={"env", "task", "robot", "held_out"}),
            "source": {"shots": {"0": own[f"{name}/source"]}},
            "nominal": {"shots": {"0": own[f"{name}/nominal"]}},
            "targets": {
                place.removeprefix(f"{name}/"): entry
                for place, entry in targets.items()
                if place.startswith(f"{name}/")
            },
        }
        for name in bundle.members
    }


def _baseline(run: Run, steps: int, progress: Progress) -> Agent:
    """Return the policy trained without randomization, first trained at least as far as the run's own."""
    if not run.baseline.checkpoint.exists() or run.baseline.load()["step"] < steps:
        train_part(run, "baseline", progress)
    return trained_agent(run, "baseline")[0]


def _describe(found: Domain) -> dict[str, Any]:
    return {
        "values": found.given,
        "text": found.describe(),
        "held_out": found.held_out,
        "distance": found.distance,
    }


def adapt_to(run: Run, found: Domain, settings: Evaluate, on_episode: Any = None) -> dict[str, Summary]:
    """Evaluate one domain at every number of shots; shot 0 is the saved policy itself, but from scratch.

    Returns:
        The summaries by number of shots, as text; with `retention`, the summary of the same policy on the
        source, if the settings ask for it.
    """
    torch.set_num_threads(1)
    bundle = reload(run)
    agent, _ = trained_agent(run)
    part, domains = bundle.at(found.name), fixed(found.v)
    scored = worlds(part, settings.episodes, domains, threads=1)
    parts = bundle.trained.values() if settings.retention else ()
    sources = [worlds(own, settings.episodes, None, threads=1) for own in parts]
    single = worlds(part, 1, domains, threads=1)
    seed = settings.seed + _TARGET_SEED
    results: dict[str, Summary] = {}
    for k, copy, used in adapt(agent, single, settings.shots, settings, seed, on_episode):
        results[str(k)] = summarize(run_episodes(copy, scored, settings.seed), used)
        if sources:
            kept = [summarize(run_episodes(copy, source, settings.seed), 0) for source in sources]
            results[str(k)]["retention"] = pooled(kept) | {"target_steps_used": used}
    return results


def _all_shots(
    run: Run,
    chosen: Mapping[str, Domain],
    zero: Mapping[str, Summary],
    settings: Evaluate,
    progress: Progress,
) -> dict[str, dict[str, Summary]]:
    """Adapt to every target, as many at a time as there are processors; `zero` says what shot 0 gave."""
    total = len(chosen) * max(settings.shots)
    progress.begin("few-shot", max(total, 1))
    known = 0 in settings.shots and settings.finetune != "scratch"
    later = settings.model_copy(update={"shots": tuple(k for k in settings.shots if k > 0 or not known)})
    some = later.shots and chosen
    adapted = _adapt_all(run, chosen, later, progress) if some else {name: {} for name in chosen}
    progress.end("few-shot")
    first = {name: {"0": zero[name]} if known else {} for name in chosen}
    return {name: first[name] | adapted[name] for name in chosen}


def _adapt_all(
    run: Run, chosen: Mapping[str, Domain], settings: Evaluate, progress: Progress
) -> dict[str, dict[str, Summary]]:
    workers = min(len(os.sched_getaffinity(0)), len(chosen))
    if workers == 1:
        done = count(1)
        return {
            name: adapt_to(run, found, settings, lambda _: progress.move("few-shot", next(done)))
            for name, found in chosen.items()
        }
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    jobs = [(str(run.path), found, settings) for found in chosen.values()]
    with ProcessPoolExecutor(workers, context, _set_queue, (queue,)) as pool, _counting(queue, progress):
        return dict(zip(chosen, pool.map(_adapt_job, jobs), strict=True))


_queue: Any = None


def _set_queue(queue: Any) -> None:
    global _queue
    _queue = queue
    # On Ctrl-C a worker just ends; its parent says what happened.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _adapt_job(job: tuple[str, Domain, Evaluate]) -> dict[str, Summary]:
    path, found, settings = job
    return adapt_to(open_run(path), found, settings, lambda _: _queue.put(found.name))


@contextmanager
def _counting(queue: Any, progress: Progress) -> Iterator[None]:
    def follow() -> None:
        for number, name in enumerate(iter(queue.get, None), 1):
            progress.move("few-shot", number, f"adapting to {name}")

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        thread.join()
