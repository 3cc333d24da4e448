"""Three arms with four things to do on one table: `PlanarArm-v0`, a family of robots and tasks."""

from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.words import did_you_mean
from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import control_cost
from sim2real.envs.tasks.mjcf import MjcfTask
from sim2real.worlds import Worlds


class Arm(NamedTuple):
    """How an arm is built.

    Attributes:
        lengths: Of its links, from the base, 1 m in all [m].
        gears: Torque of each joint's motor at full control, which may turn the other way [N m].
        damping: Of each joint [N m s/rad].
    """

    lengths: tuple[float, ...]
    gears: tuple[float, ...]
    damping: float


ARMS: dict[str, Arm] = {
    "even": Arm((0.5, 0.5), (5.0, 5.0), 1.0),
    "uneven": Arm((0.65, 0.35), (-6.0, 9.0), 1.5),
    "triple": Arm((0.4, 0.35, 0.25), (4.0, -5.0, 5.0), 1.0),
}
TASKS = ("reach", "avoid", "mirror", "retreat")

JOINTS, ARMATURE, MASS, THICKNESS = 3, 0.1, 0.1, 0.025
"""Joints that observations and actions have room for; inertia of each motor [kg m²], mass of a link [kg], and
radius of its capsule [m]."""

RED, REACHED, ACTION_COST = 0.2, 0.1, 0.02
"""Radius of the red disc, distance from a centre that counts as reached [m], and cost of ‖action‖²."""

NEAR, FAR, APART = 0.4, 0.9, np.pi / 3
"""Least and largest distance of the discs from the base [m], and least angle between them [rad]."""


class PlanarArm(MjcfTask):
    """An arm in a plane reaches for a red disc, avoids it on the way to a blue one, mirrors it, or retreats.

    Every robot meets the same scenes in every task, and what is observed, done and shown has the same shape:
    made for policies of several robots and tasks, after the grid of arms of Devin et al. 2017 (arXiv
    1609.07088). A control step takes 0.05 s, an episode 40. Observed are, of the task, where tip and discs
    are, and of the robot (`proprioception`), cosines, sines and speeds of three joints. A joint that an arm
    lacks is shown as zeros, and what is asked of it does nothing.

    Args:
        robot: A key of `ARMS`: `even` and `uneven` have two links, `triple` three; motors differ too.
        task: `reach` the red disc; `avoid` it, but reach the blue one; `mirror` it: reach the place across
            the base; `retreat` from it as far as possible, which wants an arm stretched as nothing else does.

    Raises:
        ValueError: If there is no such robot or task.
    """

    file = "arms.xml"
    frame_skip = 5
    observation_size = 6 + 3 * JOINTS
    max_episode_steps = 40
    proprioception: ClassVar[slice | None] = slice(6, 6 + 3 * JOINTS)
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 3.2, "azimuth": 90.0, "elevation": -75.0,
    }  # fmt: skip

    def __init__(self, robot: str = "even", task: str = "reach") -> None:
        for what, given, known in (("robot", robot, list(ARMS)), ("task", task, list(TASKS))):
            if given not in known:
                raise ValueError(f"no {what} is called {given!r}{did_you_mean(str(given), known)}")
        self.arm, self.task = ARMS[robot], task
        self.joints = len(self.arm.lengths)

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Build the arm: a hinge, a capsule and a motor for each link, and the tip."""
        body, arm = spec.worldbody, self.arm
        starts = [0.0, *arm.lengths[:-1]]
        for i, (start, length, gear) in enumerate(zip(starts, arm.lengths, arm.gears, strict=True), 1):
            body = body.add_body(name=f"link{i}", pos=[start, 0, 0])
            body.add_joint(name=f"joint{i}", axis=[0, 0, 1], damping=[arm.damping, 0, 0], armature=ARMATURE)
            body.add_geom(
                name=f"link{i}", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0, length, 0, 0],
                size=[THICKNESS, 0, 0], mass=MASS, rgba=[0.25, 0.3, 0.35, 1], contype=0, conaffinity=0,
            )  # fmt: skip
            motor = spec.add_actuator(
                name=f"motor{i}", target=f"joint{i}", trntype=mujoco.mjtTrn.mjTRN_JOINT,
                gear=[gear, 0, 0, 0, 0, 0], ctrllimited=True, ctrlrange=[-1, 1],
            )  # fmt: skip
            motor.set_to_motor()
        body.add_site(name="tip", pos=[arm.lengths[-1], 0, 0], size=[THICKNESS, 0, 0], rgba=[1, 0.8, 0.2, 1])

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the tip."""
        model = super().compile()
        self.tip = model.site("tip").id
        return model

    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[NDArray[Any]], gym.spaces.Box]:
        """Return spaces that are the same for all arms."""
        return (
            gym.spaces.Box(-np.inf, np.inf, (self.observation_size,), np.float64),
            gym.spaces.Box(-1.0, 1.0, (JOINTS,), np.float32),
        )

    def act(self, worlds: Worlds, ids: NDArray[np.int64], action: Array) -> None:
        """Hand the motors what is asked of them."""
        worlds.bind("ctrl")[ids] = action[:, : self.joints]

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest in any pose, with the discs anywhere 0.4 to 0.9 m from the base, 60° apart."""
        n = len(random)
        angle = random.uniform(-np.pi, np.pi, 1) + np.concatenate(
            [np.zeros((n, 1)), random.uniform(APART, 2 * np.pi - APART, 1)], 1
        )
        radius = random.uniform(NEAR, FAR, 2)
        discs = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros((n, 2))], 2)
        qpos = random.uniform(-np.pi, np.pi, JOINTS)[:, : self.joints]
        return {"qpos": qpos, "qvel": np.zeros((n, self.joints)), "mocap_pos": discs}

    def observe(self, state: State) -> Array:
        """Return places of tip, red and blue [m], and cosines, sines and speeds of the joints: (n, 15)."""
        xp, angle = namespace(state.qpos), state.qpos
        room = xp.zeros_like(state.mocap_pos[:, 0, : JOINTS - self.joints])
        joints = [part for own in (xp.cos(angle), xp.sin(angle), state.qvel) for part in (own, room)]
        discs = [state.mocap_pos[:, i, :2] for i in (0, 1)]
        return xp.concatenate([self._tip(state), *discs, *joints], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return what the task asks for − 0.02 ‖action‖², of the joints that there are.

        With the tip r from the middle of the red disc, b from that of the blue one, and m from the place
        that mirrors the red one [m]: reach, − r; avoid, − b − 2 (1 − r / 0.2) on the red disc; mirror, − m;
        retreat, r − 2, which no arm can make positive.
        """
        red, blue, across = self.distances(state)
        on_red = 1.0 - red / RED
        wanted = {
            "reach": -red,
            "avoid": -blue - 2.0 * on_red * (on_red > 0),
            "mirror": -across,
            "retreat": red - 2.0,
        }[self.task]
        return wanted - control_cost(action[:, : self.joints], ACTION_COST)

    def success(self, state: State) -> Array:
        """Return where the tip is within 0.1 m of where it is to be; to retreat, as far as it can go."""
        red, blue, across = self.distances(state)
        farthest = 1.0 + (state.mocap_pos[:, 0, :2] ** 2).sum(-1) ** 0.5
        off = {"reach": red, "avoid": blue, "mirror": across, "retreat": farthest - red}[self.task]
        return off < REACHED

    def distances(self, state: State) -> tuple[Array, Array, Array]:
        """Return how far the tip is from the red disc, the blue one, and red mirrored (n,) [m]."""
        tip = self._tip(state)
        red, blue = (state.mocap_pos[:, i, :2] for i in (0, 1))
        red, blue, across = (((tip - place) ** 2).sum(-1) ** 0.5 for place in (red, blue, -red))
        return red, blue, across

    def _tip(self, state: State) -> Array:
        return state.site_xpos[:, self.tip, :2]
