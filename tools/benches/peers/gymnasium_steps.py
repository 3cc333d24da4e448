"""Gymnasium's SyncVectorEnv, without randomization."""

from collections.abc import Callable
from typing import cast

import gymnasium as gym  # pyright: ignore[reportMissingImports]
import gymnasium_robotics  # pyright: ignore[reportMissingImports]
import numpy as np
from serve import options, serve

import sim2real  # noqa: F401  (gymnasium-robotics does not start on MuJoCo 4 without our cures)

OPTIONS = options()


def make() -> tuple[Callable[[], int], str]:
    """Return what steps the worlds with random actions, for an episode where those are short."""
    gym.register_envs(gymnasium_robotics)
    env = gym.make_vec(OPTIONS["task"], num_envs=OPTIONS["worlds"], vectorization_mode="sync")
    space, rng = cast(gym.spaces.Box, env.single_action_space), np.random.default_rng(0)
    env.reset(seed=0)

    def work() -> int:
        for _ in range(OPTIONS["episode"]):
            actions = rng.uniform(space.low, space.high, (env.num_envs, *space.shape))
            env.step(actions.astype(space.dtype))
        return OPTIONS["episode"] * env.num_envs

    return work, f"SyncVectorEnv of {env.num_envs}"


serve(make, ("gymnasium", "gymnasium-robotics", "mujoco"))
