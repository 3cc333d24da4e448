"""What an algorithm wants of its worlds: to see more than observations, or to meet a domain again."""

from dataclasses import dataclass
from typing import Any

from gymnasium.vector import VectorEnv

from sim2real.envs.context import ContextEnv
from sim2real.envs.domains import Domains, in_trials
from sim2real.envs.labels import LabelEnv
from sim2real.envs.recall import RecallEnv
from sim2real.spec import Label, Program


@dataclass(frozen=True)
class Wants:
    """What is wanted; by default nothing.

    Attributes:
        history: If not None, worlds show their domain, and so many past pairs of observation and action.
        recall: Whether worlds show the last action, its reward, and where episodes and trials begin.
        episodes: Episodes of a trial, throughout which a world keeps the domain that the trial began with.
        together: Worlds next to each other that share their trials' domains.
        label: If not None, worlds show which task and robot of a set they are of.
        in_step: Whether worlds begin their episodes together: one that has ended waits for all others.
    """

    history: int | None = None
    episodes: int = 1
    together: int = 1
    label: Label | None = None
    in_step: bool = False
    recall: bool = False

    def shown(self, env: VectorEnv[Any, Any, Any], program: Program) -> VectorEnv[Any, Any, Any]:
        """Let worlds show what is wanted."""
        if self.history is not None:
            env = ContextEnv(env, program, self.history)
        if self.label is not None:
            env = LabelEnv(env, self.label)
        return RecallEnv(env, self.episodes) if self.recall else env

    def tried(self, domains: Domains) -> Domains:
        """Let worlds keep and share domains as wanted."""
        if self.episodes == self.together == 1:
            return domains
        return in_trials(domains, self.episodes, self.together)


NOTHING = Wants()
