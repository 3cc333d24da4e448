"""A point in a wind that it does not see: `PointWind-v0`, where a memory is worth most."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.mjcf import MjcfTask

START, GOAL, RADIUS = np.array([0.0, -5.0]), np.array([0.0, 5.0]), 0.3
"""Where it starts, where the goal is, and the distance from it that counts as there [m]."""

WAY = 0.1
"""Reward for a metre made towards the goal."""


class PointWind(MjcfTask):
    """A point goes to a small goal and stays there, against any wind.

    The wind navigation of Ni et al. 2022 (arXiv 2110.05038), ten times as large: to stay, the point must know
    the wind. That is the term `external_force`, which the servos of `PointGoals-v0` turn into a velocity of
    0.1 m/s for each N; they reach 1 m/s, and a control step takes 1 s. A step at the goal is worth 1, as
    theirs; and a metre of the way there 0.1, so that it is found without luck (a potential, Ng et al. 1999).
    """

    file = "points.xml"
    frame_skip = 20
    observation_size = 2
    max_episode_steps = 75
    reads: ClassVar[tuple[str, ...]] = ("qpos",)
    remembers: ClassVar[tuple[str, ...]] = ("qpos",)
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 18.0, "azimuth": 90.0, "elevation": -80.0,
    }  # fmt: skip

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Mark the goal, for pictures, with a disc as large as what counts as there."""
        spec.worldbody.add_site(
            name="goal",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[*GOAL, -0.28],
            size=[RADIUS, 0.01, 0],
            rgba=[0.85, 0.2, 0.2, 1],
        )

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest, always in the same place."""
        return {"qpos": np.tile(START, (len(random), 1)), "qvel": np.zeros((len(random), self.nv))}

    def observe(self, state: State) -> Array:
        """Return the position (n, 2) [m]; velocity dies away within a control step."""
        return namespace(state.qpos).concatenate([state.qpos], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1 where the point is at the goal + 0.1 for each metre that it came nearer."""
        return 1.0 * self.success(state) + WAY * (distance(before) - distance(state))

    def success(self, state: State) -> Array:
        """Return where the point is at the goal."""
        return distance(state) < RADIUS


def distance(state: State) -> Array:
    """Return how far from the goal the points are (n,) [m]."""
    x, y = state.qpos.T
    return ((x - GOAL[0]) ** 2 + (y - GOAL[1]) ** 2) ** 0.5
