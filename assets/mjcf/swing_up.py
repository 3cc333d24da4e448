"""A task of your own on an MJCF file of your own, to copy; `assets/specs/swing_up.yaml` names it."""

from typing import Any, ClassVar

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks import MjcfTask


class SwingUp(MjcfTask):
    """A cart swings its pole up and holds it there."""

    file = "cartpole.xml"  # beside this module
    frame_skip = 4  # physics steps of 5 ms in a control step
    observation_size = 5
    max_episode_steps = 300
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.0), "distance": 3.0, "azimuth": 90.0, "elevation": -20.0,
    }  # fmt: skip

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.1 of hanging down, at rest within the same."""
        return {"qpos": self.uniform_start(random, 0.1), "qvel": random.uniform(-0.1, 0.1, self.nv)}

    def observe(self, state: State) -> Array:
        """Return cart position, sine and cosine of the angle, and velocities: (n, 5)."""
        xp, angle = namespace(state.qpos), state.qpos[:, 1:]
        return xp.concatenate([state.qpos[:, :1], xp.sin(angle), xp.cos(angle), state.qvel], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return the tip's height, 0 to 1, less what it costs to be off the middle and to push."""
        height = 0.5 + state.site_xpos[:, 0, 2] / 1.2
        return height - 0.1 * state.qpos[:, 0] ** 2 - 0.01 * (action**2).sum(-1)

    def terminated(self, state: State) -> Array:
        """Return where the cart has reached an end of its rail."""
        return abs(state.qpos[:, 0]) > 1.15
