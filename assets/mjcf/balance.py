"""A task of balance on the cart of swing_up.py, with rewards for two places to balance at."""

import math
from typing import Any, ClassVar

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks import MjcfTask

WIDTH = 0.5
"""Distance [m] from the place at which a step is worth 1/e."""

AWAY = 0.5
"""Another place [m] along the rail."""


class Balance(MjcfTask):
    """A cart balances its pole at a place; a step there is worth 1, 200 steps the most that there is.

    Args:
        place: Where along the rail [m].
    """

    file = "cartpole.xml"  # beside this module
    frame_skip = 4  # physics steps of 5 ms in a control step
    observation_size = 5
    max_episode_steps = 200
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 3.0, "azimuth": 90.0, "elevation": -20.0,
    }  # fmt: skip

    def __init__(self, place: float = 0.0) -> None:
        self.place = place

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.05 of upright in the middle, at rest within the same."""
        qpos = self.uniform_start(random, 0.05)
        qpos[:, 1] += math.pi  # the model's pole hangs
        return {"qpos": qpos, "qvel": random.uniform(-0.05, 0.05, self.nv)}

    def observe(self, state: State) -> Array:
        """Return cart position, how far the pole leans (sine and 1 + cosine), and velocities: (n, 5)."""
        xp, angle = namespace(state.qpos), state.qpos[:, 1:]
        return xp.concatenate([state.qpos[:, :1], -xp.sin(angle), 1.0 + xp.cos(angle), state.qvel], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1 at the place, less the farther away."""
        return at(state.qpos[:, 0], self.place)

    def terminated(self, state: State) -> Array:
        """Return where the pole leans more than 0.4 rad or the cart has reached an end of its rail."""
        leans = 1.0 + namespace(state.qpos).cos(state.qpos[:, 1]) > 1.0 - math.cos(0.4)
        return leans | (abs(state.qpos[:, 0]) > 1.15)


def at(position: Array, place: float) -> Array:
    """Return what a step at positions [m] `(n,)` is worth, when the place is another `(n,)`."""
    return namespace(position).exp(-(((position - place) / WIDTH) ** 2))


def away(obs: Array, action: Array, after: Array) -> Array:
    """Return the reward `(n,)` of balancing at `AWAY`: for a planner, `train.agent.reward` of a spec."""
    del obs, action
    return at(after[:, 0], AWAY)
