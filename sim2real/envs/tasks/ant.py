"""A four-legged walk: `Ant-v5`."""

from typing import ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.contact_forces import ContactForceTask
from sim2real.envs.tasks.gymnasium_task import control_cost


class Ant(ContactForceTask):
    """A four-legged robot walks forward without turning over."""

    file = "ant.xml"
    frame_skip = 5
    observation_size = 105
    remembers: ClassVar[tuple[str, ...]] = ("time", "userdata", "xpos")

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Raise the tracking camera, so that pictures show all four legs."""
        super().prepare(spec)
        camera = spec.camera("track")
        camera.pos, camera.alt.xyaxes = [0.0, -3.2, 1.8], [1.0, 0.0, 0.0, 0.0, 0.5, 0.87]

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.1 of the reference pose, with normal velocities of deviation 0.1."""
        return {"qpos": self.uniform_start(random, 0.1), "qvel": 0.1 * random.normal(self.nv)}

    def observe(self, state: State) -> Array:
        """Return positions without x and y, velocities, and forces on the bodies in [−1, 1]: (n, 105)."""
        xp = namespace(state.qpos)
        forces = self._clipped(state)[:, 1:].reshape(len(state.qpos), -1)
        return xp.concatenate([state.qpos[:, 2:], state.qvel, forces], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return forward velocity + 1 while healthy − 0.5 ‖action‖² − 5e-4 ‖forces in [−1, 1]‖²."""
        contact = 5e-4 * (self._clipped(state) ** 2).sum((1, 2))
        alive = self._healthy(state) * 1.0
        return self.travelled(before, state) + alive - (control_cost(action, 0.5) + contact)

    def terminated(self, state: State) -> Array:
        """Return which have their torso too low or too high."""
        return ~self._healthy(state)

    def _clipped(self, state: State) -> Array:
        return namespace(state.qpos).clip(self.forces(state), -1.0, 1.0)

    def _healthy(self, state: State) -> Array:
        z = state.qpos[:, 2]
        finite = (abs(state.qpos) < np.inf).all(1) & (abs(state.qvel) < np.inf).all(1)
        return finite & (z >= 0.2) & (z <= 1.0)
