"""The report's pictures."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.runs import Run, Track

_COLOURS = {"policy": "#1f6feb", "baseline": "#d1763b", "random": "#9aa3af"}
_LABELS = {"policy": "randomized", "baseline": "no randomization", "random": "random"}


def transfer_plot(result: dict[str, Any]) -> bytes:
    """Draw return by dynamics, zero-shot, and by number of target episodes; a PNG."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _fall_off(left, result)
    _recovery(right, result)
    return _png(figure)


def _fall_off(axes: Axes, result: dict[str, Any]) -> None:
    own = {name: result[name]["shots"]["0"] for name in ("nominal", "source")}
    own |= {name: entry["shots"].get("0") for name, entry in result["targets"].items()}
    own = {name: shot for name, shot in own.items() if shot}
    policies = {"policy": own, **result["policies"]}
    width = 0.8 / len(policies)
    places = np.arange(len(own))
    for number, (who, by) in enumerate(policies.items()):
        missing = {"iqm": np.nan, "ci95": (np.nan, np.nan)}  # only the policy itself is run on a robot
        middle = np.array([by.get(name, missing)["iqm"] for name in own])
        ends = np.array([by.get(name, missing)["ci95"] for name in own])
        reach = np.clip(np.stack([middle - ends[:, 0], ends[:, 1] - middle]), 0, None)
        at = places + (number - (len(policies) - 1) / 2) * width
        axes.bar(at, middle, width, yerr=reach, capsize=2, color=_COLOURS[who], label=_LABELS[who])
    axes.set_xticks(places, list(own), rotation=20, ha="right")
    axes.set(ylabel="return (IQM, 95 % interval)", title="Zero-shot")
    axes.axvline(1.5, color="#c5cad3", lw=1)
    axes.legend(frameon=False)


def _recovery(axes: Axes, result: dict[str, Any]) -> None:
    colours = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
    found = {name: entry for name, entry in result["targets"].items() if entry["shots"]}
    for number, (name, entry) in enumerate(found.items()):
        shots = sorted(entry["shots"], key=int)
        x = np.array([int(k) for k in shots])
        middle = [entry["shots"][k]["iqm"] for k in shots]
        ends = np.array([entry["shots"][k]["ci95"] for k in shots])
        colour = colours[number % len(colours)]
        axes.plot(x, middle, "o-", color=colour, label=name)
        axes.fill_between(x, ends[:, 0], ends[:, 1], color=colour, alpha=0.15, lw=0)
    nominal = result["nominal"]["shots"]["0"]["iqm"]
    axes.axhline(nominal, color="#5b6472", ls="--", lw=1, label="nominal, zero-shot")
    axes.set_xscale("symlog", linthresh=1)
    ticks = sorted({int(k) for entry in result["targets"].values() for k in entry["shots"]})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="target episodes adapted on", title="Few-shot")
    axes.legend(frameon=False, fontsize=8)


def training_plot(run: Run) -> bytes:
    """Draw return and entropy over environment steps, of the policy and the baseline; a PNG."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for who, track in (("policy", run.policy), ("baseline", run.baseline)):
        for axes, column in ((left, "return"), (right, "entropy")):
            steps, values = _curve(track, column)
            if len(steps):
                axes.plot(steps, values, color=_COLOURS[who], label=_LABELS[who])
    left.set(xlabel="environment steps", ylabel="return of training episodes")
    right.set(xlabel="environment steps", ylabel="policy entropy [nat]")
    for axes in (left, right):
        if axes.lines:
            axes.legend(frameon=False)
    return _png(figure)


def _curve(track: Track, column: str) -> tuple[Any, Any]:
    rows = [(float(row["step"]), float(row.get(column) or "nan")) for row in track.rows()]
    finite = np.array([row for row in rows if np.isfinite(row[1])]).reshape(-1, 2)
    return finite[:, 0], finite[:, 1]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
