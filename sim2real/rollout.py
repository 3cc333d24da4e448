"""Runs a policy for one episode in each of several worlds, of one domain or of several side by side."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from sim2real.agents import Agent
from sim2real.agents.base import elsewhere
from sim2real.envs.vector import TaskVectorEnv

OnStep = Callable[[VectorEnv[Any, Any, Any]], None]
CORES = len(os.sched_getaffinity(0))
"""Processors that this process may use."""


@dataclass(frozen=True)
class Episodes:
    """What happened in the episodes of one evaluation.

    Attributes:
        returns: Undiscounted returns (n,); of a failed simulation, what it had until then.
        success: Whether each ended in success (n,), or None where the task defines none.
        failed: Whether each simulation failed (n,).
        lengths: Steps taken (n,).
        measures: Means over each episode (n,) of what a native task measures in its steps, by name.
    """

    returns: NDArray[np.float64]
    success: NDArray[np.bool_] | None
    failed: NDArray[np.bool_]
    lengths: NDArray[np.int64]
    measures: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])

    def split(self, parts: int) -> "list[Episodes]":
        """Return equally many of them in each part, in their order."""
        columns = (self.returns, self.success, self.failed, self.lengths)
        each = [[None] * parts if column is None else np.split(column, parts) for column in columns]
        names = list(self.measures)
        measured = zip(*(np.split(self.measures[name], parts) for name in names), strict=True)
        found = [dict(zip(names, own, strict=True)) for own in measured] or [{} for _ in range(parts)]
        whole = zip(*each, found, strict=True)
        return [Episodes(*own, measures=one) for *own, one in whole]


class Rollout:
    """The first episode of every world after a reset, under way.

    World i's episode is keyed by (seed, i): the same seed gives the same starting states whatever the
    policy and the domain, so that results are paired.

    Args:
        env: N worlds, in any autoreset mode.
        seed: Seed of the episodes.

    Attributes:
        observation: What the policy sees now.
        running: Worlds (n,) whose first episode has not ended.
        over: Whether none is.
        steps: Control steps taken.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], seed: int) -> None:
        n = env.num_envs
        self.env, self.running = env, np.ones(n, dtype=bool)
        self._returns, self._lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
        self._success, self._failed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self._measured: dict[str, NDArray[np.float64]] = {}
        self._known, self.over, self.steps = False, False, 0
        self.observation, _ = env.reset(seed=seed)

    def advance(self, action: Any) -> None:
        """Take one control step in every world."""
        self.observation, reward, terminated, truncated, infos = self.env.step(action)
        self.steps += 1
        running = self.running
        np.add(self._returns, reward, out=self._returns, where=running)
        self._lengths += running
        for name in getattr(self.env.unwrapped, "measured", ()):
            sums = self._measured.setdefault(name, np.zeros(len(running)))
            np.add(sums, infos[name], out=sums, where=running & infos[f"_{name}"])
        final = infos.get("final_info", {})
        for said in (infos, final):
            if "failed" in said:
                self._failed |= running & _flags(said["failed"])
        ended = running & (np.asarray(terminated) | np.asarray(truncated))
        self._known = self._known or "is_success" in infos or "is_success" in final
        if ended.any():
            for said in (infos, final):
                if "is_success" in said:
                    self._success |= ended & _flags(said["is_success"])
            self.running = running & ~ended
            self.over = not self.running.any()

    def episodes(self) -> Episodes:
        """Return what happened, once no world is running."""
        success = self._success & ~self._failed if self._known else None
        means = {name: sums / self._lengths for name, sums in self._measured.items()}
        return Episodes(self._returns, success, self._failed, self._lengths, means)


def run_episodes(
    agent: Agent, env: VectorEnv[Any, Any, Any], seed: int, on_step: OnStep | None = None
) -> Episodes:
    """Run the deterministic policy until every world has ended its first episode after a reset.

    Args:
        agent: Whose policy; it learns nothing here.
        env: N worlds, in any autoreset mode.
        seed: Seed of the episodes; see `Rollout`.
        on_step: Called after the reset and after every step, for recording.
    """
    rollout = Rollout(env, seed)
    with elsewhere(agent):
        while not rollout.over:
            if on_step is not None:
                on_step(env)
            rollout.advance(agent.act(rollout.observation, deterministic=True))
    return rollout.episodes()


def run_places(
    agent: Agent,
    envs: Sequence[VectorEnv[Any, Any, Any]],
    seed: int,
    report: Callable[[float], None] = lambda done: None,
) -> list[Episodes]:
    """Do what `run_episodes` does in several environments, all of them as one batch.

    The policy acts on one half of the worlds at once, while threads simulate the other half; an environment
    that has ended leaves the batch. Each keeps its own worlds, so their keys and thereby its numbers are
    those of `run_episodes`.

    Args:
        agent: Whose policy; it must depend on nothing but each world's own observation.
        envs: Native environments of few threads each; see `threads_each`.
        seed: Seed of the episodes, the same in every environment.
        report: Told every now and then which share is done.
    """
    rollouts = [Rollout(env, seed) for env in envs]
    halves = [rollouts[::2], rollouts[1::2]]
    under_way: list[list[Future[None]]] = [[], []]
    with ThreadPoolExecutor(CORES, "physics") as pool:
        while any(halves):
            for side in (0, 1):
                for future in under_way[side]:
                    future.result()
                halves[side] = [rollout for rollout in halves[side] if not rollout.over]
                under_way[side] = _launch(pool, agent, halves[side])
            report(sum(map(_share, rollouts, envs)) / len(envs))
    return [rollout.episodes() for rollout in rollouts]


def threads_each(places: int) -> int:
    """Return how many physics threads each of several environments needs, that half of them use all cores."""
    return -(-2 * CORES // places)


def _share(rollout: Rollout, env: VectorEnv[Any, Any, Any]) -> float:
    """Return how much of the longest possible episode is over, and 1 once all have ended."""
    native = env.unwrapped
    assert isinstance(native, TaskVectorEnv)
    return 1.0 if rollout.over else rollout.steps / native.task.max_episode_steps


def _launch(pool: ThreadPoolExecutor, agent: Agent, rollouts: list[Rollout]) -> list[Future[None]]:
    """Act in all worlds together, and let as many jobs as there are cores simulate what comes of it."""
    if not rollouts:
        return []
    action = agent.act(_joined([rollout.observation for rollout in rollouts]), deterministic=True)
    ends = np.cumsum([rollout.env.num_envs for rollout in rollouts])[:-1]
    pairs = list(zip(rollouts, np.split(action, ends), strict=True))
    return [pool.submit(_advance, share) for share in (pairs[core::CORES] for core in range(CORES)) if share]


def _advance(pairs: list[tuple[Rollout, Any]]) -> None:
    for rollout, action in pairs:
        rollout.advance(action)


def _joined(observations: list[Any]) -> Any:
    if isinstance(observations[0], dict):
        return {key: np.concatenate([seen[key] for seen in observations]) for key in observations[0]}
    return np.concatenate(observations)


def _flags(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64).astype(bool)
