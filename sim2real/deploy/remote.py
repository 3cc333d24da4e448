"""A robot in another process or on another machine: requests and answers, a line of JSON each, over TCP."""

import json
import socket
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class RemoteRobot:
    """A robot at an address, as `Loop` drives it; `sim2real.simulated_robot` is one to talk to.

    When it connects, the robot says what it is. Then each line from here, `{"do": "reset", "seed": 0}`,
    `{"do": "observe"}`, `{"do": "step", "action": [...]}` or `{"do": "stop"}`, is answered by one with
    `observation`, `sequence`, `time`, `reward`, `terminated`, `truncated` and, where it knows, `is_success`.

    Args:
        host: Its name or address.
        port: Its port.
        timeout: Time a connection may take [s].

    Attributes:
        description: What it is, as `contract.difference` takes it.

    Raises:
        OSError: If nobody answers there.
    """

    def __init__(self, host: str, port: int, timeout: float = 5.0) -> None:
        self._address, self._timeout = (host, port), timeout
        self._socket, self._lines, self.description = self._connect()

    def _connect(self) -> tuple[socket.socket, Any, dict[str, Any]]:
        made = socket.create_connection(self._address, self._timeout)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = made.makefile("r", encoding="utf-8")
        hello = _read(lines)
        made.settimeout(None)  # how long an answer may take is the loop's to say
        return made, lines, hello

    def _ask(self, **request: Any) -> dict[str, Any]:
        self._socket.sendall(_line(request))
        return _read(self._lines)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Bring it to where motions begin; a simulated one takes `Faults` for options."""
        return _seen(self._ask(do="reset", seed=seed, options=options))

    def observe(self) -> tuple[Floats, dict[str, Any]]:
        """Return the newest observation (o,), and `info`: `sequence`, `time` [s] and all else it says."""
        return _seen(self._ask(do="observe"))

    def step(self, action: Any) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Send an action (a,), which holds until the next one, and return the newest observation at once."""
        answer = self._ask(do="step", action=np.asarray(action, float).tolist())
        ends = bool(answer["terminated"]), bool(answer["truncated"])
        observation, info = _seen(answer)
        return observation, float(answer["reward"]), *ends, info

    def stop(self) -> None:
        """Let it hold where it is: by a connection of its own, because the other may be stuck."""
        made, lines, _ = self._connect()
        with made, lines:
            made.settimeout(self._timeout)
            made.sendall(_line({"do": "stop"}))
            _read(lines)

    def close(self) -> None:
        """Close the connection, upon which the robot holds where it is."""
        with suppress(OSError):
            self._socket.shutdown(
                socket.SHUT_RDWR
            )  # a call that still waits for an answer holds what follows
        self._lines.close()
        self._socket.close()


def _line(message: dict[str, Any]) -> bytes:
    return (json.dumps(message) + "\n").encode()


def _read(lines: Any) -> dict[str, Any]:
    line = lines.readline()
    if not line.endswith("\n"):
        raise ConnectionError("the robot has closed the connection")
    answer = json.loads(line)
    if "error" in answer:
        raise ConnectionError(f"the robot refuses: {answer['error']}")
    return answer


def _seen(answer: dict[str, Any]) -> tuple[Floats, dict[str, Any]]:
    info = {key: value for key, value in answer.items() if key != "observation"}
    return np.array(answer["observation"], float), info
