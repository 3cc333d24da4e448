"""A two-legged walk in space: `Humanoid-v5`."""

from typing import ClassVar

from sim2real.envs.task import Array, Random, State, namespace
from sim2real.envs.tasks.contact_forces import ContactForceTask
from sim2real.envs.tasks.gymnasium_task import control_cost

_MORE = ("cinert", "qfrc_actuator")


class Humanoid(ContactForceTask):
    """A humanoid walks forward without falling."""

    file = "humanoid.xml"
    frame_skip = 5
    observation_size = 348
    reads: ClassVar[tuple[str, ...]] = (*ContactForceTask.reads, *_MORE, "ctrl")
    remembers: ClassVar[tuple[str, ...]] = ("time", "userdata", "subtree_com")

    def reset_state(self, random: Random) -> dict[str, Array]:
        """Start within ±0.01 of the reference pose, at rest within the same."""
        return {"qpos": self.uniform_start(random, 0.01), "qvel": random.uniform(-0.01, 0.01, self.nv)}

    def place(self, state: State) -> Array:
        """Return where the centre of mass is along x (n,) [m]."""
        return state.subtree_com[:, 0, 0]

    def observe(self, state: State) -> Array:
        """Return positions without x and y, velocities, inertias, body velocities, forces: (n, 348)."""
        n, xp = len(state.qpos), namespace(state.qpos)
        inertia, velocity = state.cinert[:, 1:].reshape(n, -1), state.cvel[:, 1:].reshape(n, -1)
        forces = [state.qfrc_actuator[:, 6:], self.forces(state)[:, 1:].reshape(n, -1)]
        return xp.concatenate([state.qpos[:, 2:], state.qvel, inertia, velocity, *forces], 1)

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return 1.25 · forward velocity + 5 while healthy − 0.1 ‖ctrl‖² − 5e-7 ‖forces‖² (10 at most)."""
        xp = namespace(state.qpos)
        contact = xp.clip(5e-7 * (self.forces(state) ** 2).sum((1, 2)), None, 10.0)
        # The original charges what reached the actuators, which latency makes another than `action`.
        control = control_cost(state.ctrl, 0.1)
        alive = 5.0 * self._healthy(state)
        return 1.25 * self.travelled(before, state) + alive - (control + contact)

    def terminated(self, state: State) -> Array:
        """Return which have fallen, or jumped too high."""
        return ~self._healthy(state)

    def _healthy(self, state: State) -> Array:
        z = state.qpos[:, 2]
        return (z > 1.0) & (z < 2.0)
