"""Curricula by name, and the instructor that draws a run's domains from one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sim2real.agents import Episode, Transitions
from sim2real.envs.domains import Domains
from sim2real.envs.registry import is_native, make_task
from sim2real.envs.task import Task
from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Program, Spec, Stream
from sim2real.transfer.adr import ADR, ADRSettings
from sim2real.transfer.curriculum import Curriculum, CurriculumSettings, Ended, Floats, Ints, UniformSettings
from sim2real.transfer.doraemon import DORAEMON, DORAEMONSettings
from sim2real.transfer.epopt import EPOpt, EPOptSettings


class Entry(NamedTuple):
    """A curriculum and the model that validates its settings."""

    curriculum: type[Curriculum]
    settings: type[CurriculumSettings]


CURRICULA: dict[str, Entry] = {
    "uniform": Entry(Curriculum, UniformSettings),
    "adr": Entry(ADR, ADRSettings),
    "doraemon": Entry(DORAEMON, DORAEMONSettings),
    "epopt": Entry(EPOpt, EPOptSettings),
}


def make_curriculum(settings: Mapping[str, Any], nominal: Floats) -> Curriculum:
    """Make a curriculum from a spec's `train.curriculum`, with the quantiles of the nominal domain (d,)."""
    entry = CURRICULA[settings["type"]]
    return entry.curriculum(entry.settings.model_validate(dict(settings)), nominal)


def check_curriculum(spec: Spec, program: Program) -> None:
    """Refuse a curriculum that the spec's environment, terms or task cannot have.

    Raises:
        ValueError: Saying why.
    """
    given = spec.train.curriculum
    if not given:
        return
    settings = CURRICULA[given["type"]].settings.model_validate(given)
    if isinstance(settings, UniformSettings):
        return
    if not is_native(spec.env):
        raise ValueError(
            f"{given['type']} needs a native task (see `sim2real list envs`), and {spec.env} is none: "
            "leave the curriculum out"
        )
    if program.d == 0:
        raise ValueError(f"{given['type']} has nothing to move: there is no term under randomize")
    if settings.independent and spec.correlate:
        raise ValueError(f"{given['type']} takes parameters to be independent: leave out correlate")
    task = make_task(spec.env, spec.env_options)
    if settings.without_success and type(task).success is Task.success:
        instead = settings.without_success
        raise ValueError(f"{spec.env} does not say when an episode succeeds; write {instead}")


class Instructor:
    """Draws the domain of every episode from a curriculum, and tells it how the episode ended.

    An episode's draw is keyed by (seed, term, world, episode) and by the curriculum's parameters when it
    began, which are kept: a term that drifts goes on under them though the curriculum may have changed.

    Args:
        curriculum: The distribution.
        env: The worlds, not yet reset; its `domains` and `before_reset` are replaced.
        seed: Seed of the draws, with which `env` will be reset.
    """

    def __init__(self, curriculum: Curriculum, env: TaskVectorEnv, seed: int) -> None:
        self.curriculum, self._env, self._seed = curriculum, env, seed
        self._program: Program = env.program
        self._running = np.tile(curriculum.phi, (env.num_envs, 1))
        self._past = self._running.copy()
        env.before_reset = self._ending
        env.domains = self._domains()

    def _domains(self) -> Domains:
        """Return the domains as they are now: a new object, since what was prepared no longer holds."""
        return lambda seed, worlds, episodes, time: self._program.values(
            self._drawn(seed, worlds, episodes, time)[0]
        )

    def _drawn(self, seed: int, worlds: Ints, episodes: Ints, time: Floats) -> tuple[Floats, Floats, Floats]:
        """Return quantiles (k, d), the parameters (k, p) they come from, and coins (k, 2)."""
        running = episodes == self._env.episodes[worlds]
        phi = np.where(running[:, None], self._running[worlds], self.curriculum.phi)
        coin = Stream(seed, "curriculum").uniform(worlds, episodes, 2)
        u = self._program.quantiles(seed, worlds, episodes, time)
        return self.curriculum.quantiles(phi, u, coin), phi, coin

    def _ending(self, ids: Ints) -> None:
        """Note, before worlds reset, what their episodes were drawn from and the next will be."""
        self._past[ids] = self._running[ids]
        self._running[ids] = self.curriculum.phi

    def __call__(self, step: Transitions, episodes: Sequence[Episode]) -> Transitions:
        """Learn from the episodes that a vector step ended; return what the agent is to learn from."""
        ended = self._ended([episode for episode in episodes if not episode.failed])
        before = self.curriculum.phi
        self.curriculum.observe(ended)
        if self.curriculum.phi is not before:
            self._env.domains = self._domains()
        return self.curriculum.sift(step, ended)

    def _ended(self, episodes: Sequence[Episode]) -> Ended:
        worlds = np.array([episode.world for episode in episodes], np.int64)
        numbers = self._env.episodes[worlds] - 1
        phi = self._past[worlds]
        coin = Stream(self._seed, "curriculum").uniform(worlds, numbers, 2)
        u = self._program.quantiles(self._seed, worlds, numbers)
        q = self.curriculum.quantiles(phi, u, coin)
        success = [np.nan if episode.success is None else episode.success for episode in episodes]
        reward = np.array([episode.reward for episode in episodes], np.float64)
        return Ended(worlds, q, phi, coin, reward, np.array(success, np.float64))

    def metrics(self) -> dict[str, float]:
        """Return the curriculum's curves, and the bounds of what it draws in each parameter's own unit."""
        curves = self.curriculum.metrics()
        if len(self.curriculum.phi):
            low, high = self._program.values(np.stack(self.curriculum.bounds()))
            for name, least, most in zip(self._program.names, low, high, strict=True):
                curves |= {f"{name}/low": float(least), f"{name}/high": float(most)}
        return {f"curriculum/{name}": value for name, value in curves.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the curriculum, and what the running episodes were drawn from."""
        return {"curriculum": self.curriculum.state_dict(), "running": self._running.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; the environment's state must be restored beside it."""
        self.curriculum.load_state_dict(state["curriculum"])
        self._running[:] = state["running"]
        self._env.domains = self._domains()
