"""The loop: observe, act, and wait for the next deadline, until it ends in a safe stop, whatever happens."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.deploy.contract import ContractError, difference
from sim2real.deploy.guard import Guard
from sim2real.deploy.policy import Policy
from sim2real.deploy.recorder import Recorder
from sim2real.deploy.report import Reason, Report, Spread
from sim2real.deploy.watchdog import HungError, Watchdog

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Safety:
    """What a robot is allowed.

    Attributes:
        rate: Fastest change of an action [its unit/s], for each or for all; None for no limit.
        low: Least actions, beside the contract's limits.
        high: Largest actions.
        watchdog: Time a call of the robot may take [s]; five periods, but 0.1 s at least, by default.
        reset: Time its reset may take [s].
        stale: Periods in a row without a new observation after which it ends.
        late: Deadlines missed in a row after which it ends.
    """

    rate: float | Sequence[float] | None = None
    low: float | Sequence[float] | None = None
    high: float | Sequence[float] | None = None
    watchdog: float | None = None
    reset: float = 30.0
    stale: int = 5
    late: int = 10


class _End(Exception):
    """The motion ends."""

    def __init__(self, reason: Reason, says: str) -> None:
        super().__init__(says)
        self.reason: Reason = reason


class Loop:
    """One motion of a robot by a policy.

    A robot is anything with Gymnasium's `reset` and `step`. It may have more: `observe() -> (observation,
    info)`, which is then asked at the beginning of each period, so that actions are of what is seen now;
    `stop()`, which is its own safe stop; and `description`, a dictionary as `contract.difference` takes it.
    An observation's `info` may hold `sequence` or `timestamp`, which change with each new one; without them
    one that is exactly the last one counts as old.

    The safe stop is the robot's own if it has one, and else an action that holds every servo where it was
    last measured, and is 0 for what is no position. While observations are old the last action is repeated.

    Args:
        policy: What acts.
        robot: What moves.
        safety: What it is allowed.
        log: A new CSV file, or None.

    Raises:
        ContractError: If the robot is not what the policy is for.
    """

    def __init__(
        self, policy: Policy, robot: Any, safety: Safety | None = None, log: str | Path | None = None
    ) -> None:
        self.policy, self.robot, self.safety = policy, robot, safety or Safety()
        self.period = policy.contract.period
        if why := difference(policy.contract, _described(robot)):
            raise ContractError(f"the policy does not fit this robot: {why}")
        self._guard = Guard(policy.contract, self.safety.rate, self.safety.low, self.safety.high)
        patience = self.safety.watchdog
        self._watchdog = Watchdog(max(5 * self.period, 0.1) if patience is None else patience)
        self._log = None if log is None else Path(log)
        self._asked = threading.Event()
        self._signal = 0

    def stop(self) -> None:
        """Ask the loop to end, from another thread."""
        self._asked.set()

    def run(self, steps: int, seed: int | None = None) -> Report:
        """Move for so many steps, or until something ends it, and stop safely.

        Args:
            steps: Actions to send.
            seed: What the robot's `reset` is given.
        """
        self._times: list[float] = []
        self._took: list[float] = []
        self._misses = self._stale = self._old = self._behind = 0
        self._command: Floats | None = None
        self._recalled = np.zeros(0)
        self._seen: Floats | None = None
        self._start = time.perf_counter()
        reason: Reason = "done"
        says = f"all {steps} steps were taken"
        with Recorder(self._log, self.policy.contract) as self._recorder, self._signals():
            try:
                self._begin(seed)
                self._move(steps)
            except _End as end:
                reason, says = end.reason, str(end)
            except HungError as error:
                reason, says = "hung", str(error)
            except BaseException as error:
                reason, says = "failed", f"{type(error).__name__}: {error}"
            stopped, how = self._safely()
        self._watchdog.close()
        return self._report(reason, says, stopped, how)

    def _begin(self, seed: int | None) -> None:
        self.policy.reset()
        patient = Watchdog(self.safety.reset)
        self._observation, self._info = patient.call(self.robot.reset, seed=seed)
        patient.close()
        self._key: Any = None
        self._look()
        self._key = None  # the first period may act on the same
        self._command = self._holding()
        self._start = time.perf_counter()

    def _move(self, steps: int) -> None:
        observes, tick = hasattr(self.robot, "observe"), 0
        for _ in range(steps):
            self._wait(self._start + tick * self.period)
            self._times.append(time.perf_counter())
            if observes:
                self._observation, self._info = self._watchdog.call(self.robot.observe)
            if fresh := self._look():
                self._act()
            self._send(fresh)
            tick = self._next(tick)

    def _wait(self, deadline: float) -> None:
        left = deadline - time.perf_counter()
        if self._asked.wait(left) if left > 0 else self._asked.is_set():
            name = signal.Signals(self._signal).name if self._signal else "stop()"
            raise _End("interrupted", f"asked to by {name}")

    def _look(self) -> bool:
        """Take in the observation, and return whether it is new."""
        flat = self.policy.flatten(self._observation)
        key = self._info.get("sequence", self._info.get("timestamp", flat.tobytes()))
        new, self._key = key != self._key, key
        self._old = 0 if new else self._old + 1
        self._stale += not new
        if self._old > self.safety.stale:
            raise _End("stale", f"no new observation for {self._old} periods")
        if not np.isfinite(flat).all():
            entry = self.policy.contract.observation[int(np.argmin(np.isfinite(flat)))]
            raise _End("not finite", f"observed {entry.name}")
        self._seen = flat
        return new

    def _act(self) -> None:
        assert self._seen is not None
        start = time.perf_counter()
        asked = self.policy.act(self._seen)
        self._took.append(time.perf_counter() - start)
        if not np.isfinite(asked).all():
            one = self.policy.contract.action[int(np.argmin(np.isfinite(asked)))]
            raise _End("not finite", f"the policy's action for {one.name}")
        self._command, self._recalled = self._guard(asked, self._command)

    def _send(self, fresh: bool) -> None:
        """Log the command, send it, and remember it if the policy has just chosen it."""
        assert self._command is not None
        self._recorder.row(self._times[-1] - self._start, self._command, self._seen if fresh else None)
        answer = self._watchdog.call(self.robot.step, self._command.astype(np.float32))
        self._observation, reward, terminated, truncated, self._info = answer
        if fresh:
            self.policy.done(self._recalled, self._reward(reward))
        if terminated or truncated:
            raise _End("terminated" if terminated else "truncated", "the robot says so")

    def _reward(self, reward: Any) -> float:
        memory = self.policy.contract.memory
        if memory is None or not memory.reward:
            return 0.0
        if reward is None or not np.isfinite(reward):
            raise _End("not finite", "the reward, which this policy looks at")
        return float(reward)

    def _next(self, tick: int) -> int:
        """Return the next period; those that have passed altogether are left out."""
        passed = time.perf_counter() - self._start
        missed = passed > (tick + 1) * self.period
        self._misses += missed
        self._behind = self._behind + 1 if missed else 0
        if self._behind > self.safety.late:
            raise _End("late", f"{self._behind} deadlines missed one after the other")
        return max(tick + 1, int(passed / self.period))

    def _holding(self) -> Floats | None:
        """Return the action that holds servos where they were last measured; None where none were."""
        contract = self.policy.contract
        if self._seen is None:
            return None
        held = np.clip(0.0, self._guard.low, self._guard.high)
        for joint, (column, action) in contract.positions().items():
            del joint
            held[action] = contract.action[action].gear * self._seen[column]
        return held

    def _safely(self) -> tuple[bool, str]:
        """Stop the robot, and return whether it took it, and how."""
        why: list[str] = []
        if hasattr(self.robot, "stop"):
            try:
                self._watchdog.call(self.robot.stop)
                return True, "the robot's own stop"
            except BaseException as error:
                why.append(f"its own stop failed ({type(error).__name__}: {error})")
        held = self._holding()
        if held is None:
            return False, "; ".join([*why, "it was never observed, and was sent nothing"])
        try:
            self._watchdog.call(self.robot.step, held.astype(np.float32))
        except BaseException as error:
            why.append(f"it could not be told to hold ({type(error).__name__}: {error})")
            return False, "; ".join(why)
        with suppress(OSError):  # a full disk may be why it ends
            self._recorder.row(time.perf_counter() - self._start, held, None)
        return True, "; ".join([*why, "told to hold where it was last measured"])

    def _report(self, reason: Reason, says: str, stopped: bool, how: str) -> Report:
        jitter = Spread.of(np.abs(np.diff(self._times) - self.period).tolist())
        seconds = self._times[-1] - self._times[0] if self._times else 0.0
        return Report(
            reason, says, stopped, how, len(self._times), seconds, self.period, jitter,
            Spread.of(self._took), self._misses, self._stale, self._guard.changed["limits"],
            self._guard.changed["rate"], self._log,
        )  # fmt: skip

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the motion, and nothing else, inside the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: Any) -> None:
            del frame
            self._signal = number
            self._asked.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _described(robot: Any) -> dict[str, Any]:
    """Return what a robot says of itself, as `difference` takes it."""
    space = getattr(robot, "action_space", None)
    limits = {end: np.ravel(getattr(space, end)).tolist() for end in ("low", "high") if hasattr(space, end)}
    return {**limits, **(getattr(robot, "description", None) or {})}


def run(
    policy: str | Path | Policy,
    robot: Any,
    seconds: float,
    log: str | Path | None = None,
    safety: Safety | None = None,
    seed: int | None = None,
) -> Report:
    """Move a robot by a policy for so long [s]; see `Loop`.

    Raises:
        ContractError: If the file is no policy, or the robot is not what it is for.
    """
    made = policy if isinstance(policy, Policy) else Policy(policy)
    return Loop(made, robot, safety, log).run(max(1, round(seconds / made.contract.period)), seed)
