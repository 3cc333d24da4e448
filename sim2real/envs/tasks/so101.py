"""What the SO-101 does, and first `SO101Reach-v0`, on our own model of the arm."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.mjcf import MjcfTask
from sim2real.worlds import Worlds

JOINTS = 6
"""Joints of the arm, the first of the model."""

HOME = (0.0, -0.4, 0.7, 0.6, 0.0, 0.4)
"""Where episodes begin, or near there [rad]: bent, above the table."""

HUB, OFFSET = (0.0388, 0.1166), 0.0304
"""Where the axis of `shoulder_pan` stands, how high that of `shoulder_lift` lies, and the way between [m]."""

NEAR, FAR, LOW, HIGH, TURN = 0.22, 0.33, np.radians(-15.0), np.radians(60.0), 1.2
"""Least and largest distance of goals from the shoulder [m], their least and largest elevation seen from
there, and how far to either side they lie [rad]."""

REACHED, NARROW, BONUS, SPEED_COST = 0.02, 0.03, 0.5, 0.003
"""Distance from the goal that counts as reached [m], width [m] and height of the peak that rewards the last
centimetres, and cost of ‖q̇‖² [s²/rad²]."""


class SO101(MjcfTask):
    """What the tasks of an SO-101 share; the model is `assets/mjcf/so101/so101.xml`.

    Actions are what the hardware takes: angles [rad] of its six joints, 50 times a second. As drivers of such
    arms do, it moves its servos' targets there no faster than `slew` allows, at 1.5 rad/s unless a task says
    otherwise, so that random actions are no blows. What is sought is the gripper at the first marker, unless
    a task says otherwise. Every step's info says the `jerk` of the joints, and how far off it is.

    Attributes:
        off: What `distance` is called there.
    """

    file = "so101.xml"
    frame_skip = 10
    off: ClassVar[str] = "distance"
    slew: ClassVar[float | None] = 0.03
    proprioception: ClassVar[slice | None] = slice(0, 12)
    encoders: ClassVar[slice | None] = slice(0, 6)
    remembers: ClassVar[tuple[str, ...]] = ("userdata",)
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.17, 0.0, 0.13), "distance": 0.75, "azimuth": 125.0, "elevation": -20.0,
    }  # fmt: skip

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Make room for the velocities of the last two control steps, which are part of the state."""
        spec.nuserdata = 2 * JOINTS

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the gripper."""
        model = super().compile()
        self.gripper = model.site("gripperframe").id
        return model

    def settle(self, worlds: Worlds) -> None:
        """Remember the velocities that the control step ended with, and those before."""
        memory = worlds.bind("userdata")
        memory[:, JOINTS : 2 * JOINTS] = memory[:, :JOINTS]
        memory[:, :JOINTS] = worlds.bind("qvel")[:, :JOINTS]

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − d + 0.5 (1 − tanh(d / 3 cm)) − 0.003 ‖q̇‖² (n,) where it is d [m] off."""
        distance = self.distance(state)
        narrow = BONUS * (1 - namespace(distance).tanh(distance / NARROW))
        return narrow - distance - SPEED_COST * (state.qvel[:, :JOINTS] ** 2).sum(-1)

    def success(self, state: State) -> Array:
        """Return where what is sought is less than 2 cm off."""
        return self.distance(state) < REACHED

    def measures(self, before: State, state: State) -> dict[str, Array]:
        """Return the jerk (n,) [rad/s³], and how far off it is (n,) [m].

        The jerk is the root mean square over joints of (q̇ₜ − 2 q̇ₜ₋₁ + q̇ₜ₋₂) / Δt².
        """
        past = before.userdata
        change = state.qvel[:, :JOINTS] - 2 * past[:, :JOINTS] + past[:, JOINTS : 2 * JOINTS]
        return {"jerk": ((change / self.dt**2) ** 2).mean(-1) ** 0.5, self.off: self.distance(state)}

    def distance(self, state: State) -> Array:
        """Return how far the gripper is from the first marker (n,) [m]."""
        return ((state.site_xpos[:, self.gripper] - state.mocap_pos[:, 0]) ** 2).sum(-1) ** 0.5

    def near_home(self, random: Random, home: tuple[float, ...], scale: float) -> Array:
        """Return angles (n, 6) [rad] within ± `scale` of a pose."""
        return np.array(home) + random.uniform(-scale, scale, JOINTS)


class SO101Reach(SO101):
    """An SO-101 arm brings its gripper to a point above the table and holds it there.

    Observed are angles, their velocities, and the goal. An episode takes 3 s.

    Args:
        table: Height of a table that the arm can touch, above its foot and so mostly negative [m]; None for
            one at its foot that it passes through.
    """

    observation_size = 15
    max_episode_steps = 150
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown("qpos"), Shown("qvel"), Shown("goal", names=("x", "y", "z"), unit="m"),
    )  # fmt: skip
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos")

    def __init__(self, table: float | None = None) -> None:
        if table is not None and (isinstance(table, bool | str) or not np.isfinite(table)):
            raise ValueError(f"table is a height [m], given {table!r}")
        self.table = table

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add the goal, which hides below the table until an episode places it, and let the table be felt."""
        super().prepare(spec)
        if self.table is not None:
            table = spec.geom("table")
            table.pos[2], table.contype = self.table, 1
        add_marker(spec, "goal")

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest within ±0.2 rad of `HOME`, with a goal that the arm can reach."""
        turn = random.uniform(-TURN, TURN, 1)
        distance, elevation = random.uniform(NEAR, FAR, 1), random.uniform(LOW, HIGH, 1)
        goal = placed(turn, distance, elevation)
        qpos = self.near_home(random, HOME, 0.2)
        return {"qpos": qpos, "qvel": np.zeros((len(random), self.nv)), "ctrl": qpos, "mocap_pos": goal}

    def observe(self, state: State) -> Array:
        """Return angles [rad], their velocities [rad/s], and the goal [m]: (n, 15)."""
        return namespace(state.qpos).concatenate([state.qpos, state.qvel, state.mocap_pos[:, 0]], 1)


def placed(turn: Array, distance: Array, elevation: Array) -> Array:
    """Return points (n, k, 3) [m] at (n, k) angles about the pan axis [rad], distances [m] and elevations."""
    xp = namespace(turn)
    out = OFFSET + distance * xp.cos(elevation)
    return xp.stack(
        [HUB[0] + out * xp.cos(turn), out * xp.sin(turn), HUB[1] + distance * xp.sin(elevation)], 2
    )


def add_marker(spec: mujoco.MjSpec, name: str) -> None:
    """Add a red ball that touches nothing, and is where a task says."""
    marker = spec.worldbody.add_body(name=name, pos=[0, 0, -1], mocap=True)
    marker.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.012, 0, 0], rgba=[0.85, 0.2, 0.2, 1],
        contype=0, conaffinity=0,
    )  # fmt: skip
