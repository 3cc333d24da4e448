"""SAC updates of Stable-Baselines3 or SBX, with their default networks and batch, as `train` does them."""

import importlib
from collections.abc import Callable
from typing import Any

import gymnasium as gym  # pyright: ignore[reportMissingImports]
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from serve import options, serve
from stable_baselines3.common.logger import configure  # pyright: ignore[reportMissingImports]

OPTIONS = options()


class Spaces(gym.Env[Any, Any]):
    """Nothing but the spaces that a learner asks for."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (OPTIONS["observation"],), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (OPTIONS["action"],), np.float32)


def fill(replay: Any) -> None:
    """Store random transitions."""
    rng, o, a = np.random.default_rng(0), OPTIONS["observation"], OPTIONS["action"]
    for _ in range(OPTIONS["stored"]):
        before, after = rng.standard_normal((2, 1, o)).astype(np.float32)
        action = rng.uniform(-1, 1, (1, a)).astype(np.float32)
        replay.add(before, after, action, rng.standard_normal(1), np.zeros(1), [{}])


def make() -> tuple[Callable[[], int], str]:
    """Return what does so many updates in one call."""
    if OPTIONS.get("threads"):
        torch.set_num_threads(OPTIONS["threads"])
    library: Any = importlib.import_module(OPTIONS["library"])
    model = library.SAC("MlpPolicy", Spaces(), batch_size=256, buffer_size=100_000, device="cpu", seed=0)
    model.set_logger(configure(None, []))
    fill(model.replay_buffer)
    steps = OPTIONS["gradient_steps"]

    def work() -> int:
        model.train(steps, 256)
        return steps

    work()  # compiles, where it does
    jax = OPTIONS["library"] == "sbx"
    setting = "XLA's default threads" if jax else f"torch with {torch.get_num_threads()} threads"
    return work, f"{OPTIONS['library']}, gradient_steps={steps}, {setting}"


serve(
    make,
    ("sbx-rl", "jax", "stable-baselines3") if OPTIONS["library"] == "sbx" else ("stable-baselines3", "torch"),
)
