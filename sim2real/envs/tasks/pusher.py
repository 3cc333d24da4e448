"""Pushing with a seven-joint arm: `Pusher-v5`."""

from typing import Any, ClassVar

import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.gymnasium_task import GymnasiumTask, control_cost


class Pusher(GymnasiumTask):
    """An arm pushes a cylinder onto a goal."""

    file = "pusher_v5.xml"
    frame_skip = 5
    observation_size = 23
    max_episode_steps = 100
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "xpos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.35, -0.15, -0.2), "distance": 2.0, "azimuth": 110.0, "elevation": -40.0,
    }  # fmt: skip

    def compile(self) -> mujoco.MjModel:
        """Compile, and find the bodies that the task is about."""
        model = super().compile()
        self.tip, self.object, self.goal = (model.body(n).id for n in ("tips_arm", "object", "goal"))
        return model

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start with the cylinder anywhere in its field but within 0.17 m of the goal."""
        n = len(random)
        qvel = random.uniform(-0.005, 0.005, self.nv)
        place, unset = np.zeros((n, 2)), np.ones(n, dtype=bool)
        while unset.any():
            trial = np.concatenate([random.uniform(-0.3, 0, 1), random.uniform(-0.2, 0.2, 1)], 1)
            place[unset] = trial[unset]
            unset &= np.hypot(place[:, 0], place[:, 1]) <= 0.17
        qpos = np.repeat(self.qpos0[None], n, axis=0)
        qpos[:, -4:-2], qpos[:, -2:] = place, 0.0
        qvel[:, -4:] = 0.0
        return {"qpos": qpos, "qvel": qvel}

    def observe(self, state: State) -> Array:
        """Return the arm's angles and speeds, and where tip, cylinder and goal are: (n, 23)."""
        places = [state.xpos[:, body] for body in (self.tip, self.object, self.goal)]
        return namespace(state.qpos).concatenate([state.qpos[:, :7], state.qvel[:, :7], *places], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return − ‖cylinder − goal‖ − 0.5 ‖cylinder − tip‖ − 0.1 ‖action‖²."""
        near = _norm(state.xpos[:, self.object] - state.xpos[:, self.tip])
        far = _norm(state.xpos[:, self.object] - state.xpos[:, self.goal])
        return -far - control_cost(action, 0.1) - 0.5 * near


def _norm(x: Array) -> Array:
    return (x**2).sum(-1) ** 0.5
