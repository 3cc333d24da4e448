"""Runs a policy for one episode in each of several worlds of one domain."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from sim2real.agents import Agent
from sim2real.evaluation.statistics import Episodes

OnStep = Callable[[VectorEnv[Any, Any, Any]], None]


def run_episodes(
    agent: Agent, env: VectorEnv[Any, Any, Any], seed: int, on_step: OnStep | None = None
) -> Episodes:
    """Run the deterministic policy until every world has ended its first episode after a reset.

    World i's episode is keyed by (seed, i): the same seed gives the same starting states whatever the
    policy and the domain, so that results are paired.

    Args:
        agent: Whose policy; it learns nothing here.
        env: N worlds, in any autoreset mode.
        seed: Seed of the episodes.
        on_step: Called after the reset and after every step, for recording.
    """
    n = env.num_envs
    returns, lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
    running, failed = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    success, known = np.zeros(n, dtype=bool), False
    observation, _ = env.reset(seed=seed)
    while running.any():
        if on_step is not None:
            on_step(env)
        observation, reward, terminated, truncated, infos = env.step(
            agent.act(observation, deterministic=True)
        )
        returns[running] += np.asarray(reward)[running]
        lengths[running] += 1
        final = infos.get("final_info", {})
        failed |= running & (_flags(infos, "failed", n) | _flags(final, "failed", n))
        ended = running & (np.asarray(terminated) | np.asarray(truncated))
        known = known or "is_success" in infos or "is_success" in final
        success[ended] = (_flags(infos, "is_success", n) | _flags(final, "is_success", n))[ended]
        running &= ~ended
    return Episodes(returns, success & ~failed if known else None, failed, lengths)


def _flags(infos: dict[str, Any], key: str, n: int) -> Any:
    return np.asarray(infos.get(key, np.zeros(n)), dtype=np.float64).astype(bool)
