"""A point among several goals that are as good: `PointGoals-v0`, where one mode is not enough."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import control_cost
from sim2real.envs.tasks.mjcf import MjcfTask

RADIUS, THRESHOLD, START = 5.0, 1.0, 0.1
"""Distance of the goals from the middle, distance at which one is reached, and spread of the start [m]."""

GOAL_REWARD, ACTION_COST, DISTANCE_COST = 1.0, 3.0, 0.1
"""A tenth of 10, 30 and 1, because the authors' experiments multiply rewards by 0.1."""


class PointGoals(MjcfTask):
    """A point goes to any of several goals around it.

    The multi-goal environment of soft Q-learning (Haarnoja et al. 2017, section 5.1), with rewards a tenth of
    theirs. The point has mass, and servos that bring it to the velocity asked for with a time constant of
    0.1 s; a control step takes 1 s, and an episode at most 30.

    Args:
        goals: How many, spread evenly over a circle of 5 m.
        rotation: Angle of the first from the x axis [rad].

    Raises:
        ValueError: If there is not at least one goal, or the rotation is not finite.
    """

    file = "points.xml"
    frame_skip = 20
    observation_size = 2
    max_episode_steps = 30
    reads: ClassVar[tuple[str, ...]] = ("qpos",)
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 18.0, "azimuth": 90.0, "elevation": -80.0,
    }  # fmt: skip

    def __init__(self, goals: int = 4, rotation: float = 0.0) -> None:
        if isinstance(goals, bool) or not isinstance(goals, int) or goals < 1:
            raise ValueError(f"goals is a whole number from 1 on, given {goals!r}")
        if isinstance(rotation, bool | str) or not np.isfinite(rotation):
            raise ValueError(f"rotation is an angle [rad], given {rotation!r}")
        angles = rotation + 2 * np.pi * np.arange(goals) / goals
        self.goals = RADIUS * np.stack([np.cos(angles), np.sin(angles)], 1)

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Mark the goals, for pictures, with discs as large as what counts as reached."""
        for i, (x, y) in enumerate(self.goals):
            spec.worldbody.add_site(
                name=f"goal{i}",
                type=mujoco.mjtGeom.mjGEOM_CYLINDER,
                pos=[x, y, -0.28],
                size=[THRESHOLD, 0.01, 0],
                rgba=[0.85, 0.2, 0.2, 1],
            )

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest in the middle, with a deviation of 0.1 m."""
        return {"qpos": START * random.normal(self.nv), "qvel": np.zeros((len(random), self.nv))}

    def observe(self, state: State) -> Array:
        """Return the position (n, 2) [m]; velocity dies away within a control step."""
        return namespace(state.qpos).concatenate([state.qpos], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1 where a goal is reached − 3 ‖action‖² − 0.1 ‖position − nearest goal‖²."""
        reached = GOAL_REWARD * self.terminated(state)
        return reached - control_cost(action, ACTION_COST) - DISTANCE_COST * self.distances(state)

    def distances(self, state: State) -> Array:
        """Return the squared distance (n,) [m²] to the nearest goal."""
        xp, (px, py) = namespace(state.qpos), state.qpos.T
        return xp.amin(xp.stack([(px - x) ** 2 + (py - y) ** 2 for x, y in self.goals.tolist()], 1), 1)

    def terminated(self, state: State) -> Array:
        """Return where a goal is reached."""
        return self.distances(state) < THRESHOLD**2

    def success(self, state: State) -> Array:
        """Return where a goal is reached."""
        return self.terminated(state)
