"""A robot under evaluation: episodes that are asked for, counted, logged, and never done twice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.envs.external import Came, Step
from sim2real.evaluation.confirm import Confirm, Upcoming
from sim2real.evaluation.step_log import Key, StepLog
from sim2real.runs import RunError
from sim2real.spec import External


class Stopped(Exception):
    """No further episode may begin; the message says why. What there is is in the log."""


@dataclass(frozen=True)
class Plan:
    """Episodes of one kind that are to come.

    Attributes:
        key: Of the first of them.
        of: How many there are to be.
        seed: Of the first of them; each has its own.
    """

    key: Key
    of: int
    seed: int


class Robot:
    """Who begins the episodes of an external environment, as `sim2real.envs.external.Keeper`.

    An episode that the log holds already is played from there: its observations, and in `taken` its actions,
    come back as they were, and the environment is not touched. So whatever learns from episodes goes on,
    after an interruption, exactly where it was.

    Args:
        name: Of the target.
        target: Its settings.
        log: Its log.
        confirm: Who is asked before an episode.
        limit: Steps after which an episode is cut, or None.
    """

    def __init__(
        self, name: str, target: External, log: StepLog, confirm: Confirm, limit: int | None
    ) -> None:
        self.name, self.target, self.log, self._confirm, self._limit = name, target, log, confirm, limit
        self.plan: Plan | None = None
        self.live = False
        self._played: list[Came] = []
        self._step = 0

    def begin(self, reset: Callable[[int], Any]) -> Any:
        """Begin the next episode of the plan, and return its first observation.

        Raises:
            Stopped: If it is not confirmed, or could take more steps than there are left.
            RunError: If the environment fails.
        """
        assert self.plan is not None
        key, number = self.plan.key, self.plan.key.number
        self._played, self._step = self.log.done.get(key, []), 0
        self.live = not self._played
        if self.live:
            self._refuse_beyond(self._limit or 1)
            if not self._confirm(self._upcoming(key)):
                raise Stopped("an episode was not confirmed; the same command goes on")
            first = self._doing("reset", lambda: reset(self.plan.seed + number))  # type: ignore[union-attr]
            self.log.begin(key, first)
        else:
            first = self._played[0].observation
        self._key = key
        self.plan = replace(self.plan, key=key._replace(number=number + 1))
        return first

    def step(self, action: Any, step: Step) -> Came:
        """Take a step, or return what it brought when it was taken.

        Raises:
            Stopped: If no steps are left.
            RunError: If the environment fails.
        """
        self._step += 1
        if not self.live:
            return self._played[self._step]
        self._refuse_beyond(1)
        seen, reward, terminated, truncated, info = self._doing(f"step {self._step}", lambda: step(action))
        truncated = truncated or (self._step == self._limit and not terminated)
        success = bool(info["is_success"]) if info.get("is_success") is not None else None
        came = Came(seen, np.asarray(action, np.float32), reward, terminated, truncated, success)
        self.log.add(came)
        return came

    def taken(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return what is done (1, a) in the step to come: of an episode that is over, what was done then."""
        if self.live or self._step + 1 >= len(self._played):
            return actions
        action = self._played[self._step + 1].action
        assert action is not None
        return action[None]

    def _upcoming(self, key: Key) -> Upcoming:
        assert self.plan is not None
        place = key.number + 1, self.plan.of
        return Upcoming(
            self.name, key.policy, key.purpose, key.shots, *place, self.log.steps, self.target.max_steps
        )

    def _refuse_beyond(self, steps: int) -> None:
        most, taken = self.target.max_steps, self.log.steps
        if most is not None and taken + steps > most:
            longest = f", and an episode may take {steps}" if steps > 1 else ""
            raise Stopped(
                f"max_steps is {most:,}, of which {taken:,} are taken{longest}; with more it goes on"
            )

    def _doing(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # whatever a robot's software does
            raise RunError(
                f"targets.{self.name}: {self.target.env} failed in {what}: {type(error).__name__}: {error}; "
                f"finished episodes are in {self.log.path}, and the same command goes on after them"
            ) from error
