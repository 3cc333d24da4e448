"""The Fetch arm: `FetchReach-v4` and `FetchPush-v4`, sparse and dense.

The gripper follows a mocap body to which it is welded, as in gymnasium-robotics.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import Array, GoalTask, Random, State, namespace
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
_FINGERS = ("robot0:r_gripper_finger_joint", "robot0:l_gripper_finger_joint")
_ROTATION = np.array([1.0, 0.0, 1.0, 0.0])


class Fetch(GoalTask):
    """What the Fetch tasks share.

    Args:
        reward_type: `sparse` (0 within 5 cm of the goal, else −1) or `dense` (minus the distance).
        max_episode_steps: Control steps of an episode.
    """

    frame_skip = 20
    threshold = 0.05
    reach = 0.15
    file: ClassVar[str]
    lift: ClassVar[float]
    start: ClassVar[dict[str, Any]]
    observation_size: ClassVar[int]
    settles: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = (
        "qpos", "qvel", "xpos", "xquat", "site_xpos", "site_xmat", "cvel", "subtree_com",
    )  # fmt: skip
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (1.3, 0.75, 0.55), "distance": 1.7, "azimuth": 132.0, "elevation": -20.0,
    }  # fmt: skip

    def __init__(
        self, reward_type: Literal["sparse", "dense"] = "sparse", max_episode_steps: int = 50
    ) -> None:
        if reward_type not in ("sparse", "dense"):
            raise ValueError(f"reward_type is 'sparse' or 'dense', given {reward_type!r}")
        self.sparse = reward_type == "sparse"
        self.max_episode_steps = max_episode_steps

    @property
    def xml(self) -> Path:
        """The file of gymnasium-robotics, found without importing it."""
        package = find_spec("gymnasium_robotics")
        assert package is not None and package.origin is not None
        return Path(package.origin).parent / "envs" / "assets" / "fetch" / self.file

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Centre the welds on their mocap bodies; edited later, `mj_setConst` would undo it."""
        for weld in spec.equalities:
            if weld.type == mujoco.mjtEq.mjEQ_WELD:
                weld.data[3:10] = [0, 0, 0, 1, 0, 0, 0]

    def compile(self) -> mujoco.MjModel:
        """Compile, and move the gripper to its starting place."""
        model = super().compile()
        self.grip, self.gripper = model.site("robot0:grip").id, model.body("robot0:gripper_link").id
        self.fingers = np.array([model.jnt_qposadr[model.joint(name).id] for name in _FINGERS])
        self.dt = model.opt.timestep * self.frame_skip
        self._site_body = np.array(model.site_bodyid)
        self._root = np.array(model.body_rootid)
        self._servo = np.array(model.actuator_biastype) != int(mujoco.mjtBias.mjBIAS_NONE)
        self._actuated = model.jnt_qposadr[model.actuator_trnid[:, 0]]
        self._settle_down(model)
        return model

    def _settle_down(self, model: mujoco.MjModel) -> None:
        data = mujoco.MjData(model)
        for name, value in self.start.items():
            data.joint(name).qpos = value
        mujoco.mj_forward(model, data)
        data.mocap_pos[0] = np.array([-0.498, 0.005, -0.431 + self.lift]) + data.site_xpos[self.grip]
        data.mocap_quat[0] = _ROTATION
        mujoco.mj_step(model, data, nstep=10 * self.frame_skip)
        # As gymnasium-robotics: where the sites were one physics step ago.
        self.sites = data.site_xpos.copy()
        self.home = self.sites[self.grip]
        self.time, self.qpos, self.qvel = data.time, data.qpos.copy(), data.qvel.copy()

    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[Any], gym.spaces.Box]:
        """Return the goal dictionary space, and displacements of gripper and fingers in [−1, 1]⁴."""
        sizes = {"desired_goal": 3, "achieved_goal": 3, "observation": self.observation_size}
        boxes: dict[str, gym.Space[Any]] = {
            name: gym.spaces.Box(-np.inf, np.inf, (n,), np.float64) for name, n in sizes.items()
        }
        return gym.spaces.Dict(boxes), gym.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def dress(self, model: mujoco.MjModel) -> None:
        """Hide the model's own goal marker, which stays put; pictures mark the real goal."""
        model.site("target0").rgba[3] = 0

    def act(self, worlds: Worlds, ids: Ints, action: Array) -> None:
        """Move the mocap body by 5 cm a unit from where the gripper is now; the fingers stay shut."""
        action = np.clip(action, -1.0, 1.0)
        worlds.bind("mocap_pos")[ids, 0] = worlds.bind("xpos")[ids, self.gripper] + action[:, :3] * 0.05
        worlds.bind("mocap_quat")[ids, 0] = worlds.bind("xquat")[ids, self.gripper] + _ROTATION
        shut = worlds.bind("qpos")[np.ix_(ids, self._actuated)] * self._servo
        worlds.bind("ctrl")[ids] = shut

    def settle(self, worlds: Worlds) -> None:
        """Hold the fingers at zero, and bring everything derived up to date."""
        worlds.bind("qpos")[:, self.fingers] = 0.0
        worlds.forward()

    def achieved(self, state: State) -> Array:
        """Return where the gripper is (n, 3) [m]."""
        return state.site_xpos[:, self.grip]

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any = None) -> Array:
        """Return the sparse or dense reward (n,) for goals (n, 3) [m]."""
        distance = ((achieved_goal - desired_goal) ** 2).sum(-1) ** 0.5
        return -1.0 * (distance > self.threshold) if self.sparse else -distance

    def success(self, state: State) -> Array:
        """Return where the goal is within 5 cm."""
        distance = ((self.achieved(state) - state.goal) ** 2).sum(-1) ** 0.5
        return distance < self.threshold

    def _site_velocity(self, state: State, site: int) -> tuple[Array, Array]:
        """Return linear [m/s] and angular [rad/s] velocity of a site, (n, 3) each, in world axes."""
        body = self._site_body[site]
        angular, at_com = state.cvel[:, body, :3], state.cvel[:, body, 3:]
        arm = state.site_xpos[:, site] - state.subtree_com[:, self._root[body]]
        return at_com + namespace(arm).linalg.cross(angular, arm), angular

    def _gripper(self, state: State) -> tuple[Array, Array, Array, Array]:
        """Return gripper position and velocity a step, finger positions and velocities a step."""
        velocity = self._site_velocity(state, self.grip)[0] * self.dt
        fingers = state.qpos[:, self.fingers], state.qvel[:, self.fingers] * self.dt
        return state.site_xpos[:, self.grip], velocity, *fingers


class FetchReach(Fetch):
    """The gripper reaches a point in the air."""

    file = "reach.xml"
    lift = 0.2
    observation_size = 10
    start: ClassVar[dict[str, Any]] = {"robot0:slide0": 0.4049, "robot0:slide1": 0.48, "robot0:slide2": 0.0}

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start from the settled arm, with a goal within ±15 cm of the gripper."""
        n = len(random)
        return {
            "time": np.full(n, self.time),
            "qpos": np.repeat(self.qpos[None], n, axis=0),
            "qvel": np.repeat(self.qvel[None], n, axis=0),
            "goal": self.home + random.uniform(-self.reach, self.reach, 3),
        }

    def observe(self, state: State) -> Array:
        """Return gripper and fingers, positions and velocities: (n, 10)."""
        place, velocity, fingers, speeds = self._gripper(state)
        return namespace(place).concatenate([place, fingers, velocity, speeds], 1)


class FetchPush(Fetch):
    """The closed gripper pushes a box to a point on the table."""

    file = "push.xml"
    lift = 0.0
    observation_size = 25
    start: ClassVar[dict[str, Any]] = {
        "robot0:slide0": 0.405,
        "robot0:slide1": 0.48,
        "robot0:slide2": 0.0,
        "object0:joint": [1.25, 0.53, 0.4, 1.0, 0.0, 0.0, 0.0],
    }

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the box."""
        model = super().compile()
        self.box = model.site("object0").id
        self._free = model.jnt_qposadr[model.joint("object0:joint").id]
        self.table_height = self.sites[self.box, 2]
        return model

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start with the box 10 cm or more from the gripper, and a goal within ±15 cm on the table."""
        n = len(random)
        goal = self.home + random.uniform(-self.reach, self.reach, 3)
        goal[:, 2] = self.table_height
        offset, unset = np.zeros((n, 2)), np.ones(n, dtype=bool)
        while unset.any():
            trial = random.uniform(-self.reach, self.reach, 2)
            offset[unset] = trial[unset]
            unset &= np.hypot(offset[:, 0], offset[:, 1]) < 0.1
        qpos = np.repeat(self.qpos[None], n, axis=0)
        qpos[:, self._free : self._free + 2] = self.home[:2] + offset
        qvel = np.repeat(self.qvel[None], n, axis=0)
        return {"time": np.full(n, self.time), "qpos": qpos, "qvel": qvel, "goal": goal}

    def achieved(self, state: State) -> Array:
        """Return where the box is (n, 3) [m]."""
        return state.site_xpos[:, self.box]

    def observe(self, state: State) -> Array:
        """Return gripper, box, box relative to gripper, and their velocities: (n, 25)."""
        place, velocity, fingers, speeds = self._gripper(state)
        box = state.site_xpos[:, self.box]
        linear, angular = (x * self.dt for x in self._site_velocity(state, self.box))
        angles = _euler(state.site_xmat[:, self.box])
        parts = [place, box, box - place, fingers, angles, linear - velocity, angular, velocity, speeds]
        return namespace(place).concatenate(parts, 1)


def _euler(matrix: Array) -> Array:
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
