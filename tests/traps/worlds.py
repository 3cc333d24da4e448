"""The world in which traps are planted."""

import numpy as np

from sim2real.envs.task import Array, Random, State
from sim2real.envs.tasks.mjcf import MjcfTask


class Scene(MjcfTask):
    """Pucks that slide on a floor, and an arm that swings."""

    file = "scene.xml"
    frame_skip = 10
    observation_size = 56
    max_episode_steps = 200

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start with every free body sliding along x."""
        n = len(random)
        qvel = np.zeros((n, self.nv))
        qvel[:, :24:6] = 1.0
        return {"qpos": np.repeat(self.qpos0[None], n, axis=0), "qvel": qvel}

    def observe(self, state: State) -> Array:
        """Return positions and velocities (n, 56)."""
        return np.concatenate([state.qpos, state.qvel], axis=1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 0."""
        return np.zeros(len(state.qpos))
