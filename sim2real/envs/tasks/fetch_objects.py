"""The Fetch arm with an object: `FetchPush-v4`, `FetchSlide-v4` and `FetchPickAndPlace-v4`."""

from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.fetch import Fetch
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]


class FetchObject(Fetch):
    """What the tasks share in which the gripper moves an object to a goal."""

    observation_size = 25
    object_reach: ClassVar[float] = 0.15
    goal_offset: ClassVar[tuple[float, float]] = (0.0, 0.0)
    start: ClassVar[dict[str, Any]] = {
        "robot0:slide0": 0.405,
        "robot0:slide1": 0.48,
        "robot0:slide2": 0.0,
        "object0:joint": [1.25, 0.53, 0.4, 1.0, 0.0, 0.0, 0.0],
    }

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the object."""
        model = super().compile()
        self.object = model.site("object0").id
        self._free = model.jnt_qposadr[model.joint("object0:joint").id]
        self.table_height = self.sites[self.object, 2]
        return model

    def goals(self, random: Random) -> Array:
        """Return goals (n, 3) [m] on the table, around the gripper's starting place."""
        goal = self.home + random.uniform(-self.reach, self.reach, 3)
        goal[:, :2] += self.goal_offset
        goal[:, 2] = self.table_height
        return goal

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start with the object 10 cm or more from the gripper, and with a goal."""
        n, goal = len(random), self.goals(random)
        offset, unset = np.zeros((n, 2)), np.ones(n, dtype=bool)
        while unset.any():
            trial = random.uniform(-self.object_reach, self.object_reach, 2)
            offset[unset] = trial[unset]
            unset &= np.hypot(offset[:, 0], offset[:, 1]) < 0.1
        qpos = np.repeat(self.qpos[None], n, axis=0)
        qpos[:, self._free : self._free + 2] = self.home[:2] + offset
        qvel = np.repeat(self.qvel[None], n, axis=0)
        return {"time": np.full(n, self.time), "qpos": qpos, "qvel": qvel, "goal": goal}

    def achieved(self, state: State) -> Array:
        """Return where the object is (n, 3) [m]."""
        return state.site_xpos[:, self.object]

    def observe(self, state: State) -> Array:
        """Return gripper, object, object relative to gripper, and their velocities: (n, 25)."""
        place, velocity, fingers, speeds = self._gripper(state)
        thing = state.site_xpos[:, self.object]
        linear, angular = (x * self.dt for x in self._site_velocity(state, self.object))
        angles = euler(state.site_xmat[:, self.object])
        parts = [place, thing, thing - place, fingers, angles, linear - velocity, angular, velocity, speeds]
        return namespace(place).concatenate(parts, 1)


class FetchPush(FetchObject):
    """The closed gripper pushes a box to a point on the table."""

    file = "fetch/push.xml"
    lift = 0.0


class FetchSlide(FetchObject):
    """The closed gripper hits a puck, which slides to a point out of reach."""

    file = "fetch/slide.xml"
    lift = -0.02
    reach = 0.3
    object_reach = 0.1
    goal_offset = (0.4, 0.0)
    start: ClassVar[dict[str, Any]] = {
        "robot0:slide0": 0.05,
        "robot0:slide1": 0.48,
        "robot0:slide2": 0.0,
        "object0:joint": [1.7, 1.1, 0.41, 1.0, 0.0, 0.0, 0.0],
    }
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (1.15, 0.75, 0.55), "distance": 2.3, "azimuth": 132.0, "elevation": -25.0,
    }  # fmt: skip


class FetchPickAndPlace(FetchObject):
    """The gripper carries a box to a point on the table or in the air.

    Unlike the other Fetch tasks this one opens its fingers, and gymnasium-robotics then brings nothing
    derived up to date after the physics steps: observation and action use what the last of them left. Where
    that left the gripper stays in `userdata`, which is part of the state, so that a resumed run has it too.
    """

    file = "fetch/pick_and_place.xml"
    lift = 0.2
    shut = False
    settles: ClassVar[bool] = False

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Centre the welds, and make room for the gripper's pose and its time."""
        super().prepare(spec)
        spec.nuserdata = 8

    def goals(self, random: Random) -> Array:
        """Return goals (n, 3) [m], half of them up to 45 cm above the table."""
        goal, lifted = super().goals(random), random.uniform(0.0, 1.0, 1)[:, 0] < 0.5
        goal[:, 2] += lifted * random.uniform(0.0, 0.45, 1)[:, 0]
        return goal

    def settle(self, worlds: Worlds) -> None:
        """Remember where the gripper is said to be."""
        place, turn = worlds.bind("xpos")[:, self.gripper], worlds.bind("xquat")[:, self.gripper]
        time = worlds.bind("time")[:, None]
        worlds.bind("userdata")[:] = np.concatenate([place, turn, time], 1)

    def gripper_pose(self, worlds: Worlds, ids: Ints) -> tuple[Array, Array]:
        """Return gripper position (k, 3) [m] and quaternion (k, 4), as the last physics step left them."""
        memory, time = worlds.bind("userdata")[ids], worlds.bind("time")[ids]
        now = (memory[:, 7] == time)[:, None]
        place, turn = super().gripper_pose(worlds, ids)
        return np.where(now, memory[:, :3], place), np.where(now, memory[:, 3:7], turn)


def euler(matrix: Array) -> Array:
    """Return x-y-z Euler angles (n, 3) [rad] of rotation matrices (n, 9), rows first."""
    xp = namespace(matrix)
    m = matrix.reshape(-1, 3, 3)
    cosine = (m[:, 2, 2] ** 2 + m[:, 1, 2] ** 2) ** 0.5
    # Near the singularity only the sum of the first and last angle is defined.
    regular = cosine > 4 * np.finfo(np.float64).eps
    x = xp.where(regular, -xp.arctan2(m[:, 1, 2], m[:, 2, 2]), 0.0 * cosine)
    y = -xp.arctan2(-m[:, 0, 2], cosine)
    z = xp.where(regular, -xp.arctan2(m[:, 0, 1], m[:, 0, 0]), -xp.arctan2(-m[:, 1, 0], m[:, 1, 1]))
    return xp.stack([x, y, z], 1)
