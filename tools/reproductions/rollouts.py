"""Where the rollouts of a policy end, on a plane with several places to go to."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reproductions.results import Floats

if TYPE_CHECKING:
    from sim2real.agents import Agent

ROLLOUTS = 400
"""Of each policy."""


def ends(
    agent: "Agent", env: str, options: dict[str, Any], deterministic: bool = False
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return where 400 rollouts in the nominal domain end (n, 2) [m], and which succeed (n,).

    Args:
        agent: Whose policy.
        env: A native task that observes a point's position, and tells success.
        options: The environment's.
        deterministic: Whether to act deterministically.
    """
    from sim2real.envs.make import make_worlds
    from sim2real.envs.registry import make_task
    from sim2real.rollout import Rollout
    from sim2real.spec import Program

    program = Program(make_task(env, options).compile(), {})
    worlds = make_worlds(env, options, program, ROLLOUTS, threads=1, same_step=False)
    rollout, last = Rollout(worlds, seed=0), np.zeros((ROLLOUTS, 2))
    while not rollout.over:
        running = rollout.running
        rollout.advance(agent.act(rollout.observation, deterministic))
        last[running] = np.asarray(rollout.observation)[running]
    success = rollout.episodes().success
    worlds.close()
    assert success is not None
    return last, success
