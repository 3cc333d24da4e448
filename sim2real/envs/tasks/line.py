"""A point that is asked for one coordinate and free in the other: `PointLine-v0`, a task to add to others."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import control_cost
from sim2real.envs.tasks.mjcf import MjcfTask

AXES: dict[str, tuple[int, ...]] = {"x": (0,), "y": (1,), "both": (0, 1)}
"""Coordinates that an axis asks for."""

WALL, START, TOLERANCE, ACTION_COST = 7.0, 6.0, 0.5, 0.1
"""Where the walls are, half the width of the square of starts, distance from a line that counts as on it [m],
and cost of ‖action‖²."""


class PointLine(MjcfTask):
    """A point goes to a line across the plane, anywhere along it, and stays there.

    After the pusher of Haarnoja et al. 2018 (arXiv 1803.06773), which learned to bring a puck to x = −1 and
    to y = −1, and by the sum of both Q-functions brings it to (−1, −1). Nothing ends an episode but its 30
    steps, for a task that ends has no values to add where another goes on. Starts are all over the plane,
    so that each task knows also where others lead. The model is that of `PointGoals-v0`.

    A line d away costs d² / (1 + d²), less than 1 a step: were it d², what values differ by would grow with
    the distance, and no temperature would be right both far from a line and near it.

    Args:
        axis: The coordinate that is asked for: `x`, `y`, or `both`, two lines at once.
        at: Where [m].

    Raises:
        ValueError: If there is no such axis, or the place is not between the walls.
    """

    file = "points.xml"
    frame_skip = 20
    observation_size = 2
    max_episode_steps = 30
    reads: ClassVar[tuple[str, ...]] = ("qpos",)
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 18.0, "azimuth": 90.0, "elevation": -80.0,
    }  # fmt: skip

    def __init__(self, axis: str = "x", at: float = 4.0) -> None:
        if axis not in list(AXES):
            raise ValueError(f"axis is one of {', '.join(AXES)}, given {axis!r}")
        if isinstance(at, bool) or not isinstance(at, int | float) or not abs(at) < WALL:
            raise ValueError(f"at is a place between the walls, −{WALL:g} to {WALL:g} m, given {at!r}")
        self.axes, self.at = AXES[axis], float(at)

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Mark the lines, for pictures, with bands as wide as what counts as on them."""
        for axis in self.axes:
            pos, size = np.array([0.0, 0.0, -0.28]), np.array([WALL, WALL, 0.01])
            pos[axis], size[axis] = self.at, TOLERANCE
            spec.worldbody.add_site(
                name=f"line{'xy'[axis]}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=pos,
                size=size,
                rgba=[0.85, 0.2, 0.2, 1],
            )

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest, anywhere in a square of 12 m."""
        start = random.uniform(-START, START, self.nv)
        return {"qpos": start, "qvel": np.zeros_like(start)}

    def observe(self, state: State) -> Array:
        """Return the position (n, 2) [m]; velocity dies away within a control step."""
        return namespace(state.qpos).concatenate([state.qpos], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − Σ d² / (1 + d²) over the lines, each d away, − 0.1 ‖action‖²."""
        squares = self.apart(state) ** 2
        return -(squares / (1 + squares)).sum(1) - control_cost(action, ACTION_COST)

    def success(self, state: State) -> Array:
        """Return where the point is on every line."""
        return (abs(self.apart(state)) < TOLERANCE).all(1)

    def apart(self, state: State) -> Array:
        """Return how far past each line the points are (n, lines) [m]."""
        return state.qpos[:, list(self.axes)] - self.at
