"""A robot that is simulated in real time, in a process of its own: what a loop is tried on before a real one.

`python -m sim2real.simulated_robot SPEC` listens for `sim2real.deploy.remote.RemoteRobot`, and can be told to
misbehave. It does what a robot's own firmware should: when it is told to stop, when nobody talks to it any
more, or when commands stop coming, it holds where it is.
"""

import argparse
import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.envs.domains import fixed
from sim2real.envs.fit import fit
from sim2real.envs.registry import TIME_LIMIT, is_native, make_task, nominal_model
from sim2real.envs.single import TaskEnv
from sim2real.envs.vector import TaskVectorEnv
from sim2real.replay import robot_of
from sim2real.replay.run import chosen
from sim2real.spec import Catalog, load

Floats = NDArray[np.float64]
_FOREVER = 10**9
_LAG = 1.0
"""Time by which the simulation may fall behind the clock before it gives up catching up [s]."""


@dataclass(frozen=True)
class Faults:
    """How it misbehaves.

    Attributes:
        after: Commands after which it begins to.
        delay: Time by which answers come late [s].
        drop: Share of observations that get lost: the last one is shown again.
        hang: Whether it answers no more.
    """

    after: int = 0
    delay: float = 0.0
    drop: float = 0.0
    hang: bool = False


class Arm:
    """One world that moves on by itself, and holds a command until the next.

    Args:
        spec: Of a native task.
        domain: A target of the spec, or `nominal`.
        seed: Of its starting states.

    Attributes:
        period: Control period [s].
        sequence: Number of the observation that is shown.
        held: Why it holds where it is, or `""`.

    Raises:
        ValueError: If there is no such domain, or the task is not native.
    """

    def __init__(self, spec: Path, domain: str = "nominal", seed: int = 0) -> None:
        part, place = chosen(load(spec, Catalog(nominal_model, fit=fit)), domain)
        if not is_native(part.spec.env):
            raise ValueError(f"{spec}: only native tasks can be simulated as robots, not {part.spec.env}")
        task = make_task(part.spec.env, {**part.spec.env_options, TIME_LIMIT: _FOREVER})
        program = part.program.rebound(task.compile())
        self.vector = TaskVectorEnv(task, 1, program, fixed(place.v), seed, 1, False)
        self.env, self.period, self._robot = TaskEnv(self.vector), self.vector.period, robot_of(program.model)
        self._low, self._high = (getattr(self.env.action_space, end).astype(float) for end in ("low", "high"))
        self.sequence, self.time, self.held = 0, 0.0, ""
        self.reset(None)

    def reset(self, seed: int | None) -> None:
        """Begin anew, and hold."""
        self.shown = _flat(self.env.reset(seed=seed)[0])
        self.reward, self.terminated, self.truncated = 0.0, False, False
        self.success: bool | None = None
        self.command, self.held = self._measured(), ""
        self.sequence += 1

    def advance(self, lost: bool) -> None:
        """Simulate a control period; what is observed after it may get lost."""
        self.time += self.period
        if self.terminated or self.truncated:
            return
        seen, reward, self.terminated, self.truncated, info = self.env.step(self.command)
        if not lost:
            self.success = info.get("is_success")
            self.shown, self.reward, self.sequence = _flat(seen), float(reward), self.sequence + 1

    def hold(self, why: str) -> None:
        """Stay where it is."""
        if not self.held:
            self.command, self.held = self._measured(), why

    def _measured(self) -> NDArray[np.float32]:
        """Return the action that holds every servo where it is, and is 0 for what is none."""
        robot, held = self._robot, np.zeros(len(self._low))
        servo = robot.servo >= 0
        if self.vector.program.model.nu == len(held):
            position = self.vector.worlds.bind("qpos")[0][robot.qpos[servo]]
            held[robot.servo[servo]] = robot.gear[servo] * position
        return np.clip(held, self._low, self._high).astype(np.float32)

    @property
    def description(self) -> dict[str, Any]:
        """What it is, as `sim2real.deploy.contract.difference` takes it."""
        joints = self._robot.joints
        ends = [[float(x) if np.isfinite(x) else None for x in own] for own in (joints.low, joints.high)]
        return {
            "joints": list(joints.names),
            "ranges": [list(pair) for pair in zip(*ends, strict=True)],
            "period": self.period,
            "observation": len(self.shown),
            "low": self._low.tolist(),
            "high": self._high.tolist(),
        }


@dataclass
class _Line:
    """A connection, and what has been read of its next request."""

    peer: socket.socket
    read: bytes = b""
    drives: bool = False
    late: deque[tuple[float, bytes]] = field(default_factory=deque[tuple[float, bytes]])


class Server:
    """Serves an arm on a port of this machine.

    Args:
        arm: The arm.
        faults: How it misbehaves.
        port: The port; any free one if 0.
        patience: Time without a command after which it holds [s].
        seed: Of what gets lost.
    """

    def __init__(self, arm: Arm, faults: Faults, port: int = 0, patience: float = 1.0, seed: int = 0) -> None:
        self.arm, self.faults, self._usual, self._patience = arm, faults, faults, patience
        self._random, self._commands = np.random.default_rng(seed), 0
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", port))
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._lines: dict[socket.socket, _Line] = {}
        self._heard: float | None = None
        self.port = int(self._listening.getsockname()[1])

    def serve(self) -> None:
        """Serve until the process is ended."""
        tell(event="listening", port=self.port)
        due = time.perf_counter() + self.arm.period
        while True:
            for key, _ in self._selector.select(max(0.0, self._next(due) - time.perf_counter())):
                self._accept() if key.fileobj is self._listening else self._read(self._lines[key.fileobj])  # type: ignore[index]
            now = time.perf_counter()
            self._answer_late(now)
            if now >= due:
                self._advance(now)
                due = due + self.arm.period if now - due < _LAG else now + self.arm.period

    @property
    def _faulty(self) -> bool:
        return self._commands >= self.faults.after

    def _next(self, due: float) -> float:
        return min([due, *(line.late[0][0] for line in self._lines.values() if line.late)])

    def _advance(self, now: float) -> None:
        if self._heard is not None and now - self._heard > self._patience:
            self._hold("no command")
        self.arm.advance(self._faulty and self._random.random() < self.faults.drop)

    def _hold(self, why: str) -> None:
        self._heard = None
        if not self.arm.held:
            self.arm.hold(why)
            tell(event="held", why=why, commands=self._commands)

    def _accept(self) -> None:
        peer, _ = self._listening.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines[peer] = _Line(peer)
        self._selector.register(peer, selectors.EVENT_READ)
        peer.sendall(_encoded(self.arm.description))

    def _read(self, line: _Line) -> None:
        try:
            got = line.peer.recv(65536)
        except OSError:
            got = b""
        if not got:
            self._drop(line)
            return
        *requests, line.read = (line.read + got).split(b"\n")
        for request in requests:
            self._answer(line, json.loads(request))

    def _drop(self, line: _Line) -> None:
        self._selector.unregister(line.peer)
        line.peer.close()
        del self._lines[line.peer]
        if line.drives:
            self._hold("disconnected")

    def _answer(self, line: _Line, request: dict[str, Any]) -> None:
        answer = _encoded(self._done(line, request))
        if request["do"] in ("stop", "reset") or not self._faulty:
            self._send(line, answer)
        elif not self.faults.hang:
            line.late.append((time.perf_counter() + self.faults.delay, answer))

    def _done(self, line: _Line, request: dict[str, Any]) -> dict[str, Any]:
        arm, what = self.arm, request["do"]
        if what == "stop":
            self._hold("stop")
        elif what == "reset":
            arm.reset(request.get("seed"))
            line.drives, self._heard, self._commands = True, None, 0
            self.faults = Faults(**options) if (options := request.get("options")) else self._usual
        elif what == "step":
            if arm.held:
                return {"error": f"it holds ({arm.held}) until it is reset"}
            arm.command = np.asarray(request["action"], np.float32)
            self._commands, self._heard = self._commands + 1, time.perf_counter()
        ends = {"reward": arm.reward, "terminated": arm.terminated, "truncated": arm.truncated}
        ends |= {"is_success": arm.success} if arm.success is not None else {}
        return {"observation": arm.shown.tolist(), "sequence": arm.sequence, "time": arm.time, **ends}

    def _answer_late(self, now: float) -> None:
        for line in list(self._lines.values()):
            while line.late and line.late[0][0] <= now:
                self._send(line, line.late.popleft()[1])

    def _send(self, line: _Line, answer: bytes) -> None:
        try:
            line.peer.sendall(answer)
        except OSError:
            line.late.clear()  # it is gone, as the next read will tell


def tell(**event: Any) -> None:
    """Print an event as a line of JSON."""
    print(json.dumps(event), flush=True)


def _encoded(message: dict[str, Any]) -> bytes:
    return (json.dumps(message) + "\n").encode()


def _flat(observation: Any) -> Floats:
    parts = observation.values() if isinstance(observation, dict) else [observation]
    return np.concatenate([np.asarray(part, float).ravel() for part in parts])


def main(words: list[str] | None = None) -> None:
    """Simulate a robot until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sim2real.simulated_robot", description=__doc__)
    parser.add_argument("spec", type=Path, help="a spec of a native task")
    parser.add_argument("--domain", default="nominal", help="a target of the spec [nominal]")
    parser.add_argument("--port", type=int, default=0, help="[any free one]")
    parser.add_argument("--seed", type=int, default=0, help="of what gets lost")
    parser.add_argument(
        "--patience", type=float, default=1.0, help="holds after so long without a command [s]"
    )
    parser.add_argument("--after", type=int, default=0, help="commands after which it misbehaves")
    parser.add_argument("--delay", type=float, default=0.0, help="answers come so late [s]")
    parser.add_argument("--drop", type=float, default=0.0, help="share of observations that get lost")
    parser.add_argument("--hang", action="store_true", help="answers no more")
    told = parser.parse_args(words)
    faults = Faults(told.after, told.delay, told.drop, told.hang)
    try:
        Server(Arm(told.spec, told.domain, told.seed), faults, told.port, told.patience, told.seed).serve()
    except (ValueError, OSError) as error:
        sys.exit(f"sim2real: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
