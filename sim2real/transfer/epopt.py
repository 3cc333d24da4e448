"""EPOpt: learn from the worst episodes only, a conditional value at risk over the source."""

import math
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from sim2real.agents import Observation, Transitions
from sim2real.transfer.curriculum import Curriculum, CurriculumSettings, Ended, Floats

Rows = NDArray[np.float32]


class EPOptSettings(CurriculumSettings):
    """Learning from each batch's worst episodes (EPOpt, Rajeswaran et al. 2017): CVaR over the source."""

    type: Literal["epopt"] = "epopt"
    epsilon: float = Field(
        0.1, gt=0, le=1, description="share of the episodes, the worst, that is learned from"
    )
    batch: PositiveInt = Field(100, description="finished episodes of which the worst are chosen")
    warmup_steps: int = Field(
        100_000, ge=0, description="environment steps with epsilon 1 before: without, the learner starves"
    )


class EPOpt(Curriculum):
    """Domains stay uniform; only the worst ceil(epsilon N) of every N finished episodes are learned from.

    That is algorithm 1 of Rajeswaran et al., arXiv 1610.01283, for a learner with a replay: a transition is
    held back until its episode has ended and has been compared with the others of its batch. The learner is
    still told of every step as it is taken, so that its updates fall due as without the filter: a step that
    brings nothing to learn from comes as one of a failed simulation would, counted but not remembered, and
    each step of a world carries at most one held transition of that world. A world can thus be paid out
    no slower than it is filled. Episodes that began before `warmup_steps` go through as they run.
    """

    settings: EPOptSettings

    def __init__(self, settings: EPOptSettings, nominal: Floats) -> None:
        super().__init__(settings, nominal)
        self._steps = self._end = 0
        self._tape: deque[Rows] = deque()
        self._begun: NDArray[np.int64] = np.zeros(0, np.int64)
        self._batch: list[tuple[int, int, int, float]] = []
        self._due: dict[int, deque[list[int]]] = {}
        self._cvar = self._percentile = float("nan")

    def sift(self, step: Transitions, ended: Ended) -> Transitions:
        """Return the step with, in each world, the next transition that is to be learned from, if any."""
        if len(self._begun) == 0:
            self._begun = np.full(len(step.valid), -1)
        began = self._end if self._steps >= self.settings.warmup_steps else -1
        self._begun = np.where(step.started, began, self._begun)
        self._steps += int(step.valid.sum())
        straight = self._begun < 0
        if straight.all():
            return step
        rows = _pack(step)
        self._tape.append(rows)
        self._end += 1
        for world, reward in zip(ended.worlds.tolist(), ended.reward.tolist(), strict=True):
            if not straight[world]:
                self._finished(world, reward)
        paid, rows = self._pay_out(rows.copy(), step.valid)
        self._forget()
        return _unpack(rows, step, failed=np.where(straight, step.failed, ~paid))

    def _finished(self, world: int, reward: float) -> None:
        """Add an episode to the batch; when it is full, let the worst go on to the learner."""
        self._batch.append((world, int(self._begun[world]), self._end, reward))
        if len(self._batch) < self.settings.batch:
            return
        kept = worst([episode[3] for episode in self._batch], self.settings.epsilon)
        for index in kept:
            world, begin, end, _ = self._batch[index]
            self._due.setdefault(world, deque()).append([begin, end])
        chosen = [self._batch[index][3] for index in kept]
        self._cvar, self._percentile = float(np.mean(chosen)), max(chosen)
        self._batch.clear()

    def _pay_out(self, rows: Rows, valid: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Rows]:
        """Put the next due transition of each world into `rows`; return where one was (n,), and `rows`."""
        paid = np.zeros(len(rows), np.bool_)
        first = self._end - len(self._tape)
        for world in [w for w in self._due if valid[w]]:
            span = self._due[world][0]
            rows[world] = self._tape[span[0] - first][world]
            paid[world] = True
            span[0] += 1
            if span[0] == span[1]:
                self._due[world].popleft()
            if not self._due[world]:
                del self._due[world]
        return paid, rows

    def _forget(self) -> None:
        """Drop what no running, compared or due episode needs any more."""
        needed = [int(begun) for begun in self._begun[self._begun >= 0]]
        needed += [episode[1] for episode in self._batch] + [spans[0][0] for spans in self._due.values()]
        for _ in range(min(needed, default=self._end) - (self._end - len(self._tape))):
            self._tape.popleft()

    def metrics(self) -> dict[str, float]:
        """Return the present epsilon, and of the last batch the mean and the greatest return learned from."""
        epsilon = self.settings.epsilon if self._steps >= self.settings.warmup_steps else 1.0
        curves = {"epsilon": epsilon, "cvar": self._cvar, "percentile": self._percentile}
        return {**super().metrics(), **curves}

    def state_dict(self) -> dict[str, Any]:
        """Return what is held back, and why."""
        return {
            **super().state_dict(),
            "steps": self._steps,
            "end": self._end,
            "tape": np.stack(self._tape) if self._tape else None,
            "begun": self._begun.copy(),
            "batch": [list(episode) for episode in self._batch],
            "due": [[world, [list(span) for span in spans]] for world, spans in self._due.items()],
            "last": [self._cvar, self._percentile],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self._steps, self._end = state["steps"], state["end"]
        self._tape = deque(row.copy() for row in state["tape"]) if state["tape"] is not None else deque()
        self._begun = state["begun"].copy()
        self._batch = [(world, begin, end, reward) for world, begin, end, reward in state["batch"]]
        self._due = {world: deque(list(span) for span in spans) for world, spans in state["due"]}
        self._cvar, self._percentile = state["last"]


def worst(returns: list[float], epsilon: float) -> list[int]:
    """Return the indices, ascending, of the ceil(epsilon N) smallest of N returns; of equals, the earlier."""
    # As the fraction it was written as: in binary, 0.1 of 30 would be a little more than 3.
    count = math.ceil(Fraction(str(epsilon)) * len(returns))
    return sorted(np.argsort(returns, kind="stable")[:count].tolist())


def _parts(obs: Observation) -> dict[str, NDArray[Any]]:
    return obs if isinstance(obs, dict) else {"": obs}


def _pack(step: Transitions) -> Rows:
    """Return a step as float32 (n, columns), which is what a replay keeps of it."""
    numbers = [step.reward, step.terminated, step.truncated, step.started]
    columns = [*_parts(step.obs).values(), *_parts(step.next_obs).values(), step.action]
    columns += [column[:, None] for column in numbers]
    return np.concatenate([np.asarray(column, np.float32) for column in columns], axis=1)


def _unpack(rows: Rows, like: Transitions, failed: NDArray[np.bool_]) -> Transitions:
    """Return packed rows in the form of another step, with its `valid` and the given `failed`."""
    first, second = _parts(like.obs), _parts(like.next_obs)
    widths = [part.shape[1] for part in (*first.values(), *second.values(), like.action)]
    pieces = np.split(rows, np.cumsum([*widths, 1, 1, 1]), axis=1)
    obs = dict(zip(first, pieces, strict=False))
    next_obs = dict(zip(second, pieces[len(first) :], strict=False))
    action, reward, terminated, truncated, started = pieces[len(first) + len(second) :]
    return Transitions(
        obs=obs if isinstance(like.obs, dict) else obs[""],
        action=action,
        reward=reward[:, 0].astype(np.float64),
        next_obs=next_obs if isinstance(like.next_obs, dict) else next_obs[""],
        terminated=terminated[:, 0] == 1.0,
        truncated=truncated[:, 0] == 1.0,
        started=started[:, 0] == 1.0,
        valid=like.valid,
        failed=failed,
    )
