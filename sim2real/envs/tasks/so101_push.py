"""The SO-101 pushes a cube: `SO101Push-v0`."""

from typing import ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.so101 import HUB, JOINTS, SO101, add_marker

SIDE, MASS, SLIDING = 0.03, 0.03, 0.4
"""Of the cube: length of its sides [m], mass [kg], and its sliding friction, which is also the table's."""

READY = (0.0, -0.5, 0.6, 1.5, 0.0, 0.0)
"""Where episodes begin, or near there [rad]: closed and pointing down, before the cube."""

NEAR, FAR, TURN = 0.21, 0.25, 0.5
"""Least and largest distance of the cube from the pan axis [m], and how far to either side it lies [rad]."""

SHORT, LONG, SIDEWAYS = 0.05, 0.08, np.radians(75.0)
"""Least and largest way to the goal [m], and how far it may turn from straight away from the arm [rad]."""

TOUCH_COST = 0.5
"""Cost of the gripper's distance from the cube [1/m]."""


class SO101Push(SO101):
    """An SO-101 arm pushes a cube of 3 cm over the table to a point, away from itself or to the side.

    Observed are angles, their velocities, where the cube is and how it is turned, as a camera sees it, and
    the goal. Arm, cube and table touch. An episode takes 4 s.
    """

    observation_size = 19
    max_episode_steps = 200
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown("qpos", stop=JOINTS), Shown("qvel", stop=JOINTS),
        Shown("cube", names=("x", "y", "z"), unit="m"), Shown("cube", names=("cosine", "sine")),
        Shown("goal", names=("x", "y"), unit="m"),
    )  # fmt: skip
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos", "userdata")

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add the cube and its goal, and let the arm touch the table."""
        super().prepare(spec)
        table = spec.geom("table")
        table.contype, table.friction = 1, [SLIDING, 0.005, 0.0001]
        cube = spec.worldbody.add_body(name="cube", pos=[0.25, 0, SIDE / 2])
        cube.add_freejoint(name="cube")
        cube.add_geom(
            name="cube", type=mujoco.mjtGeom.mjGEOM_BOX, size=[SIDE / 2] * 3, mass=MASS,
            rgba=[0.2, 0.45, 0.8, 1], friction=[SLIDING, 0.005, 0.0001], contype=1, conaffinity=1, condim=4,
        )  # fmt: skip
        add_marker(spec, "goal")

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest within ±0.05 rad of `READY`, the cube farther out, the goal beyond or beside it."""
        n = len(random)
        turn, out = random.uniform(-TURN, TURN, 1), random.uniform(NEAR, FAR, 1)
        cube = np.concatenate([HUB[0] + out * np.cos(turn), out * np.sin(turn)], 1)
        way, aside = random.uniform(SHORT, LONG, 1), random.uniform(-SIDEWAYS, SIDEWAYS, 1)
        goal = cube + way * np.concatenate([np.cos(turn + aside), np.sin(turn + aside)], 1)
        half = random.uniform(-np.pi / 8, np.pi / 8, 1)  # of its turn
        arm, still = self.near_home(random, READY, 0.05), np.zeros((n, 1))
        pose = [cube, still + SIDE / 2, np.cos(half), still, still, np.sin(half)]
        return {
            "qpos": np.concatenate([arm, *pose], 1),
            "qvel": np.zeros((n, self.nv)),
            "ctrl": arm,
            "mocap_pos": np.concatenate([goal, still + SIDE / 2], 1)[:, None],
        }

    def observe(self, state: State) -> Array:
        """Return angles [rad], velocities [rad/s], cube [m], its heading, and the goal [m]: (n, 19)."""
        qpos, xp = state.qpos, namespace(state.qpos)
        w, x, y, z = (qpos[:, JOINTS + 3 + i, None] for i in range(4))
        heading = [1 - 2 * (y**2 + z**2), 2 * (x * y + w * z)]
        parts = [qpos[:, :JOINTS], state.qvel[:, :JOINTS], self.cube(state), *heading]
        return xp.concatenate([*parts, state.mocap_pos[:, 0, :2]], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return what the arm's tasks do, of the cube, − 0.5 times how far the gripper is from it [m]."""
        apart = ((state.site_xpos[:, self.gripper] - self.cube(state)) ** 2).sum(-1) ** 0.5
        return super().reward(before, state, action) - TOUCH_COST * apart

    def cube(self, state: State) -> Array:
        """Return where the middle of the cube is (n, 3) [m]."""
        return state.qpos[:, JOINTS : JOINTS + 3]

    def distance(self, state: State) -> Array:
        """Return how far the cube is from the goal on the table (n,) [m]."""
        return ((self.cube(state)[:, :2] - state.mocap_pos[:, 0, :2]) ** 2).sum(-1) ** 0.5
