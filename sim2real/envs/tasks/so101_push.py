"""The SO-101 pushes a cube: `SO101Push-v0`."""

from typing import ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.so101 import HUB, JOINTS, SO101, SPEED_COST, add_marker

SIDE, MASS, SLIDING = 0.03, 0.03, 0.4
"""Of the cube: length of its sides [m], mass [kg], and its sliding friction, which is also the table's."""

LIMITS = {
    "shoulder_pan": (-0.9, 0.9), "shoulder_lift": (-1.0, 0.9), "elbow_flex": (-0.6, 1.5),
    "wrist_flex": (-0.3, 1.6), "wrist_roll": (-0.2, 0.2), "gripper": (-0.17, 0.0),
}  # fmt: skip
"""Least and largest target of each servo [rad]: low over the table before the arm, its jaws shut."""

READY = (0.0, -0.5, 0.6, 1.5, 0.0, -0.08)
"""Where episodes begin, or near there [rad]: closed and pointing down, before the cube."""

NEAR, FAR, TURN = 0.21, 0.25, 0.5
"""Least and largest distance of the cube from the pan axis [m], and how far to either side it lies [rad]."""

SHORT, LONG, SIDEWAYS = 0.05, 0.08, np.radians(75.0)
"""Least and largest way to the goal [m], and how far it may turn from straight away from the arm [rad]."""

WIDTH, TOUCH_COST = 0.06, 0.5
"""Width of the peak that rewards a cube near its goal [m], and cost of the gripper's distance to it [1/m]."""


class SO101Push(SO101):
    """An SO-101 arm pushes a cube of 3 cm over the table to a point, away from itself or to the side.

    Observed are angles, their velocities, where the cube is and how it is turned, as a camera sees it, the
    goal, and the way from the cube to the gripper. Arm, cube and table touch. Servos take targets within
    `LIMITS`, approached at 0.6 rad/s at most. An episode takes 4 s.
    """

    observation_size = 22
    max_episode_steps = 200
    slew: ClassVar[float | None] = 0.012
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown("qpos", stop=JOINTS), Shown("qvel", stop=JOINTS),
        Shown("cube", names=("x", "y", "z"), unit="m"), Shown("cube", names=("cosine", "sine")),
        Shown("goal", names=("x", "y"), unit="m"),
        Shown("gripper_from_cube", names=("x", "y", "z"), unit="m"),
    )  # fmt: skip
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos", "userdata")

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add the cube and its goal, let the arm touch the table, and keep targets within `LIMITS`."""
        super().prepare(spec)
        table = spec.geom("table")
        table.contype, table.friction = 1, [SLIDING, 0.005, 0.0001]
        cube = spec.worldbody.add_body(name="cube", pos=[0.25, 0, SIDE / 2])
        cube.add_freejoint(name="cube")
        cube.add_geom(
            name="cube", type=mujoco.mjtGeom.mjGEOM_BOX, size=[SIDE / 2] * 3, mass=MASS,
            rgba=[0.2, 0.45, 0.8, 1], friction=[SLIDING, 0.005, 0.0001], contype=1, conaffinity=1, condim=4,
        )  # fmt: skip
        for name, limits in LIMITS.items():
            servo = spec.actuator(name)
            servo.inheritrange, servo.ctrlrange = 0, limits
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
        """Return angles [rad], velocities [rad/s], cube [m], its heading, goal, and way [m]: (n, 22)."""
        qpos, xp = state.qpos, namespace(state.qpos)
        w, x, y, z = (qpos[:, JOINTS + 3 + i, None] for i in range(4))
        heading = [1 - 2 * (y**2 + z**2), 2 * (x * y + w * z)]
        parts = [qpos[:, :JOINTS], state.qvel[:, :JOINTS], self.cube(state), *heading]
        return xp.concatenate([*parts, state.mocap_pos[:, 0, :2], self.way(state)], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1 − tanh(d / 6 cm) − d − a / 2 − 0.003 ‖q̇‖² (n,).

        The cube is d [m] from the goal, and the gripper a [m] from the cube.
        """
        off, apart = self.distance(state), (self.way(state) ** 2).sum(-1) ** 0.5
        speed = (state.qvel[:, :JOINTS] ** 2).sum(-1)
        near = 1 - namespace(off).tanh(off / WIDTH) - off
        return near - TOUCH_COST * apart - SPEED_COST * speed

    def cube(self, state: State) -> Array:
        """Return where the middle of the cube is (n, 3) [m]."""
        return state.qpos[:, JOINTS : JOINTS + 3]

    def way(self, state: State) -> Array:
        """Return the way from the middle of the cube to the gripper (n, 3) [m]."""
        return state.site_xpos[:, self.gripper] - self.cube(state)

    def distance(self, state: State) -> Array:
        """Return how far the cube is from the goal on the table (n,) [m]."""
        return ((self.cube(state)[:, :2] - state.mocap_pos[:, 0, :2]) ** 2).sum(-1) ** 0.5
