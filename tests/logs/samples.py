"""Small logs, written in each format as robots' own tools write them."""

import json
from dataclasses import replace

import numpy as np

from sim2real.logs import Joints, Log

NAMES = ("pan", "lift", "jaw")
JOINTS = Joints(NAMES, np.array([-2.0, -1.5, -0.2]), np.array([2.0, 1.0, 1.8]), np.array([True, True, True]))


def motion(n=200, period=0.02, lag=3, **changes):
    """Joints that follow their commands a few rows late, within the ranges of `JOINTS`."""
    time = period * np.arange(n)
    command = 0.4 * np.sin(2 * np.pi * np.outer(time, [0.5, 0.7, 0.9])) + [0.0, -0.2, 0.8]
    position = command[np.maximum(np.arange(n) - lag, 0)]
    velocity = np.gradient(position, time, axis=0)
    return replace(Log("motion", "motion", time, NAMES, position, command, velocity), **changes)


def with_column(log, kind, joint, change):
    array = getattr(log, kind).copy()
    array[:, log.joints.index(joint)] = change(array[:, log.joints.index(joint)])
    return replace(log, **{kind: array})


def lerobot(folder, logs, names=tuple(f"{name}.pos" for name in NAMES), per_file=1):
    """A dataset in LeRobot's layout v3: `per_file` episodes in each parquet file."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    feature = {"dtype": "float32", "shape": [len(NAMES)], "names": names and list(names)}
    info = {
        "codebase_version": "v3.0",
        "total_episodes": len(logs),
        "fps": 50,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "features": {"observation.state": feature, "action": feature},
    }
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(info))
    vector = arrow.list_(arrow.float32(), len(NAMES))
    for first in range(0, len(logs), per_file):
        part = list(enumerate(logs))[first : first + per_file]
        table = arrow.table(
            {
                "observation.state": arrow.array(
                    [row for _, x in part for row in x.position.tolist()], vector
                ),
                "action": arrow.array([row for _, x in part for row in x.command.tolist()], vector),
                "timestamp": arrow.array([t for _, x in part for t in x.time], arrow.float32()),
                "episode_index": arrow.array([e for e, x in part for _ in x.time], arrow.int64()),
            }
        )
        parquet.write_table(table, folder / f"data/chunk-000/file-{first // per_file:03d}.parquet")
    return folder


HEADER = "std_msgs/Header header\n"
STAMP = """
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
STATE = HEADER + "string[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort" + STAMP
TRAJECTORY = (
    HEADER
    + "string[] joint_names\ntrajectory_msgs/JointTrajectoryPoint[] points"
    + STAMP
    + """================================================================================
MSG: trajectory_msgs/JointTrajectoryPoint
float64[] positions
float64[] velocities
float64[] accelerations
float64[] effort
builtin_interfaces/Duration time_from_start
================================================================================
MSG: builtin_interfaces/Duration
int32 sec
uint32 nanosec
"""
)


def mcap(path, log, commands="/joint_commands", trajectory=False, after=0.005, points=1, others=()):
    """A ROS 2 bag in which each command comes `after` [s] the state of its row."""
    from mcap_ros2.writer import Writer

    with path.open("wb") as file:
        writer = Writer(file)
        state = writer.register_msgdef("sensor_msgs/msg/JointState", STATE)
        asked = writer.register_msgdef("trajectory_msgs/msg/JointTrajectory", TRAJECTORY)
        for i, t in enumerate(log.time):
            names, where = list(log.joints), log.position[i].tolist()
            told = {"name": names, "position": where, "velocity": log.velocity[i].tolist(), "effort": []}
            for topic in ("/joint_states", *others):
                _write(writer, topic, state, told, t)
            told = {"name": names, "position": log.command[i].tolist(), "velocity": [], "effort": []}
            if trajectory:
                point = {"positions": log.command[i].tolist(), "velocities": [], "accelerations": []}
                point |= {"effort": [], "time_from_start": {"sec": 0, "nanosec": 0}}
                told = {"joint_names": names, "points": [point] * points}
            _write(writer, commands, asked if trajectory else state, told, t + after)
        writer.finish()
    return path


def _write(writer, topic, schema, told, time):
    when = round((time + 1e9) * 1e9)
    header = {"stamp": {"sec": when // 10**9, "nanosec": when % 10**9}, "frame_id": ""}
    # The recorder is late; what counts is when the message says it was made.
    writer.write_message(topic, schema, {"header": header, **told}, when + 3_000_000, when)
