"""What the native copies of Gymnasium's own MuJoCo environments share."""

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import gymnasium.envs.mujoco
import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, State, Task

ASSETS = Path(gymnasium.envs.mujoco.__file__).parent / "assets"


class GymnasiumTask(Task):
    """A task on one of Gymnasium's models, observed as `observation_size` numbers."""

    file: ClassVar[str]
    observation_size: ClassVar[int]
    max_episode_steps: int = 1000

    @property
    def xml(self) -> Path:
        """Gymnasium's own file."""
        return ASSETS / self.file

    def compile(self) -> mujoco.MjModel:
        """Compile, and remember the model's reference pose and control period."""
        model = super().compile()
        self.qpos0, self.nv = np.array(model.qpos0), model.nv
        self.dt = model.opt.timestep * self.frame_skip
        return model

    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[Any], gym.spaces.Box]:
        """Return the unbounded observation space, and the actuators' control range."""
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        return (
            gym.spaces.Box(-np.inf, np.inf, (self.observation_size,), np.float64),
            gym.spaces.Box(low, high, dtype=np.float32),
        )

    def uniform_start(self, random: Random, scale: float) -> Array:
        """Return qpos (n, nq): the reference pose with uniform noise of ± `scale`."""
        return self.qpos0 + random.uniform(-scale, scale, len(self.qpos0))


def control_cost(action: Array, weight: float) -> Array:
    """Return weight · ‖action‖² (n,), in the action's own precision as Gymnasium does."""
    return weight * (action**2).sum(-1)


def forward_velocity(before: State, state: State, dt: float) -> Array:
    """Return the mean velocity of the first coordinate over a control step (n,) [m/s]."""
    return (state.qpos[:, 0] - before.qpos[:, 0]) / dt
