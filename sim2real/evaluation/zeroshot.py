"""Zero-shot: every policy at every place, on the same episodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from sim2real.agents import Agent, RandomAgent
from sim2real.agents.base import Remembers
from sim2real.envs.domains import Domains, fixed, from_source, side_by_side
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import is_native, make_task
from sim2real.envs.vector import TaskVectorEnv
from sim2real.evaluation.statistics import pooled, summarize
from sim2real.progress import Progress
from sim2real.rollout import CORES, run_episodes, run_places, threads_each
from sim2real.spec import Bundle, Domain, Evaluate
from sim2real.transfer.registry import wanted

Summary = dict[str, Any]
Summaries = dict[str, dict[str, Summary]]
"""Summaries by policy and place."""
_TOGETHER = 128
"""Worlds in one environment, about: with more, NumPy's share of a step hardly shrinks."""


def compare_all(
    bundle: Bundle,
    settings: Evaluate,
    policies: Mapping[str, Agent],
    targets: Mapping[str, Domain],
    progress: Progress,
) -> Summaries:
    """Evaluate every policy zero-shot on the source, on nominal dynamics, and on the targets.

    Of a set these are places of every member, as `member/source`, `member/nominal` and `member/target`; and
    its `source` and `nominal` are those of the members that are trained on, pooled.

    Args:
        bundle: The run's spec.
        settings: How many episodes, and their seed.
        policies: Policies by name.
        targets: Targets by name.
        progress: Where to show progress.
    """
    found: Summaries = {who: {} for who in policies}
    for name, part in bundle.parts.items():
        prefix = f"{name}/" if bundle.members else ""
        places: dict[str, Domains | None] = {"source": None, "nominal": fixed(part.program.nominal)}
        own = {place: target for place, target in targets.items() if bundle.at(place) is part}
        places |= {place.removeprefix(prefix): fixed(target.v) for place, target in own.items()}
        for who, by in compare(part, settings, policies, places, progress).items():
            found[who] |= {prefix + place: summary for place, summary in by.items()}
    for by in found.values() if bundle.members else ():
        for place in ("source", "nominal"):
            by[place] = pooled([by[f"{name}/{place}"] for name in bundle.trained])
    return found


def compare(
    bundle: Bundle,
    settings: Evaluate,
    policies: Mapping[str, Agent],
    places: Mapping[str, Domains | None],
    progress: Progress,
) -> Summaries:
    """Evaluate every policy zero-shot at every place.

    All places of a native task run as one batch, but for the random policy, whose draws go on from place to
    place, and for policies with a memory, whose worlds must stay together. Foreign environments, which Python
    steps one by one, run place by place.

    Args:
        bundle: The run's spec, or a member of its set.
        settings: How many episodes, and their seed.
        policies: Policies by name.
        places: Domains by name; None for the whole source.
        progress: Where to show progress.
    """
    progress.begin("zero-shot", len(policies) * len(places))
    native = is_native(bundle.spec.env)
    apart = (RandomAgent, Remembers)
    batched = {who: agent for who, agent in policies.items() if native and not isinstance(agent, apart)}
    others = {who: agent for who, agent in policies.items() if who not in batched}
    exam = _Exam(bundle, settings, places, progress)
    found = exam.at_once(batched) if batched else {}
    found |= exam.in_turn(others, len(batched) * len(places)) if others else {}
    progress.end("zero-shot")
    return {who: found[who] for who in policies}


def worlds(bundle: Bundle, n: int, domains: Domains | None, threads: int = 0) -> Any:
    """Make n worlds of one environment of a run; arguments as for `sim2real.envs.make.make_worlds`."""
    spec = bundle.spec
    seed, wants = spec.evaluate.seed, wanted(bundle)
    return make_worlds(spec.env, spec.env_options, bundle.program, n, domains, seed, threads, wants=wants)


@dataclass(frozen=True)
class _Exam:
    """What all policies go through."""

    bundle: Bundle
    settings: Evaluate
    places: Mapping[str, Domains | None]
    progress: Progress

    def at_once(self, policies: Mapping[str, Agent]) -> Summaries:
        """Evaluate in worlds of a native task: many places, side by side in few environments."""
        n, results = self.settings.episodes, {}
        groups = self._groups()
        envs = [self._side_by_side(group, threads_each(len(groups))) for group in groups]
        for number, (who, agent) in enumerate(policies.items()):
            before = number * len(self.places)
            episodes = run_places(
                agent, envs, self.settings.seed,
                lambda share, before=before, who=who: self._report(before + share * len(self.places), who),
            )  # fmt: skip
            own = [
                one
                for env, found in zip(envs, episodes, strict=True)
                for one in found.split(env.num_envs // n)
            ]
            results[who] = {place: summarize(one, 0) for place, one in zip(self.places, own, strict=True)}
        for env in envs:
            env.close()
        return results

    def _groups(self) -> list[list[Domains]]:
        """Return the places in groups of about `_TOGETHER` worlds, but no fewer than keep all cores busy."""
        source = from_source(self.bundle.program)
        every = [domains or source for domains in self.places.values()]
        wanted = max(-(-len(every) * self.settings.episodes // _TOGETHER), 2 * CORES)
        count = min(wanted, len(every))
        return [every[i * len(every) // count : (i + 1) * len(every) // count] for i in range(count)]

    def _side_by_side(self, places: list[Domains], threads: int) -> VectorEnv[Any, Any, Any]:
        spec, n = self.bundle.spec, self.settings.episodes
        task, numbers = make_task(spec.env, spec.env_options), np.tile(np.arange(n), len(places))
        task.compile()
        domains = side_by_side(places, n)
        made = TaskVectorEnv(
            task, len(numbers), self.bundle.program, domains, spec.evaluate.seed, threads, numbers=numbers
        )
        return wanted(self.bundle).shown(made, self.bundle.program)

    def in_turn(self, policies: Mapping[str, Agent], done: int) -> Summaries:
        """Evaluate place by place, after so many evaluations."""
        results: Summaries = {who: {} for who in policies}
        for place, domains in self.places.items():
            env = worlds(self.bundle, self.settings.episodes, domains)
            for who, agent in policies.items():
                results[who][place] = summarize(run_episodes(agent, env, self.settings.seed), 0)
                self._report(done + sum(map(len, results.values())), f"{who} on {place}")
            env.close()
        return results

    def _report(self, done: float, note: str) -> None:
        self.progress.move("zero-shot", done, note)
