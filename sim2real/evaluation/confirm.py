"""Who says whether a robot may begin an episode: a person at the terminal, nobody, or a function of yours."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from sim2real.envs.registry import load_class
from sim2real.progress import Progress
from sim2real.runs import RunError


@dataclass(frozen=True)
class Upcoming:
    """An episode that is about to begin.

    Attributes:
        target: Name of the target.
        policy: `policy`, or `baseline`.
        purpose: `evaluation` or `adaptation`.
        shots: Episodes that the policy has adapted on.
        number: Of the episode among those of its kind, from 1.
        of: How many of its kind there are to be.
        steps: Steps taken on the target until now.
        max_steps: Most that may ever be taken, or None.
    """

    target: str
    policy: str
    purpose: str
    shots: int
    number: int
    of: int
    steps: int
    max_steps: int | None

    def __str__(self) -> str:
        """Return it as a line."""
        who = "" if self.policy == "policy" else f" of the {self.policy}"
        after = f" after {self.shots} shots" if self.purpose == "evaluation" else ""
        limit = f" of {self.max_steps:,}" if self.max_steps is not None else ""
        return (
            f"{self.target}: {self.purpose}{who}{after}, episode {self.number} of {self.of}; "
            f"{self.steps:,}{limit} steps taken"
        )


Confirm = Callable[[Upcoming], bool]
"""Returns whether an episode may begin."""


def confirm_by(name: str, progress: Progress) -> Confirm:
    """Return who is asked: `ask`, `never`, or `module:function`."""
    if name == "never":
        return lambda _: True
    return Person(progress) if name == "ask" else load_class(name, "function")


def refuse_without_terminal(target: str, name: str) -> None:
    """Refuse to ask a person where none can answer.

    Raises:
        RunError: Saying what to do.
    """
    if name == "ask" and not sys.stdin.isatty():
        raise RunError(
            f"targets.{target} asks before every episode (confirm: ask), and nobody can answer here: run "
            "this in a terminal, or give --yes to confirm all episodes beforehand"
        )


class Person:
    """Asks at the terminal: yes, all from now on, or no.

    Args:
        progress: What steps aside for the question.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._all = progress, False

    def __call__(self, upcoming: Upcoming) -> bool:
        """Return the answer; the end of the input is a no."""
        if self._all:
            return True
        with self._progress.paused():
            while True:
                print(f"{upcoming}\nbegin it? [y]es, [a]ll, [n]o: ", end="", file=sys.stderr, flush=True)
                line = sys.stdin.readline()
                answer = line.strip().lower() if line else "n"
                if answer in ("y", "yes", "a", "all", "n", "no"):
                    self._all = answer.startswith("a")
                    return not answer.startswith("n")
