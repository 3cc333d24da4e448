"""What the SO-101 does: `SO101Reach-v0`, on our own model of the arm."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.mjcf import MjcfTask

HOME = (0.0, -0.4, 0.7, 0.6, 0.0, 0.4)
"""Where episodes begin, or near there [rad]: bent, above the table."""

HUB, OFFSET = (0.0388, 0.1166), 0.0304
"""Where the axis of `shoulder_pan` stands, how high that of `shoulder_lift` lies, and the way between [m]."""

NEAR, FAR, LOW, HIGH, TURN = 0.22, 0.33, np.radians(-15.0), np.radians(60.0), 1.2
"""Least and largest distance of goals from the shoulder [m], their least and largest elevation seen from
there, and how far to either side they lie [rad]."""

REACHED, SPEED_COST = 0.02, 0.001
"""Distance from the goal that counts as reached [m], and cost of ‖q̇‖² [s²/rad²]."""


class SO101Reach(MjcfTask):
    """An SO-101 arm brings its gripper to a point above the table and holds it there.

    Actions are what the hardware takes: angles [rad] of its six joints, 50 times a second. Observed are
    angles, their velocities, and the goal. An episode takes 3 s. The model is `assets/mjcf/so101/so101.xml`.

    Args:
        table: Height of a table that the arm can touch, above its foot and so mostly negative [m]; None for
            one at its foot that it passes through.
    """

    file = "so101.xml"
    frame_skip = 10
    observation_size = 15
    max_episode_steps = 150
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown("qpos"), Shown("qvel"), Shown("goal", names=("x", "y", "z"), unit="m"),
    )  # fmt: skip
    proprioception: ClassVar[slice | None] = slice(0, 12)
    encoders: ClassVar[slice | None] = slice(0, 6)
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.17, 0.0, 0.13), "distance": 0.75, "azimuth": 125.0, "elevation": -20.0,
    }  # fmt: skip

    def __init__(self, table: float | None = None) -> None:
        if table is not None and (isinstance(table, bool | str) or not np.isfinite(table)):
            raise ValueError(f"table is a height [m], given {table!r}")
        self.table = table

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add the goal, which hides below the table until an episode places it, and let the table be felt."""
        if self.table is not None:
            table = spec.geom("table")
            table.pos[2], table.contype = self.table, 1
        goal = spec.worldbody.add_body(name="goal", pos=[0, 0, -1], mocap=True)
        goal.add_geom(
            name="goal", type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.012, 0, 0], rgba=[0.85, 0.2, 0.2, 1],
            contype=0, conaffinity=0,
        )  # fmt: skip

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the gripper."""
        model = super().compile()
        self.gripper = model.site("gripperframe").id
        return model

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest within ±0.2 rad of `HOME`, with a goal that the arm can reach."""
        n = len(random)
        turn = random.uniform(-TURN, TURN, 1)
        distance, elevation = random.uniform(NEAR, FAR, 1), random.uniform(LOW, HIGH, 1)
        out = OFFSET + distance * np.cos(elevation)
        goal = [HUB[0] + out * np.cos(turn), out * np.sin(turn), HUB[1] + distance * np.sin(elevation)]
        qpos = np.array(HOME) + random.uniform(-0.2, 0.2, len(HOME))
        return {"qpos": qpos, "qvel": np.zeros((n, self.nv)), "mocap_pos": np.stack(goal, 2)}

    def observe(self, state: State) -> Array:
        """Return angles [rad], their velocities [rad/s], and the goal [m]: (n, 15)."""
        return namespace(state.qpos).concatenate([state.qpos, state.qvel, state.mocap_pos[:, 0]], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − distance from the goal [m] − 0.001 ‖q̇‖²."""
        return -self.distance(state) - SPEED_COST * (state.qvel**2).sum(-1)

    def success(self, state: State) -> Array:
        """Return where the gripper is within 2 cm of the goal."""
        return self.distance(state) < REACHED

    def distance(self, state: State) -> Array:
        """Return how far the gripper is from the goal (n,) [m]."""
        return ((state.site_xpos[:, self.gripper] - state.mocap_pos[:, 0]) ** 2).sum(-1) ** 0.5
