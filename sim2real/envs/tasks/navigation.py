"""A point that does not know where its goal is: `PointNavigation-v0`, a family of tasks to adapt within."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State
from sim2real.envs.tasks.mjcf import MjcfTask
from sim2real.worlds import Worlds

PERIOD, THRESHOLD = 0.1, 0.01
"""Control period [s], and distance at which the goal is reached [m]."""

STIFF = 1e6
"""Gain of the servos [N s/m]: a step brings 1 kg to the velocity asked for, but for a part in 10^5."""


class PointNavigation(MjcfTask):
    """A point finds a goal that it is not shown, from reward alone.

    The 2-D navigation of MAML (Finn et al. 2017, section 5.3.1), with the reward of the authors' code, minus
    the distance, not of their text, minus its square. A control step moves the point by up to 0.1 m in
    each coordinate; it ends an episode to be within 1 cm of the goal.

    The goal is the origin of the world, and the point counts the way it has gone from its start, which is
    its reference pose. So where the goal lies from the start is where its joints are assembled off by,
    `joint_offset` of x and y in a spec; nominally it starts there.
    """

    file = "points.xml"
    frame_skip = 1
    observation_size = 2
    max_episode_steps = 100
    reads: ClassVar[tuple[str, ...]] = ("qpos", "xpos")
    settles: ClassVar[bool] = True
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 2.4, "azimuth": 90.0, "elevation": -80.0,
    }  # fmt: skip

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Make the point small, quick and free to go, and mark the goal."""
        spec.option.timestep = PERIOD
        for joint in spec.joints:
            joint.limited = mujoco.mjtLimited.mjLIMITED_FALSE
        for servo in spec.actuators:
            servo.set_to_velocity(kv=STIFF)
        spec.geom("point").size[0] = 0.03
        spec.worldbody.add_site(
            name="goal",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[0, 0, -0.05],
            size=[0.03, 0.005, 0],
            rgba=[0.85, 0.2, 0.2, 1],
        )

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the point."""
        model = super().compile()
        self.point = model.body("point").id
        return model

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest, wherever the joints say zero."""
        start = np.zeros((len(random), self.nv))
        return {"qpos": start, "qvel": np.zeros_like(start)}

    def settle(self, worlds: Worlds) -> None:
        """Bring the place of the point up to date."""
        worlds.forward(positions_only=True)

    def observe(self, state: State) -> Array:
        """Return the way from the start (n, 2) [m]."""
        return 1.0 * state.qpos

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − the distance to the goal [m]."""
        return -self.distance(state)

    def distance(self, state: State) -> Array:
        """Return how far the goal is (n,) [m]."""
        return (state.xpos[:, self.point, :2] ** 2).sum(-1) ** 0.5

    def terminated(self, state: State) -> Array:
        """Return where the goal is reached."""
        return self.distance(state) < THRESHOLD

    def success(self, state: State) -> Array:
        """Return where the goal is reached."""
        return self.terminated(state)
