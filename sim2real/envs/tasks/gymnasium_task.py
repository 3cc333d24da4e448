"""What the native copies of Gymnasium's own MuJoCo environments share."""

from pathlib import Path

import gymnasium.envs.mujoco
import mujoco

from sim2real.envs.task import Array, State
from sim2real.envs.tasks.mjcf import MjcfTask

ASSETS = Path(gymnasium.envs.mujoco.__file__).parent / "assets"


class GymnasiumTask(MjcfTask):
    """A task on one of Gymnasium's models."""

    @property
    def xml(self) -> Path:
        """Gymnasium's own file."""
        return ASSETS / self.file


class Runner(GymnasiumTask):
    """A task that goes far."""

    def dress(self, model: mujoco.MjModel) -> None:
        """Let the floor go on for ever in pictures, as it does for contacts; a fast runner leaves it."""
        model.geom("floor").size[:2] = 0


def control_cost(action: Array, weight: float) -> Array:
    """Return weight · ‖action‖² (n,), in the action's own precision as Gymnasium does."""
    return weight * (action**2).sum(-1)


def forward_velocity(before: State, state: State, dt: float) -> Array:
    """Return the mean velocity of the first coordinate over a control step (n,) [m/s]."""
    return (state.qpos[:, 0] - before.qpos[:, 0]) / dt
