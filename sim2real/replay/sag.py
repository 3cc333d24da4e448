"""Which way joints give way to gravity: the one sign that positions and commands alone do not show."""

from collections.abc import Iterator

import mujoco
import numpy as np

from sim2real.logs import Finding, Log
from sim2real.replay.robot import Robot

_LOAD, _GAP = 0.2, np.radians(0.3)
"""Mean load [N m] of a joint, and mean distance from its commands [rad], that are enough to tell."""
_LOOKS = 200
"""Rows in which the load is worked out."""


def sags(model: mujoco.MjModel, robot: Robot, log: Log) -> Iterator[Finding]:
    """Find joints that stand above their commands on the mean, though gravity pulls them down.

    A servo holds a load by standing off its command: for a position servo the two have the sign of the load.
    A joint that counts the other way round in positions and commands alike has the wrong one; so has one
    whose zero is off by more than it sags, so that this is never sure.
    """
    seen = np.flatnonzero(log.seen)
    chosen = seen[np.linspace(0, len(seen) - 1, min(_LOOKS, len(seen))).astype(int)]
    rows, data = robot.rows(log.joints), mujoco.MjData(model)
    load = np.zeros((len(chosen), len(rows)))
    for i, row in enumerate(chosen):
        data.qpos[robot.qpos[rows]] = log.position[row]
        mujoco.mj_forward(model, data)
        load[i] = (data.qfrc_bias - data.qfrc_passive)[robot.dof[rows]]
    for i, name in enumerate(log.joints):
        pulled, gap = float(load[:, i].mean()), float((log.command - log.position)[seen, i].mean())
        if robot.joints.hinge[rows[i]] and abs(pulled) > _LOAD and abs(gap) > _GAP and pulled * gap < 0:
            yield Finding(
                "reversed",
                f"{log.name}: {name}",
                f"on the mean it stands {np.degrees(abs(gap)):.2g}° from its command against gravity, "
                f"which pulls with {abs(pulled):.2g} N m",
                "possible",
                f"its zero is off, or it counts the other way round (--reverse {name})",
            )
