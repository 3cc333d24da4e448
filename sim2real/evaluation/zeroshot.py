"""Zero-shot: every policy at every place, on the same episodes."""

from collections.abc import Callable, Mapping
from typing import Any

from sim2real.agents import Agent, RandomAgent
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import is_native
from sim2real.envs.vector import Domains
from sim2real.evaluation.rollout import run_episodes, run_places, threads_each
from sim2real.evaluation.statistics import summarize
from sim2real.progress import Progress
from sim2real.spec import Bundle, Evaluate

Summary = dict[str, Any]
Summaries = dict[str, dict[str, Summary]]
"""Summaries by policy and place."""
Report = Callable[[float, str], None]
"""Told how many more evaluations of a policy at a place are done, and of what."""


def compare(
    bundle: Bundle,
    settings: Evaluate,
    policies: Mapping[str, Agent],
    places: Mapping[str, Domains | None],
    progress: Progress,
) -> Summaries:
    """Evaluate every policy zero-shot at every place.

    All places of a native task run as one batch, but for the random policy, whose draws go on from place to
    place. Foreign environments, which Python steps one by one, run place by place.

    Args:
        bundle: The run's spec.
        settings: How many episodes, and their seed.
        policies: Policies by name.
        places: Domains by name; None for the whole source.
        progress: Where to show progress.
    """
    progress.begin("zero-shot", len(policies) * len(places))
    native = is_native(bundle.spec.env)
    batched = {who: agent for who, agent in policies.items() if native and not isinstance(agent, RandomAgent)}
    others = {who: agent for who, agent in policies.items() if who not in batched}
    done = len(batched) * len(places)
    found = _at_once(bundle, settings, batched, places, lambda n, note: progress.move("zero-shot", n, note))
    found |= _in_turn(
        bundle, settings, others, places, lambda n, note: progress.move("zero-shot", done + n, note)
    )
    progress.end("zero-shot")
    return {who: found[who] for who in policies}


def worlds(bundle: Bundle, n: int, domains: Domains | None, threads: int = 0) -> Any:
    """Make n worlds of a run's environment; arguments as for `sim2real.envs.make.make_worlds`."""
    spec = bundle.spec
    seed = spec.evaluate.seed
    return make_worlds(spec.env, spec.env_options, bundle.program, n, domains, seed, threads)


def _at_once(
    bundle: Bundle,
    settings: Evaluate,
    policies: Mapping[str, Agent],
    places: Mapping[str, Domains | None],
    report: Report,
) -> Summaries:
    if not policies:
        return {}
    threads, results = threads_each(len(places)), {}
    envs = [worlds(bundle, settings.episodes, domains, threads) for domains in places.values()]
    for number, (who, agent) in enumerate(policies.items()):
        before = number * len(places)
        episodes = run_places(
            agent, envs, settings.seed, lambda n, before=before, who=who: report(before + n, who)
        )
        results[who] = {place: summarize(own, 0) for place, own in zip(places, episodes, strict=True)}
    for env in envs:
        env.close()
    return results


def _in_turn(
    bundle: Bundle,
    settings: Evaluate,
    policies: Mapping[str, Agent],
    places: Mapping[str, Domains | None],
    report: Report,
) -> Summaries:
    results: Summaries = {who: {} for who in policies}
    for place, domains in places.items() if policies else ():
        env = worlds(bundle, settings.episodes, domains)
        for who, agent in policies.items():
            results[who][place] = summarize(run_episodes(agent, env, settings.seed), 0)
            report(sum(map(len, results.values())), f"{who} on {place}")
        env.close()
    return results
