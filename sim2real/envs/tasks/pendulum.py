"""Balancing: `InvertedPendulum-v5` and `InvertedDoublePendulum-v5`."""

from typing import Any, ClassVar

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.gymnasium_task import GymnasiumTask


class InvertedPendulum(GymnasiumTask):
    """A cart balances a pole."""

    file = "inverted_pendulum.xml"
    frame_skip = 2
    observation_size = 4
    shows: ClassVar[tuple[Shown, ...]] = (Shown("qpos"), Shown("qvel"))
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.2), "distance": 2.6, "azimuth": 90.0, "elevation": -8.0,
    }  # fmt: skip

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.01 of upright, at rest within the same."""
        return {"qpos": self.uniform_start(random, 0.01), "qvel": random.uniform(-0.01, 0.01, self.nv)}

    def observe(self, state: State) -> Array:
        """Return cart position, angle, and their velocities: (n, 4)."""
        return namespace(state.qpos).concatenate([state.qpos, state.qvel], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1 while up."""
        return 1.0 * ~self.terminated(state)

    def terminated(self, state: State) -> Array:
        """Return where the pole leans more than 0.2 rad."""
        finite = namespace(state.qpos).isfinite(self.observe(state)).all(1)
        return ~finite | (abs(state.qpos[:, 1]) > 0.2)


class InvertedDoublePendulum(GymnasiumTask):
    """A cart balances two poles, one on the other."""

    file = "inverted_double_pendulum.xml"
    frame_skip = 5
    observation_size = 9
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "site_xpos", "qfrc_constraint")
    view: ClassVar[str | dict[str, Any]] = {
        "lookat": (0.0, 0.0, 0.5), "distance": 3.5, "azimuth": 90.0, "elevation": -8.0,
    }  # fmt: skip

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.1 of upright, with normal velocities of deviation 0.1."""
        return {"qpos": self.uniform_start(random, 0.1), "qvel": 0.1 * random.normal(self.nv)}

    def observe(self, state: State) -> Array:
        """Return cart position, sines and cosines of the angles, velocities, and rail force: (n, 9)."""
        xp = namespace(state.qpos)
        angles = state.qpos[:, 1:]
        limited = [xp.clip(x, -10, 10) for x in (state.qvel, state.qfrc_constraint[:, :1])]
        return xp.concatenate([state.qpos[:, :1], xp.sin(angles), xp.cos(angles), *limited], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 10 while up, less the tip's distance from its height and the poles' speeds."""
        x, y = state.site_xpos[:, 0, 0], state.site_xpos[:, 0, 2]
        v1, v2 = state.qvel[:, 1], state.qvel[:, 2]
        distance = 0.01 * x**2 + (y - 2) ** 2
        velocity = 1e-3 * v1**2 + 5e-3 * v2**2
        return 10.0 * (y > 1) - distance - velocity

    def terminated(self, state: State) -> Array:
        """Return where the tip is below 1 m."""
        return state.site_xpos[:, 0, 2] <= 1
