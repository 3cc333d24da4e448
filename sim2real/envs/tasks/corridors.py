"""A point at a crossing, where any corridor will do until all but one are closed: `PointCorridors-v0`."""

from typing import Any, ClassVar

import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import control_cost
from sim2real.envs.tasks.mjcf import MjcfTask

START, FAR, ACTION_COST = 0.1, 6.0, 0.02
"""Spread of the start [m], distance from the crossing that counts as out [m], and cost of ‖action‖²."""


class PointCorridors(MjcfTask):
    """A point leaves a crossing by any of four corridors.

    After the quadruped of soft Q-learning (Haarnoja et al. 2017, section 5.3), which learned to run in any
    direction before it was put into one corridor. Each corridor, named after a point of the compass, has a
    gate under its floor: a geom of that name, which ten times as large (`geom_size`, `scale: 10`) closes it.
    What is observed does not show gates. The servos are those of `PointGoals-v0`; a control step takes 1 s.
    """

    file = "corridors.xml"
    frame_skip = 20
    observation_size = 2
    max_episode_steps = 20
    reads: ClassVar[tuple[str, ...]] = ("qpos",)
    remembers: ClassVar[tuple[str, ...]] = ("qpos",)
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 18.0, "azimuth": 90.0, "elevation": -70.0,
    }  # fmt: skip

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest at the crossing, with a deviation of 0.1 m."""
        return {"qpos": START * random.normal(self.nv), "qvel": np.zeros((len(random), self.nv))}

    def observe(self, state: State) -> Array:
        """Return the position (n, 2) [m]; velocity dies away within a control step."""
        return namespace(state.qpos).concatenate([state.qpos], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return the way made outwards [m] − 0.02 ‖action‖²."""
        return distance(state) - distance(before) - control_cost(action, ACTION_COST)

    def success(self, state: State) -> Array:
        """Return where the point is out of the corridor."""
        return distance(state) >= FAR


def distance(state: State) -> Array:
    """Return how far from the crossing the points are (n,) [m]."""
    x, y = state.qpos.T
    return (x**2 + y**2) ** 0.5
