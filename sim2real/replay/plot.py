"""Measured and simulated joints over time, a row of pictures for each motion."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sim2real.replay.compare import Replay
from sim2real.runs import RunError, write_atomically

_COLOURS = {"command": "#9aa3af", "measured": "#1f6feb", "simulated": "#d1763b"}
_LEAST = 3.0
"""Least height of a picture [deg] or [mm]."""


def plot(result: Replay, path: Path) -> None:
    """Write a sheet of all joints of all motions, as PNG.

    Raises:
        RunError: If the file's kind is another.
    """
    if path.suffix != ".png":
        raise RunError(f"{path}: a plot is a .png")
    joints = list(result.by_joint())
    figure = Figure(figsize=(3.2 * len(joints), 1.1 + 1.7 * len(result.motions)), layout="constrained")
    grid = figure.subplots(len(result.motions), len(joints), squeeze=False, sharex="row")
    for axes, (name, motion) in zip(grid, result.motions.items(), strict=True):
        time, scale = motion.log.time - motion.log.time[0], np.where(motion.hinge, np.degrees(1.0), 1000.0)
        lines = {
            "command": motion.log.command,
            "measured": motion.log.position,
            "simulated": motion.simulated,
        }
        errors = motion.rmse(motion.simulated)
        for column, joint in enumerate(joints):
            own = axes[column]
            if joint not in motion.log.joints:
                own.set_axis_off()
                continue
            i = motion.log.joints.index(joint)
            seen = motion.log.seen
            for what, values in lines.items():
                own.plot(time[seen], scale[i] * values[seen, i], color=_COLOURS[what], lw=0.8, label=what)
            low, high = own.get_ylim()
            if high - low < _LEAST:  # or an encoder's counts look like motion
                own.set_ylim((low + high - _LEAST) / 2, (low + high + _LEAST) / 2)
            unit = "°" if motion.hinge[i] else " mm"
            own.set_title(f"{joint}: {errors[i]:.2f}{unit}", fontsize=8, pad=3)
            own.tick_params(labelsize=7)
        axes[0].set_ylabel(name, fontsize=8)
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel("time [s]; angles [deg], RMSE above each picture", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
