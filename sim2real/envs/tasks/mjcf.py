"""The base of a task on an MJCF file, Gymnasium's or your own.

A task of your own is an MJCF file and a subclass beside it with `reset_state`, `observe`, `reward` and, if
episodes can end early, `terminated`; a spec names it as `env: package.module:Class`, found from the folder in
which the command runs. `assets/mjcf/swing_up.py` is one to copy.
"""

import sys
from pathlib import Path
from typing import ClassVar

import gymnasium as gym
import mujoco
import numpy as np

from sim2real.envs.task import Array, Random, Task


class MjcfTask(Task):
    """A task on an MJCF file, observed as `observation_size` numbers.

    Attributes:
        file: The MJCF file, relative to the folder of the module that defines the class.
        observation_size: Numbers that `observe` returns for a world.
        dt: Control period [s], after `compile`.
        qpos0: The model's reference pose (nq,), after `compile`.
        nv: Degrees of freedom, after `compile`.
    """

    file: ClassVar[str]
    observation_size: ClassVar[int]
    max_episode_steps: int = 1000

    @property
    def xml(self) -> Path:
        """The file beside the module of the class that names it."""
        owner = next(made for made in type(self).__mro__ if "file" in vars(made))
        return Path(sys.modules[owner.__module__].__file__ or "").resolve().parent / self.file

    def compile(self) -> mujoco.MjModel:
        """Compile, and remember the model's reference pose and control period."""
        model = super().compile()
        self.qpos0, self.nv = np.array(model.qpos0), model.nv
        self.dt = model.opt.timestep * self.frame_skip
        return model

    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[np.ndarray], gym.spaces.Box]:
        """Return the unbounded observation space, and the actuators' control range."""
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        return (
            gym.spaces.Box(-np.inf, np.inf, (self.observation_size,), np.float64),
            gym.spaces.Box(low, high, dtype=np.float32),
        )

    def uniform_start(self, random: Random, scale: float) -> Array:
        """Return qpos (n, nq): the reference pose with uniform noise of ± `scale`."""
        return self.qpos0 + random.uniform(-scale, scale, len(self.qpos0))
