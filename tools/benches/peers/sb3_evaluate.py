"""Stable-Baselines3's `evaluate_policy` on Gymnasium's environment in a domain of `sim2real.randomize`."""

from collections.abc import Callable

import gymnasium as gym  # pyright: ignore[reportMissingImports]
import numpy as np
from serve import options, serve
from stable_baselines3 import SAC  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.monitor import Monitor  # pyright: ignore[reportMissingImports]

import sim2real
from sim2real.envs.domains import fixed

OPTIONS = options()


def make() -> tuple[Callable[[], int], str]:
    """Return what evaluates an untrained policy of the default size for one episode."""
    domain = fixed(np.array(OPTIONS["values"]))
    env = Monitor(sim2real.randomize(gym.make(OPTIONS["task"]), OPTIONS["spec"], domains=domain))
    model = SAC("MlpPolicy", env, buffer_size=1, device="cpu", seed=0)

    def work() -> int:
        evaluate_policy(model, env, n_eval_episodes=1, deterministic=True)
        return 1

    return work, "one environment, deterministic policy, 2x256"


serve(make, ("stable-baselines3", "gymnasium", "torch"))
