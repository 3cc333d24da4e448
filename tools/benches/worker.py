"""A peer as a process of its own, kept alive between rounds."""

import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benches import venv

SCRIPTS = Path(__file__).resolve().parent / "peers"
PATIENCE = 180.0
"""Longest time [s] that a peer may take for anything it is asked."""
# What the harness sets for itself; peers get the defaults of their libraries.
_OURS = ("OMP_NUM_THREADS", "PYTHONPATH", "VIRTUAL_ENV", "MUJOCO_GL")


class PeerError(Exception):
    """A peer that cannot take part; the message says why."""


class Peer:
    """One worker script in the peers' environment.

    Args:
        group: What it needs installed.
        script: Its file in `benches/peers`.
        options: What it is told, as plain values.

    Attributes:
        about: Its `setting` and `versions`.

    Raises:
        PeerError: If it is not installed or does not start.
    """

    def __init__(self, group: str, script: str, **options: Any) -> None:
        reason = venv.missing(group)
        if reason:
            raise PeerError(reason)
        environment = {key: value for key, value in os.environ.items() if key not in _OURS}
        self._process = subprocess.Popen(
            [str(venv.PYTHON), str(SCRIPTS / script), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, bufsize=1, env=environment, cwd=venv.ROOT,
        )  # fmt: skip
        try:
            self.about = self._hear()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def measure(self, window: float) -> float:
        """Let it work for at least `window` seconds, and return the cost [s] of one unit of work.

        Raises:
            PeerError: If it fails or ends.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"window": window}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError("it ended unasked") from None
        return float(self._hear()["cost"])

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> dict[str, Any]:
        stream, deadline = self._process.stdout, time.monotonic() + PATIENCE
        assert stream is not None
        # It says one line for each it is told, so there is never a second one waiting in the buffer.
        if not select.select([stream], [], [], deadline - time.monotonic())[0]:
            raise PeerError(f"no answer in {PATIENCE:g} s")
        line = stream.readline()
        if not line:
            raise PeerError(f"it ended unasked (exit {self._process.wait()})")
        message = json.loads(line)
        if "error" in message:
            raise PeerError(message["error"])
        return message
