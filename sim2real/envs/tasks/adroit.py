"""The Adroit hand: `AdroitHandDoor-v1` and its sparse twin."""

from typing import Any, ClassVar, Literal

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.robotics import RoboticsTask
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
_LOW, _HIGH = np.array([-0.3, 0.25, 0.252]), np.array([-0.2, 0.35, 0.35])


class AdroitHandDoor(RoboticsTask):
    """A hand undoes a latch and swings a door open; the door stands somewhere else in every episode.

    Args:
        reward_type: `dense`, or `sparse` (10 with the door open, else −0.1).
        max_episode_steps: Control steps of an episode.
    """

    file = "adroit_hand/adroit_door.xml"
    frame_skip = 5
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, -0.1, 0.25), "distance": 1.5, "azimuth": 50.0, "elevation": -25.0,
    }  # fmt: skip

    def __init__(
        self, reward_type: Literal["sparse", "dense"] = "dense", max_episode_steps: int = 200
    ) -> None:
        super().__init__(reward_type, max_episode_steps)

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Soften the hand's motors as gymnasium-robotics does; let the door's frame stand anywhere.

        A body that MuJoCo may move without a joint is a mocap body: where it stands is then part of the
        state. gymnasium-robotics edits `body_pos`, which gives the same motion.
        """
        names = [actuator.name for actuator in spec.actuators]
        for first, last, gain in (("A_WRJ1", "A_WRJ0", 10.0), ("A_FFJ3", "A_THJ0", 1.0)):
            for actuator in spec.actuators[names.index(first) : names.index(last) + 1]:
                actuator.gainprm[:3], actuator.biasprm[:3] = [gain, 0, 0], [0, -gain, 0]
        spec.body("frame").mocap = True

    def compile(self) -> mujoco.MjModel:
        """Compile, and find door, handle and palm."""
        model = super().compile()
        self.nq, self.nv = model.nq, model.nv
        self.qpos0, self.mocap_pos = np.array(model.qpos0), mujoco.MjData(model).mocap_pos.copy()
        self.hinge = model.jnt_qposadr[model.joint("door_hinge").id]
        self.palm, self.handle = model.site("S_grasp").id, model.site("S_handle").id
        self.frame = model.body("frame").mocapid[0]
        low, high = model.actuator_ctrlrange.T
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        return model

    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[Any], gym.spaces.Box]:
        """Return the unbounded observation space, and the motors' ranges as [−1, 1]²⁸."""
        return (
            gym.spaces.Box(-np.inf, np.inf, (39,), np.float64),
            gym.spaces.Box(-1.0, 1.0, (model.nu,), np.float32),
        )

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start from the reference pose, with the door's frame somewhere in a box of 10 cm."""
        n = len(random)
        mocap = np.repeat(self.mocap_pos[None], n, axis=0)
        mocap[:, self.frame] = _LOW + (_HIGH - _LOW) * random.uniform(0.0, 1.0, 3)
        return {
            "qpos": np.repeat(self.qpos0[None], n, axis=0),
            "qvel": np.zeros((n, self.nv)),
            "mocap_pos": mocap,
        }

    def act(self, worlds: Worlds, ids: Ints, action: Array) -> None:
        """Set the motors' targets: −1 and 1 are the ends of their ranges."""
        worlds.bind("ctrl")[ids] = self._middle + np.clip(action, -1.0, 1.0) * self._half

    def observe(self, state: State) -> Array:
        """Return hand, latch, door, palm, handle, palm − handle, and ±1 for an open door: (n, 39)."""
        xp = namespace(state.qpos)
        door = state.qpos[:, self.hinge, None]
        palm, handle = state.site_xpos[:, self.palm], state.site_xpos[:, self.handle]
        parts = [state.qpos[:, 1:-2], state.qpos[:, -1:], door, palm, handle, palm - handle]
        return xp.concatenate([*parts, 2.0 * (door > 1.0) - 1.0], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 0.1 ‖palm − handle‖ − 0.1 (door − 1.57)² − 1e-5 ‖qvel‖² + 2, 8 and 10 as it opens.

        The sign of the first term is gymnasium-robotics' own.
        """
        door = state.qpos[:, self.hinge]
        if self.sparse:
            xp = namespace(door)
            return xp.where(door >= 1.35, xp.full_like(door, 10.0), xp.full_like(door, -0.1))
        far = ((state.site_xpos[:, self.palm] - state.site_xpos[:, self.handle]) ** 2).sum(-1) ** 0.5
        bonus = 2.0 * (door > 0.2) + 8.0 * (door > 1.0) + 10.0 * (door > 1.35)
        return 0.1 * far - 0.1 * (door - 1.57) ** 2 - 1e-5 * (state.qvel**2).sum(-1) + bonus

    def success(self, state: State) -> Array:
        """Return where the door is open by 1.35 rad or more."""
        return state.qpos[:, self.hinge] >= 1.35
