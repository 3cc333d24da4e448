"""Reaching with a two-joint arm in a plane: `Reacher-v5`."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import GymnasiumTask, control_cost


class Reacher(GymnasiumTask):
    """An arm moves its fingertip to a target."""

    file = "reacher.xml"
    frame_skip = 2
    observation_size = 10
    max_episode_steps = 50
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "xpos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 0.75, "azimuth": 90.0, "elevation": -75.0,
    }  # fmt: skip

    def compile(self) -> mujoco.MjModel:
        """Compile, and find fingertip and target."""
        model = super().compile()
        self.tip, self.target = model.body("fingertip").id, model.body("target").id
        return model

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start the arm within ±0.1 rad, with the target anywhere within 0.2 m of its base."""
        qpos, qvel = self.uniform_start(random, 0.1), random.uniform(-0.005, 0.005, self.nv)
        place, unset = np.zeros((len(random), 2)), np.ones(len(random), dtype=bool)
        while unset.any():
            trial = random.uniform(-0.2, 0.2, 2)
            place[unset] = trial[unset]
            unset &= np.hypot(place[:, 0], place[:, 1]) >= 0.2
        qpos[:, -2:], qvel[:, -2:] = place, 0.0
        return {"qpos": qpos, "qvel": qvel}

    def observe(self, state: State) -> Array:
        """Return cosines and sines of the angles, the target, speeds, and fingertip − target: (n, 10)."""
        xp = namespace(state.qpos)
        angles, target, speeds = state.qpos[:, :2], state.qpos[:, 2:], state.qvel[:, :2]
        return xp.concatenate([xp.cos(angles), xp.sin(angles), target, speeds, self._apart(state)[:, :2]], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − ‖fingertip − target‖ − ‖action‖²."""
        return -((self._apart(state) ** 2).sum(-1) ** 0.5) - control_cost(action, 1.0)

    def _apart(self, state: State) -> Array:
        return state.xpos[:, self.tip] - state.xpos[:, self.target]
