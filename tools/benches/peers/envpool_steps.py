"""EnvPool without randomization, in the fastest of its settings."""

from collections.abc import Callable
from typing import Any

import envpool  # pyright: ignore[reportMissingImports]
import numpy as np
from serve import best, options, serve

OPTIONS = options()
# Worlds and batch: all of them (its synchronous mode), or the first to be ready (asynchronous).
SIZES = ((256, 256), (256, 128), (64, 32), (16, 8))


def variant(num_envs: int, batch_size: int) -> Callable[[], int]:
    """Return what steps a pool with random actions, for an episode of every world where those are short."""
    pool: Any = envpool.make(
        OPTIONS["task"], env_type="gymnasium", num_envs=num_envs, batch_size=batch_size,
        num_threads=OPTIONS["threads"], seed=0,
    )  # fmt: skip
    space, rng = pool.action_space, np.random.default_rng(0)
    steps = max(1, OPTIONS["episode"] * num_envs // batch_size)

    def actions() -> Any:
        return rng.uniform(space.low, space.high, (batch_size, *space.shape)).astype(space.dtype)

    def together() -> int:
        for _ in range(steps):
            pool.step(actions())
        return steps * num_envs

    def first_come() -> int:
        for _ in range(steps):
            pool.send(actions(), pool.recv()[-1]["env_id"])
        return steps * batch_size

    if num_envs == batch_size:
        pool.reset()
        return together
    pool.async_reset()
    return first_come


def make() -> tuple[Callable[[], int], str]:
    """Return the fastest variant, and which it is."""
    # With resets after every episode a pool is asked for whole ones, which takes long in a large pool.
    sizes = SIZES[2:] if OPTIONS["quick"] and OPTIONS["episode"] > 1 else SIZES
    made = {
        f"num_envs={n}, batch_size={b}, num_threads={OPTIONS['threads']}": variant(n, b) for n, b in sizes
    }
    name = best(made, 0.1 if OPTIONS["quick"] else 0.5)
    return made[name], f"EnvPool at {name}, its fastest"


serve(make, ("envpool",))
