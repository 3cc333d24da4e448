"""What a policy's robot is, from a spec's task or a model alone: joints, actions, entries, control period."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces

from sim2real.deploy.contract import Action, Entry, Joint
from sim2real.envs.foreign import find
from sim2real.envs.registry import is_native, make_task
from sim2real.envs.task import Shown, Task
from sim2real.replay import robot_of
from sim2real.runs import RunError
from sim2real.spec import Bundle


def joints_of(model: mujoco.MjModel) -> tuple[Joint, ...]:
    """Return the hinges and slides of a model, in its order."""
    joints = robot_of(model).joints
    return tuple(
        Joint(name, "rad" if hinge else "m", *(float(end) if np.isfinite(end) else None for end in ends))
        for name, hinge, *ends in zip(joints.names, joints.hinge, joints.low, joints.high, strict=True)
    )


def task_of(bundle: Bundle) -> Task | None:
    """Return a spec's native task; None for a foreign environment."""
    spec = bundle.spec
    return make_task(spec.env, spec.env_options) if is_native(spec.env) else None


def period_of(bundle: Bundle) -> float:
    """Return the control period [s] of a spec's nominal environment.

    Raises:
        RunError: If that does not say.
    """
    task = task_of(bundle)
    if task is not None:
        return task.frame_skip * float(bundle.program.model.opt.timestep)
    env = find(bundle.spec.env)(**bundle.spec.env_options)
    period = getattr(env.unwrapped, "dt", None)
    env.close()
    if period is None:
        raise RunError(f"{bundle.spec.env}: says no control period; give its class an attribute dt [s]")
    return float(period)


def actions_of(bundle: Bundle, space: spaces.Box) -> tuple[Action, ...]:
    """Return what the numbers of an action are: controls, where the task hands them on as they are."""
    model, task = bundle.program.model, task_of(bundle)
    ends = [(float(low), float(high)) for low, high in zip(space.low, space.high, strict=True)]
    if task is None or type(task).act is not Task.act or model.nu != len(ends):
        return tuple(Action(f"action[{i}]", *own) for i, own in enumerate(ends))
    rate = None if task.slew is None else task.slew / period_of(bundle)
    named = zip(actuators(model), ends, strict=True)
    return tuple(Action(name, *own, **more, rate=rate) for (name, more), own in named)


def actuators(model: mujoco.MjModel) -> list[tuple[str, dict[str, Any]]]:
    """Return the actuators' names, and for position servos what they hold."""
    robot, found = robot_of(model), []
    served = {int(actuator): joint for joint, actuator in enumerate(robot.servo) if actuator >= 0}
    for i in range(model.nu):
        more: dict[str, Any] = {}
        if (joint := served.get(i)) is not None:
            unit = "rad" if robot.joints.hinge[joint] else "m"
            more = {"kind": "position", "unit": unit, "gear": float(robot.gear[joint])}
            more["joint"] = robot.joints.names[joint]
        found.append((model.actuator(i).name or f"action[{i}]", more))
    return found


def entries_of(bundle: Bundle, size: int, goal: int) -> tuple[Entry, ...]:
    """Return what the numbers of an observation are, goals included.

    Args:
        bundle: The spec.
        size: How many there are.
        goal: How many of a goal.
    """
    task, plain = task_of(bundle), size - 2 * goal
    shows = task.shows if task is not None else ()
    found = [entry for own in shows for entry in _entries(bundle.program.model, own)]
    if len(found) != plain:
        found = [Entry(f"obs[{i}]") for i in range(plain)]
    goals = [
        Entry(f"{kind}[{i}]", "", kind) for kind in ("achieved_goal", "desired_goal") for i in range(goal)
    ]
    return (*found, *goals)


def _entries(model: mujoco.MjModel, shown: Shown) -> list[Entry]:
    if shown.field not in ("qpos", "qvel"):
        return [Entry(f"{shown.field}.{name}", shown.unit, shown.field) for name in shown.names]
    robot, size = robot_of(model), model.nq if shown.field == "qpos" else model.nv
    rows = robot.qpos if shown.field == "qpos" else robot.dof
    owner = {int(row): joint for joint, row in enumerate(rows)}
    found: list[Entry] = []
    for column in range(shown.first, size if shown.stop is None else shown.stop):
        if (joint := owner.get(column)) is None:
            found.append(Entry(f"{shown.field}[{column}]", "", shown.field))
            continue
        name, unit = robot.joints.names[joint], "rad" if robot.joints.hinge[joint] else "m"
        kind, per = ("position", "") if shown.field == "qpos" else ("velocity", "/s")
        found.append(Entry(f"{kind}.{name}", unit + per, shown.field, name))
    return found


def robot_at(path: Path, load: Any) -> dict[str, Any]:
    """Return what a robot is, as far as a file says: a spec, or a model (.xml), which has no control period.

    Args:
        path: The file.
        load: Returns the bundle of a spec's path.

    Raises:
        RunError: If it is no model; SpecError if no spec.
    """
    if path.suffix.lower() not in (".xml", ".mjcf", ".urdf"):
        bundle = load(path)
        return {**_of_model(bundle.program.model), "period": period_of(bundle)}
    try:
        return _of_model(mujoco.MjModel.from_xml_path(str(path)))
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None


def _of_model(model: mujoco.MjModel) -> dict[str, Any]:
    joints = joints_of(model)
    low, high = model.actuator_ctrlrange.T
    return {
        "joints": [joint.name for joint in joints],
        "ranges": [[joint.low, joint.high] for joint in joints],
        "actions": [name for name, _ in actuators(model)],
        "low": low.tolist(),
        "high": high.tolist(),
    }
