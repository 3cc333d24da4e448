"""What a policy file says of itself: the robot it is for and what it is fed, as JSON in its metadata."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

KEY = "sim2real.contract"
"""Name of the contract in an ONNX file's metadata."""
FORMAT = "sim2real-policy-1"
"""Version of the contract; a file of another one is refused."""
_CLOSE = 1e-6


class ContractError(ValueError):
    """A policy file that cannot be used, or not with this robot; the message says why."""


@dataclass(frozen=True)
class Joint:
    """A joint of the robot.

    Attributes:
        name: Its name.
        unit: `rad` or `m`.
        low: Lower end of its range [unit], or None.
        high: Upper end.
    """

    name: str
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Entry:
    """One number of an observation.

    Attributes:
        name: Its name, `obs[3]` if the task does not say.
        unit: Its SI unit, `""` if the task does not say.
        field: What it is: `qpos` or `qvel` of a joint, another field of the task, or `""`.
        joint: Whose, or None.
    """

    name: str
    unit: str = ""
    field: str = ""
    joint: str | None = None


@dataclass(frozen=True)
class Action:
    """One number of an action.

    Attributes:
        name: Of the actuator, or `action[3]`.
        low: Least value.
        high: Largest value.
        kind: `position` of a servo's joint, or `control` of anything else.
        unit: Of a position; `""` otherwise.
        joint: Whose position, or None.
        gear: The action for a position of 1.
        rate: Fastest change that it was trained with [its unit/s], which a robot must not exceed; None if it
            had no limit.
    """

    name: str
    low: float
    high: float
    kind: str = "control"
    unit: str = ""
    joint: str | None = None
    gear: float = 1.0
    rate: float | None = None


@dataclass(frozen=True)
class History:
    """The input `history`: the last pairs of an observation and the action that answered it, oldest first.

    The action of a pair is in [-1, 1] over its limits; pairs that there have not been are zero.

    Attributes:
        pairs: How many.
        observation: How many numbers of the observation are remembered, from the first one on.
    """

    pairs: int
    observation: int


@dataclass(frozen=True)
class Memory:
    """The inputs `hidden` and `recall`, and the output `next_hidden`, of a policy with a memory.

    What is recalled is the last action in [-1, 1] over its limits, its reward, and 0; at first, and after a
    new start, hidden state and what is recalled are `first` and `recalled`.

    Attributes:
        units: Numbers of the hidden state.
        reward: Whether the policy looks at the reward, so that the robot must tell one.
        first: The hidden state to begin with (units,).
        recalled: What is recalled to begin with (action + 2,).
    """

    units: int
    reward: bool
    first: tuple[float, ...]
    recalled: tuple[float, ...]


@dataclass(frozen=True)
class Latency:
    """How long the policy took, measured at export on one thread.

    Attributes:
        median: [s].
        p99: 99th percentile [s].
        runs: How often it was measured.
        processor: Where.
    """

    median: float
    p99: float
    runs: int
    processor: str


@dataclass(frozen=True)
class Contract:
    """What a policy file promises and demands; scaling is in the graph, which takes and gives these units.

    Attributes:
        algorithm: That trained it.
        env: The task.
        steps: Environment steps it was trained for.
        spec_sha256: Of the spec it was trained by.
        period: Control period [s].
        joints: Of the robot, in the model's order.
        observation: What the input `observation` consists of.
        action: What the output `action` consists of.
        history: What the input `history` is, or None if there is none.
        memory: What the inputs `hidden` and `recall` are, or None.
        latency: Of one inference, or None if it was not measured.
    """

    algorithm: str
    env: str
    steps: int
    spec_sha256: str
    period: float
    joints: tuple[Joint, ...]
    observation: tuple[Entry, ...]
    action: tuple[Action, ...]
    history: History | None = None
    memory: Memory | None = None
    latency: Latency | None = None

    def positions(self) -> dict[str, tuple[int, int]]:
        """Return the joints whose position is both measured and asked for: columns of observation, action."""
        measured = {entry.joint: i for i, entry in enumerate(self.observation) if entry.field == "qpos"}
        asked = {one.joint: i for i, one in enumerate(self.action) if one.kind == "position"}
        return {
            joint: (column, asked[joint])
            for joint, column in measured.items()
            if joint is not None and joint in asked
        }


def to_json(contract: Contract) -> str:
    """Write a contract."""
    return json.dumps({"format": FORMAT, **asdict(contract)}, indent=1)


def from_json(text: str, source: str) -> Contract:
    """Read a contract.

    Raises:
        ContractError: If it is none, or of another version; `source` is named.
    """
    try:
        data = json.loads(text)
        if data.pop("format") != FORMAT:
            raise ContractError(f"{source}: its contract is of another version than {FORMAT}")
        parts: dict[str, Any] = {
            key: tuple(made(**own) for own in data.pop(key)) for key, made in _MANY.items()
        }
        for key, made in _ONE.items():
            own = data.pop(key)
            parts[key] = made(**{name: _frozen(value) for name, value in own.items()}) if own else None
        return Contract(**data, **parts)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ContractError(f"{source}: its contract cannot be read ({error})") from None


_MANY: dict[str, Any] = {"joints": Joint, "observation": Entry, "action": Action}
_ONE: dict[str, Any] = {"history": History, "memory": Memory, "latency": Latency}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def difference(ours: Contract, robot: Mapping[str, Any]) -> str:
    """Return the first thing in which a robot is not what a contract is for, in a line; `""` if it fits.

    A robot may take more positions than the policy asks for, but must take all of those; controls, whose size
    may be relative to their limits, must have the same ones.

    Args:
        ours: The policy's.
        robot: Any of `joints` and `actions` (names in order), `ranges` (of joints), `low` and `high` (of
            actions), `period` [s] and `observation` (its size), as far as they are known.
    """
    names = {"joints": [joint.name for joint in ours.joints], "actions": [one.name for one in ours.action]}
    for key, own in names.items():
        if key in robot and (there := list(robot[key])) != own:
            return _names(key, own, there)
    numbers = {
        "observation": len(ours.observation),
        "period": ours.period,
        "low": [one.low for one in ours.action],
        "high": [one.high for one in ours.action],
        "ranges": [[joint.low, joint.high] for joint in ours.joints],
    }
    robot = {**robot, **{key: _used(ours.action, key, robot[key]) for key in ("low", "high") if key in robot}}
    for key, own in numbers.items():
        if key in robot and not _close(own, robot[key]):
            return f"{_CALLED[key]} of the policy: {_shown(own)}, of the robot: {_shown(robot[key])}"
    return ""


def _used(actions: Sequence[Action], end: str, there: Sequence[float]) -> list[float]:
    """Return a robot's limits of actions; of positions no wider than are asked for."""
    if len(there) != len(actions):
        return list(there)
    nearer = max if end == "low" else min
    return [
        nearer(float(x), getattr(one, end)) if one.kind == "position" else float(x)
        for one, x in zip(actions, there, strict=True)
    ]


_CALLED = {
    "observation": "numbers of an observation",
    "period": "control period [s]",
    "low": "lower limits of actions",
    "high": "upper limits of actions",
    "ranges": "ranges of joints",
}


def _names(key: str, own: Sequence[str], there: Sequence[str]) -> str:
    if sorted(own) == sorted(there):
        return (
            f"the {key} are in another order: the policy's {', '.join(own)}; the robot's {', '.join(there)}"
        )
    missing = [name for name in own if name not in there]
    other = [name for name in there if name not in own]
    parts = [f"the robot has no {', '.join(missing)}"] if missing else []
    parts += [f"the policy knows no {', '.join(other)}"] if other else []
    return f"the {key} differ: {'; '.join(parts) or 'some are there more than once'}"


def _close(own: Any, there: Any) -> bool:
    if isinstance(own, list):
        there = list(there)
        return len(own) == len(there) and all(_close(a, b) for a, b in zip(own, there, strict=True))
    if own is None or there is None:
        return own is there
    return abs(own - there) <= _CLOSE * max(1.0, abs(own))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_shown(one) for one in value)}]"
    return "none" if value is None else f"{value:.6g}"


def describe(contract: Contract) -> str:
    """Return a contract in a few lines."""
    past = f", a history of {contract.history.pairs} pairs" if contract.history else ""
    past += f", a memory of {contract.memory.units} units" if contract.memory else ""
    lines = [
        f"{contract.algorithm} on {contract.env}, {contract.steps:,} steps, spec {contract.spec_sha256[:12]}",
        f"sees    {len(contract.observation)} numbers{past}",
        f"acts    {', '.join(one.name for one in contract.action)}, every {contract.period:g} s",
    ]
    if contract.latency is not None:
        own = contract.latency
        took = f"median {1e6 * own.median:.0f} µs, 99th percentile {1e6 * own.p99:.0f} µs"
        lines.append(f"takes   {took} of {own.runs} runs ({own.processor})")
    return "\n".join(lines)
