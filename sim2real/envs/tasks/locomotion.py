"""Planar motion: `Hopper-v5`, `Walker2d-v5`, `HalfCheetah-v5` and `Swimmer-v5`."""

from abc import abstractmethod
from typing import ClassVar

from sim2real.envs.task import Array, Random, Shown, State, namespace
from sim2real.envs.tasks.gymnasium_task import Runner, control_cost, forward_velocity


class Legged(Runner):
    """What hoppers and walkers share: they earn by running, and by not falling, which ends the episode."""

    frame_skip = 4
    shows: ClassVar[tuple[Shown, ...]] = (Shown("qpos", 1), Shown("qvel"))
    remembers: ClassVar[tuple[str, ...]] = ("qpos",)

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±5e-3 of the reference pose, at rest within the same."""
        return {
            "qpos": self.uniform_start(random, 5e-3),
            "qvel": random.uniform(-5e-3, 5e-3, self.nv),
        }

    def observe(self, state: State) -> Array:
        """Return positions without x, and velocities clipped to ±10: (n, observation_size)."""
        xp = namespace(state.qpos)
        return xp.concatenate([state.qpos[:, 1:], xp.clip(state.qvel, -10, 10)], 1)

    @abstractmethod
    def healthy(self, state: State) -> Array:
        """Return which have not fallen (n,)."""

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return forward velocity + 1 while healthy − 1e-3 ‖action‖²."""
        alive = self.healthy(state) * 1.0
        return forward_velocity(before, state, self.dt) + alive - control_cost(action, 1e-3)

    def terminated(self, state: State) -> Array:
        """Return which have fallen."""
        return ~self.healthy(state)


class Hopper(Legged):
    """One leg hops forward without falling."""

    file = "hopper.xml"
    observation_size = 11

    def healthy(self, state: State) -> Array:
        """Return which stand upright and high enough, with all else below 100 (n,)."""
        xp = namespace(state.qpos)
        rest = xp.concatenate([state.qpos[:, 2:], state.qvel], 1)
        z, angle = state.qpos[:, 1], state.qpos[:, 2]
        return (abs(rest) < 100).all(1) & (z > 0.7) & (abs(angle) < 0.2)


class Walker2d(Legged):
    """Two legs walk forward without falling."""

    file = "walker2d_v5.xml"
    observation_size = 17

    def healthy(self, state: State) -> Array:
        """Return which are upright, and neither too low nor too high (n,)."""
        z, angle = state.qpos[:, 1], state.qpos[:, 2]
        return (z > 0.8) & (z < 2.0) & (abs(angle) < 1.0)


class HalfCheetah(Runner):
    """A planar two-legged cheetah runs forward; it cannot fall out of the task."""

    file = "half_cheetah.xml"
    frame_skip = 5
    observation_size = 17
    shows: ClassVar[tuple[Shown, ...]] = (Shown("qpos", 1), Shown("qvel"))
    remembers: ClassVar[tuple[str, ...]] = ("qpos",)

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.1 of the reference pose, with normal velocities of deviation 0.1."""
        return {"qpos": self.uniform_start(random, 0.1), "qvel": 0.1 * random.normal(self.nv)}

    def observe(self, state: State) -> Array:
        """Return positions without x, and velocities: (n, 17)."""
        return namespace(state.qpos).concatenate([state.qpos[:, 1:], state.qvel], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return forward velocity − 0.1 ‖action‖²."""
        return forward_velocity(before, state, self.dt) - control_cost(action, 0.1)


class Swimmer(Runner):
    """Three links swim forward in a plane of viscous fluid."""

    file = "swimmer.xml"
    frame_skip = 4
    observation_size = 8
    shows: ClassVar[tuple[Shown, ...]] = (Shown("qpos", 2), Shown("qvel"))
    remembers: ClassVar[tuple[str, ...]] = ("qpos",)

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.1 of the reference pose, at rest within the same."""
        return {"qpos": self.uniform_start(random, 0.1), "qvel": random.uniform(-0.1, 0.1, self.nv)}

    def observe(self, state: State) -> Array:
        """Return angles and velocities: (n, 8)."""
        return namespace(state.qpos).concatenate([state.qpos[:, 2:], state.qvel], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return forward velocity − 1e-4 ‖action‖²."""
        return forward_velocity(before, state, self.dt) - control_cost(action, 1e-4)
