"""Calls that may never return, given so long and no longer."""

import queue
import threading
from collections.abc import Callable
from typing import Any


class HungError(Exception):
    """A call has not returned in time; the message says which."""


class Watchdog:
    """Calls functions in a thread of its own, and gives them up when they take too long.

    A thread that hangs is left behind: nothing can end it, but whoever waits goes on.

    Args:
        seconds: Time that a call may take [s].
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._calls: queue.SimpleQueue[Any] | None = None

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what a function returns, and raise what it raises.

        Raises:
            HungError: If it does not return in time.
        """
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), daemon=True).start()
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._calls.put((answer, function, arguments, named))
        try:
            value, error = answer.get(timeout=self.seconds)
        except queue.Empty:
            self._calls.put(None)  # if it ever comes back, it is to end
            self._calls = None
            name = getattr(function, "__name__", "a call")
            raise HungError(f"{name} has not returned after {self.seconds:g} s") from None
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """End the thread."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None


def _serve(calls: "queue.SimpleQueue[Any]") -> None:
    while (asked := calls.get()) is not None:
        answer, function, arguments, named = asked
        try:
            answer.put((function(*arguments, **named), None))
        except BaseException as error:
            answer.put((None, error))
