"""The Fetch arm, and `FetchReach-v4`, sparse and dense.

The gripper follows a mocap body to which it is welded, as in gymnasium-robotics.
"""

from typing import Any, ClassVar, Literal

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import Array, GoalTask, Random, State, namespace
from sim2real.envs.tasks.robotics import RoboticsTask
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
_FINGERS = ("robot0:r_gripper_finger_joint", "robot0:l_gripper_finger_joint")
_ROTATION = np.array([1.0, 0.0, 1.0, 0.0])


class Fetch(RoboticsTask, GoalTask):
    """What the Fetch tasks share.

    Args:
        reward_type: `sparse` (0 within 5 cm of the goal, else −1) or `dense` (minus the distance).
        max_episode_steps: Control steps of an episode.
    """

    frame_skip = 20
    threshold = 0.05
    reach: ClassVar[float] = 0.15
    lift: ClassVar[float]
    shut: ClassVar[bool] = True
    start: ClassVar[dict[str, Any]]
    observation_size: ClassVar[int]
    settles: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = (
        "qpos", "qvel", "xpos", "xquat", "site_xpos", "site_xmat", "cdof", "subtree_com",
    )  # fmt: skip
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (1.3, 0.75, 0.55), "distance": 1.7, "azimuth": 132.0, "elevation": -20.0,
    }  # fmt: skip

    def __init__(
        self, reward_type: Literal["sparse", "dense"] = "sparse", max_episode_steps: int = 50
    ) -> None:
        super().__init__(reward_type, max_episode_steps)

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
        self._above = [_dofs_above(model, body) for body in range(model.nbody)]
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
        """Move the mocap body by 5 cm a unit from where the gripper is now, and the fingers or not."""
        action = np.minimum(np.maximum(action, -1.0), 1.0)
        place, turn = self.gripper_pose(worlds, ids)
        worlds.bind("mocap_pos")[ids, 0] = place + action[:, :3] * 0.05
        worlds.bind("mocap_quat")[ids, 0] = turn + _ROTATION
        if len(self._actuated):
            where = worlds.bind("qpos")[np.ix_(ids, self._actuated)] * self._servo
            worlds.bind("ctrl")[ids] = where if self.shut else where + action[:, 3:]

    def gripper_pose(self, worlds: Worlds, ids: Ints) -> tuple[Array, Array]:
        """Return gripper position (k, 3) [m] and quaternion (k, 4)."""
        return worlds.bind("xpos")[ids, self.gripper], worlds.bind("xquat")[ids, self.gripper]

    def settle(self, worlds: Worlds) -> None:
        """Hold the fingers at zero, and bring every place up to date."""
        worlds.bind("qpos")[:, self.fingers] = 0.0
        worlds.forward(positions_only=True)

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
        """Return linear [m/s] and angular [rad/s] velocity of a site, (n, 3) each, in world axes.

        It is the site's Jacobian times qvel, which is what gymnasium-robotics takes: `cvel` may be older.
        """
        body, dofs = self._site_body[site], self._above[self._site_body[site]]
        motion = (state.cdof[:, dofs] * state.qvel[:, dofs, None]).sum(1)
        arm = state.site_xpos[:, site] - state.subtree_com[:, self._root[body]]
        return motion[:, 3:] + namespace(arm).linalg.cross(motion[:, :3], arm), motion[:, :3]

    def _gripper(self, state: State) -> tuple[Array, Array, Array, Array]:
        """Return gripper position and velocity a step, finger positions and velocities a step."""
        velocity = self._site_velocity(state, self.grip)[0] * self.dt
        fingers = state.qpos[:, self.fingers], state.qvel[:, self.fingers] * self.dt
        return state.site_xpos[:, self.grip], velocity, *fingers


class FetchReach(Fetch):
    """The gripper reaches a point in the air."""

    file = "fetch/reach.xml"
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


def _dofs_above(model: mujoco.MjModel, body: int) -> Ints:
    """Return the degrees of freedom (k,) that move a body."""
    dofs: list[int] = []
    while body:
        first = int(model.body_dofadr[body])
        dofs += range(first, first + int(model.body_dofnum[body])) if first >= 0 else ()
        body = int(model.body_parentid[body])
    return np.array(sorted(dofs), dtype=np.int64)
