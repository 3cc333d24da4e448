"""Randomization for any Gymnasium environment that simulates with MuJoCo."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from randomizers import Delay
from sim2real.envs.vector import Domains, from_source
from sim2real.spec import Program, Stream


def model_of(env: gym.Env[Any, Any]) -> mujoco.MjModel:
    """Return the environment's MuJoCo model; an empty one where it has none."""
    model = getattr(env.unwrapped, "model", None)
    return model if isinstance(model, mujoco.MjModel) else mujoco.MjSpec().compile()


class RandomizedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Puts the wrapped environment's own model into a new domain at every reset.

    Args:
        env: An environment whose `unwrapped.model` is an `mujoco.MjModel`.
        program: What may vary, bound to that model or to one that is equal to it.
        domains: Where the domains come from; by default the program's whole source.
        seed: Seed until `reset` is given one.
        world: Index of this world, if it is one of several.

    Raises:
        ValueError: If the program delays a signal: between the physics steps of a foreign
            environment nothing can be inserted; the native tasks can.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        program: Program,
        domains: Domains | None = None,
        seed: int = 0,
        world: int = 0,
    ) -> None:
        super().__init__(env)
        delayed = [bound.name for bound in program.bound if isinstance(bound.term, Delay)]
        if delayed:
            raise ValueError(
                f"{', '.join(delayed)}: latency needs a native task (sim2real list envs); "
                "a wrapped environment takes its physics steps on its own"
            )
        self.program = program
        self.domains = domains or from_source(program)
        self._seed, self._world, self._episode, self._step = seed, np.array([world]), -1, 0
        self.values = program.nominal[None].copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw a domain, write it into the model, and reset."""
        if seed is not None:
            # Vector environments give world i the seed s + i; the keyed draws already tell worlds apart.
            self._seed, self._episode = seed - int(self._world[0]), -1
        self._episode += 1
        self._step = 0
        self.values = self.domains(self._seed, self._world, np.array([self._episode]))
        self._apply()
        observation, info = self.env.reset(seed=seed, options=options)
        return self._noisy(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; a MuJoCo warning or a number that is not finite fails the episode."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        data = self.unwrapped.data  # type: ignore[attr-defined]
        if data.warning.number.any() or not np.isfinite(data.qpos).all():
            info["failed"], terminated, reward = True, True, 0.0
        return self._noisy(observation), reward, terminated, truncated, info

    def _apply(self) -> None:
        model: Any = self.unwrapped.model  # type: ignore[attr-defined]
        for name, rows in self.program.fields(self.values).items():
            *owners, last = name.split(".")
            owner = model
            for part in owners:
                owner = getattr(owner, part)
            getattr(owner, last)[:] = rows[0]
        if self.program.writes:
            mujoco.mj_setConst(model, mujoco.MjData(model))

    def _noisy(self, observation: Any) -> Any:
        if not self.program.noisy:
            return observation
        sensed = observation["observation"] if isinstance(observation, dict) else observation
        stream = Stream(self._seed, "observation_noise")
        size = sensed.size
        noise = stream.normal(self._world, np.array([self._episode]), size, self._step * size)[0]
        sensed = sensed + self.program.noise(self.values)[0] * noise.reshape(sensed.shape)
        return {**observation, "observation": sensed} if isinstance(observation, dict) else sensed
