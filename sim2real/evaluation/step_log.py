"""Every step taken on a robot, as rows of a CSV file: what is counted, and what need not be done again.

A row is written as soon as its step is done, and rows are only ever added. A row cut short by a crash is
dropped when the file is opened again; an episode that has no end counts its steps and is of no other use.
"""

import csv
import fcntl
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from sim2real.envs.external import Came
from sim2real.runs import RunError

_KEYS = ("episode", "work", "policy", "purpose", "shots", "number", "step", "time")
_ENDS = ("reward", "terminated", "truncated", "success")


class Key(NamedTuple):
    """What an episode is for.

    Attributes:
        work: Digest of all that decides what its policy does.
        policy: `policy`, or `baseline`.
        purpose: `evaluation` or `adaptation`.
        shots: Episodes that the policy had adapted on; of an adaptation 0.
        number: Of the episode among those of its kind, from 0.
    """

    work: str
    policy: str
    purpose: str
    shots: int
    number: int


@dataclass
class _Open:
    key: Key
    came: list[Came] = field(default_factory=list[Came])


class StepLog:
    """The log of one target; one process at a time holds it.

    Args:
        path: The file.
        observations: The policy's space of observations.
        actions: The number of an action's values.

    Attributes:
        done: Episodes that came to their end: the reset, then every step.
        taken: Steps by purpose; those of episodes without an end are `unfinished`.

    Raises:
        RunError: If it is of another environment, another process holds it, or it cannot be read.
    """

    def __init__(self, path: Path, observations: gym.Space[Any], actions: int) -> None:
        self.path, self._space = path, observations
        self._seen = _columns(observations)
        acted = [f"action[{i}]" for i in range(actions)]
        self._head = [*_KEYS, *self._seen, *acted, *_ENDS]
        self.done: dict[Key, list[Came]] = {}
        self.taken: Counter[str] = Counter()
        self._episode, self._now = 0, _Open(Key("", "", "", 0, 0))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+", newline="", encoding="utf-8")
        try:
            self._hold()
            self._read()
        except BaseException:
            self._file.close()
            raise

    @property
    def steps(self) -> int:
        """All steps ever taken there."""
        return sum(self.taken.values())

    def begin(self, key: Key, observation: Any) -> None:
        """Write down that an episode began."""
        self._episode += 1
        self._now = _Open(key)
        self._add(Came(observation))

    def add(self, came: Came) -> None:
        """Write down a step."""
        self._add(came)
        self.taken["unfinished"] += 1
        if came.terminated or came.truncated:
            os.fsync(self._file.fileno())
            self._finish()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _add(self, came: Came) -> None:
        key, step = self._now.key, len(self._now.came)
        first = came.action is None
        acted = [""] * (len(self._head) - len(_KEYS) - len(self._seen) - len(_ENDS))
        acted = acted if came.action is None else [repr(float(x)) for x in came.action]
        seen = [repr(x) for x in _flat(self._space, came.observation)]
        ends = [""] * 4 if first else [
            repr(came.reward), str(int(came.terminated)), str(int(came.truncated)),
            "" if came.success is None else str(int(came.success)),
        ]  # fmt: skip
        row = [str(self._episode), *map(str, key), str(step), f"{time.time():.6f}", *seen, *acted, *ends]
        self._file.write(",".join(row) + "\n")
        self._file.flush()
        self._now.came.append(came)

    def _finish(self) -> None:
        key, steps = self._now.key, len(self._now.came) - 1
        self.taken["unfinished"] -= steps
        self.taken[key.purpose] += steps
        self.done[key] = self._now.came
        self._now = _Open(key)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{self.path}: another process is on this target") from None

    def _read(self) -> None:
        """Read what there is, and drop a last row that was cut short."""
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind("\n") + 1]
        if len(whole) < len(text):
            self._file.truncate(len(whole.encode()))
        rows = list(csv.reader(whole.splitlines()))
        if not rows:
            self._file.write(",".join(self._head) + "\n")
            self._file.flush()
            return
        if rows[0] != self._head:
            raise RunError(f"{self.path}: is the log of an environment with other observations or actions; "
                           "move it away to begin another")  # fmt: skip
        for number, row in enumerate(rows[1:], 2):
            try:
                self._take(row)
            except (ValueError, IndexError) as error:
                raise RunError(f"{self.path}:{number}: cannot be read ({error})") from None

    def _take(self, row: Sequence[str]) -> None:
        if len(row) != len(self._head):
            raise ValueError(f"has {len(row)} values, of {len(self._head)}")
        episode, work, policy, purpose, shots, number, step = row[:7]
        if step == "0":
            self._episode = int(episode)
            self._now = _Open(Key(work, policy, purpose, int(shots), int(number)))
        numbers = len(_KEYS) + len(self._seen)
        observation = self._observation([float(x) for x in row[len(_KEYS) : numbers]])
        if step == "0":
            self._now.came.append(Came(observation))
            return
        reward, terminated, truncated, success = row[-4:]
        action = np.array([float(x) for x in row[numbers:-4]], np.float32)
        ends = terminated == "1", truncated == "1"
        came = Came(observation, action, float(reward), *ends, success == "1" if success else None)
        self._now.came.append(came)
        self.taken["unfinished"] += 1
        if any(ends):
            self._finish()

    def _observation(self, numbers: list[float]) -> Any:
        if not isinstance(self._space, gym.spaces.Dict):
            return _shaped(self._space, numbers)
        found, at = {}, 0
        for key, own in self._space.items():
            size = gym.spaces.flatdim(own)
            found[key] = _shaped(own, numbers[at : at + size])
            at += size
        return found


def _shaped(space: Any, numbers: list[float]) -> NDArray[Any]:
    return np.array(numbers).astype(space.dtype).reshape(space.shape)


def _columns(space: gym.Space[Any]) -> list[str]:
    if isinstance(space, gym.spaces.Dict):
        return [f"{key}[{i}]" for key, own in space.items() for i in range(gym.spaces.flatdim(own))]
    return [f"observation[{i}]" for i in range(gym.spaces.flatdim(space))]


def _flat(space: gym.Space[Any], observation: Any) -> list[float]:
    parts = [observation[key] for key in space] if isinstance(space, gym.spaces.Dict) else [observation]
    return np.concatenate([np.ravel(part) for part in parts]).astype(float).tolist()
