"""MCAP, as ROS 2 records bags: a topic with the joints' states, and one with what is asked of them.

States are `sensor_msgs/msg/JointState`; commands are that too, or `trajectory_msgs/msg/JointTrajectory` of
one point. Both keep their own stamps: a row is when either came.
"""

from pathlib import Path
from typing import Any

import numpy as np

from randomizers.words import did_you_mean, listing
from sim2real.logs.log import Floats, Log, LogError, tidy
from sim2real.logs.matching import Reading

_STATE, _TRAJECTORY = "sensor_msgs/msg/JointState", "trajectory_msgs/msg/JointTrajectory"
_COMMANDING = ("command", "cmd", "target", "goal", "desired", "reference", "action")
Stamped = dict[int, dict[str, float]]
"""Numbers by joint, by time [ns]."""


def read_mcap(path: Path, reading: Reading) -> list[Log]:
    """Read one motion.

    Raises:
        LogError: If topics are missing or several could be meant, or the extra is not installed.
    """
    try:
        from mcap.exceptions import McapError
        from mcap.reader import make_reader
        from mcap_ros2.decoder import DecoderFactory
    except ImportError:
        raise LogError(f"{path}: MCAP needs mcap-ros2-support: pip install 'sim2real[mcap]'") from None
    try:
        with path.open("rb") as file:
            reader = make_reader(file, decoder_factories=[DecoderFactory()])
            chosen = _choose(path, reader.get_summary(), reading)
            found: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in chosen.values()}
            for _, channel, message, decoded in reader.iter_decoded_messages(topics=list(found)):
                found[channel.topic].append((_stamp(decoded) or message.log_time, decoded))
    except (McapError, OSError) as error:
        raise LogError(f"{path}: {error or type(error).__name__}") from None
    states, asked = found[chosen["state"]], found[chosen["command"]]
    position = {when: dict(zip(told.name, told.position, strict=False)) for when, told in states}
    velocity = {when: dict(zip(told.name, told.velocity, strict=False)) for when, told in states}
    command = {when: _asked(path, told) for when, told in asked}
    return [_log(path, position, velocity, command)]


def _log(path: Path, position: Stamped, velocity: Stamped, command: Stamped) -> Log:
    named = [
        list(dict.fromkeys(name for row in side.values() for name in row)) for side in (position, command)
    ]
    joints = tuple(name for name in named[0] if name in named[1])
    if not joints:
        raise LogError(f"{path}: states are of {listing(named[0])}, but commands of {listing(named[1])}")
    stamps = sorted(position.keys() | command.keys())
    where, asked = (_table(side, stamps, joints) for side in (position, command))
    speeds = _table(velocity, stamps, joints) if any(velocity.values()) else None
    time = (np.array(stamps) - stamps[0]) * 1e-9
    return tidy(Log(path.stem, str(path), time, joints, where, asked, speeds))


def _table(side: Stamped, stamps: list[int], joints: tuple[str, ...]) -> Floats:
    nothing: dict[str, float] = {}
    return np.array([[side.get(when, nothing).get(joint, np.nan) for joint in joints] for when in stamps])


def _choose(path: Path, summary: Any, reading: Reading) -> dict[str, str]:
    """Return the topics of states and commands."""
    if summary is None:
        raise LogError(f"{path}: it has no summary; `mcap recover` makes one")
    kinds = {
        channel.topic: summary.schemas[channel.schema_id].name
        for channel in summary.channels.values()
        if channel.schema_id
    }
    able = {topic: kind for topic, kind in kinds.items() if kind in (_STATE, _TRAJECTORY)}
    commanding = [topic for topic in able if any(word in topic.lower() for word in _COMMANDING)]
    guesses = {
        "state": [topic for topic, kind in able.items() if kind == _STATE and topic not in commanding],
        "command": [topic for topic in able if topic in commanding or able[topic] == _TRAJECTORY],
    }
    chosen: dict[str, str] = {}
    for what, guess in guesses.items():
        named = reading.topics.get(what)
        if named is not None and named not in able:
            raise LogError(
                f"{path}: no topic '{named}' of joint states or trajectories{did_you_mean(named, able)}"
            )
        if named is None and len(guess) != 1:
            raise LogError(
                f"{path}: {'several topics' if guess else 'no topic'} could be the {what}; say which with "
                f"--topic {what}=TOPIC; there are: {listing(able) or 'none of joint states or trajectories'}"
            )
        chosen[what] = named or guess[0]
    return chosen


def _asked(path: Path, told: Any) -> dict[str, float]:
    if hasattr(told, "position"):
        return dict(zip(told.name, told.position, strict=False))
    if len(told.points) != 1:
        raise LogError(
            f"{path}: a trajectory of {len(told.points)} points is what a controller interpolates, not what "
            "it asks of the joints; log its reference"
        )
    return dict(zip(told.joint_names, told.points[0].positions, strict=False))


def _stamp(told: Any) -> int:
    """Return a message's own time [ns], 0 if it has none."""
    return told.header.stamp.sec * 10**9 + told.header.stamp.nanosec
