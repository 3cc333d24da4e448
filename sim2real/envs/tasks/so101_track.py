"""The SO-101 follows a moving point: `SO101Track-v0`."""

from typing import ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.so101 import HOME, JOINTS, SO101, add_marker, placed
from sim2real.worlds import Worlds

MIDDLE, SPREAD = (0.0, 0.275, np.radians(22.0)), (0.4, 0.01, np.radians(8.0))
"""Of the path's middle: turn [rad], distance from the shoulder [m] and elevation [rad], and how far each may
lie from that."""

SWING = (0.35, 0.02, np.radians(12.0))
"""Largest amplitude of both sines together, of the same three."""

SLOW, FAST, SINES = 0.08, 0.3, 2
"""Least and largest frequency of a sine [Hz], and how many there are for each of the three."""

AHEAD = 0.1
"""How far ahead the path is also shown [s]."""

_PATH = slice(2 * JOINTS, 2 * JOINTS + 3 * (1 + 3 * SINES))


class SO101Track(SO101):
    """An SO-101 arm follows with its gripper a point that moves smoothly above the table.

    An episode's path is, in turn about the pan axis, distance and elevation, the sum of a middle and two
    sines of drawn amplitude, frequency and phase. Observed are angles, their velocities, where the point is,
    and where it will be 0.1 s later, which is what a planner knows. An episode takes 5 s.
    """

    off: ClassVar[str] = "tracking_error"
    observation_size = 18
    max_episode_steps = 250
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown("qpos"), Shown("qvel"), Shown("reference", names=("x", "y", "z"), unit="m"),
        Shown("ahead", names=("x", "y", "z"), unit="m"),
    )  # fmt: skip
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "mocap_pos", "userdata")

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Add the point, where it will be, and room for the path."""
        super().prepare(spec)
        spec.nuserdata = _PATH.stop
        add_marker(spec, "reference")
        spec.worldbody.add_body(name="ahead", pos=[0, 0, -1], mocap=True)

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start at rest within ±0.2 rad of `HOME`, at the beginning of a path of its own."""
        n = len(random)
        qpos = self.near_home(random, HOME, 0.2)
        middle = np.array(MIDDLE) + np.array(SPREAD) * random.uniform(-1.0, 1.0, 3)
        share = random.uniform(0.2, 0.8, 3)[..., None]
        total = np.array(SWING)[:, None] * random.uniform(0.5, 1.0, 3)[..., None]
        swing = total * np.concatenate([share, 1 - share], 2)
        pace = random.uniform(SLOW, FAST, 3 * SINES).reshape(n, 3, SINES)
        phase = random.uniform(0.0, 2 * np.pi, 3 * SINES).reshape(n, 3, SINES)
        path = np.concatenate([middle[..., None], swing, pace, phase], 2).reshape(n, -1)
        memory = np.concatenate([np.zeros((n, 2 * JOINTS)), path], 1)
        points = _points(path, np.zeros(n))
        return {
            "qpos": qpos, "qvel": np.zeros((n, self.nv)), "ctrl": qpos, "userdata": memory,
            "mocap_pos": points,
        }  # fmt: skip

    def settle(self, worlds: Worlds) -> None:
        """Move the point on."""
        super().settle(worlds)
        worlds.bind("mocap_pos")[:] = _points(worlds.bind("userdata")[:, _PATH], worlds.bind("time"))

    def observe(self, state: State) -> Array:
        """Return angles [rad], velocities [rad/s], where the point is and will be [m]: (n, 18)."""
        points = state.mocap_pos[:, 0], state.mocap_pos[:, 1]
        return namespace(state.qpos).concatenate([state.qpos, state.qvel, *points], 1)


def _points(path: Array, time: Array) -> Array:
    """Return where points are and will be (n, 2, 3) [m] on paths (n, 21) at times (n,) [s]."""
    xp = namespace(path)
    middle, swing, pace, phase = np.split(path.reshape(len(path), 3, -1), [1, 1 + SINES, 1 + 2 * SINES], 2)
    when = xp.stack([time, time + AHEAD], 1)[:, :, None, None]
    where = middle[:, None, :, 0] + (
        swing[:, None] * xp.sin(2 * np.pi * pace[:, None] * when + phase[:, None])
    ).sum(-1)
    return placed(where[..., 0], where[..., 1], where[..., 2])
