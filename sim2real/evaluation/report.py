"""One self-contained HTML file about a run."""

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from sim2real.evaluation.plots import training_plot, transfer_plot
from sim2real.inspection import parameter_rows
from sim2real.runs import Run, write_atomically
from sim2real.session import reload

_LARGEST_VIDEO = 4_000_000
"""A longer video stays beside the report rather than in it [bytes]."""


def write_report(run: Run) -> Path:
    """Write `report.html` of an evaluated run.

    Raises:
        RunError: If it has not been evaluated.
    """
    result, bundle = run.results(), reload(run)
    shots = _shots(result)
    context = {
        "title": f"Transfer of {bundle.spec.about}",
        "meta": run.meta(),
        "result": result,
        "headline": headline(result),
        "shots": shots,
        "robots": robot_lines(result),
        "rows": [_row(name, entry, result, shots) for name, entry in _entries(result).items()],
        "has_baseline": "baseline" in result["policies"],
        "has_success": result["nominal"]["shots"]["0"]["success_rate"] is not None,
        "failures": sum(s["failed_episodes"] for e in _entries(result).values() for s in e["shots"].values()),
        "plots": {"transfer": _png(transfer_plot(result)), "training": _png(training_plot(run))},
        "unstable": _unstable(run),
        "parameters": parameter_rows(bundle),
        "spec": bundle.spec.text,
        **_video(run),
    }
    template = files("sim2real.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    path = run.path / "report.html"
    write_atomically(path, environment.from_string(template).render(context).encode())
    return path


def headline(result: dict[str, Any]) -> str:
    """Say in one or two sentences what the evaluation found."""
    nominal = result["nominal"]["shots"]["0"]["iqm"]
    targets = {name: entry for name, entry in result["targets"].items() if "0" in entry["shots"]}
    robots = "".join(f" {line}" for line in robot_lines(result))
    if not targets:
        return f"Return is {nominal:.0f} on nominal dynamics.{robots}"
    worst = min(targets, key=lambda name: targets[name]["shots"]["0"]["iqm"])
    zero = targets[worst]["shots"]["0"]
    change = "falls to" if zero["iqm"] < nominal else "is"
    how = "untrained" if result["settings"].get("finetune") == "scratch" else "zero-shot"
    text = (
        f"Return is {nominal:.0f} on nominal dynamics and, {how}, {change} {zero['iqm']:.0f} "
        f"on the hardest of {len(targets)} targets ({worst})."
    )
    best_k = max(targets[worst]["shots"], key=int)
    if best_k != "0":
        few = targets[worst]["shots"][best_k]
        low, high = few["ci95"]
        plural = "s" if best_k != "1" else ""
        text += f" After {best_k} episode{plural} there it is {few['iqm']:.0f} [{low:.0f}, {high:.0f}]."
        if "retention" in few:
            before = result["source"]["shots"]["0"]["iqm"]
            text += f" On the source it is then {few['retention']['iqm']:.0f}, before {before:.0f}."
    baseline = result["policies"].get("baseline")
    if baseline and worst in baseline:
        text += f" Without randomization in training it would be {baseline[worst]['iqm']:.0f} zero-shot."
    if result.get("estimator_r2"):
        each = ", ".join(f"{name} {value:.2f}" for name, value in result["estimator_r2"].items())
        text += f" On the source its estimator explains (R²): {each}."
    return text + robots


def robot_lines(result: dict[str, Any]) -> list[str]:
    """Say of each environment of its own how many steps were taken, and why it was stopped if it was."""
    lines: list[str] = []
    for name, entry in result["targets"].items():
        if (own := entry.get("external")) is None:
            continue
        steps, limit = own["steps"], f" of at most {own['max_steps']:,}" if own["max_steps"] else ""
        text = (
            f"On {name} ({own['env']}) {steps['total']:,} steps{limit} were taken: {steps['evaluation']:,} "
            f"in {own['episodes']['evaluation']} evaluation episodes, {steps['adaptation']:,} in "
            f"{own['episodes']['adaptation']} of adaptation, {steps['unfinished']:,} in unfinished ones."
        )
        lines.append(text + (f" Stopped before all was done: {own['stopped']}." if own["stopped"] else ""))
    return lines


def table(result: dict[str, Any]) -> str:
    """Return the results as a Markdown table, for terminals and READMEs."""
    shots = _shots(result)
    baseline = "baseline" in result["policies"]
    head = ["dynamics", "distance", "random", *(["no randomization"] if baseline else [])]
    head += ["zero-shot" if k == "0" else f"{k}-shot" for k in shots]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, entry in _entries(result).items():
        row = _row(name, entry, result, shots)
        cells = [f"{c['iqm']} {c['ci']}" if c else "" for c in row["cells"]]
        own = [row["random"], *([row["baseline"]] if baseline else [])]
        label = f"{name} ({row['given']})" if row["given"] else name
        lines.append([label, row["distance"], *own, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _entries(result: dict[str, Any]) -> dict[str, Any]:
    """Return all places with a row: nominal and source, of a set those of members too, and the targets."""
    found = {"nominal": result["nominal"], "source": result["source"]}
    for name, member in result.get("members", {}).items():
        found |= {f"{name}/{place}": member[place] for place in ("nominal", "source")}
    return found | result["targets"]


def _shots(result: dict[str, Any]) -> list[str]:
    return sorted({k for entry in _entries(result).values() for k in entry["shots"]}, key=int)


def _row(name: str, entry: dict[str, Any], result: dict[str, Any], shots: list[str]) -> dict[str, Any]:
    others = {who: f"{by[name]['iqm']:.5g}" for who, by in result["policies"].items() if name in by}
    last = entry["shots"][max(entry["shots"], key=int)] if entry["shots"] else _NOTHING
    first = entry["shots"][min(entry["shots"], key=int)] if entry["shots"] else _NOTHING
    return {
        "name": name,
        "reference": "values" not in entry,
        "given": entry.get("text", ""),
        "distance": f"{entry['distance']:.2f}" if "distance" in entry else "",
        "random": others.get("random", ""),
        "baseline": others.get("baseline", ""),
        "cells": [_cell(entry["shots"][k]) if k in entry["shots"] else None for k in shots],
        "worst": "" if first is _NOTHING else f"{first['worst_decile']:.5g}",
        "success": "" if last["success_rate"] is None else f"{100 * last['success_rate']:.0f} %",
        "used": str(last["target_steps_used"]) if "values" in entry else "",
    }


_NOTHING: dict[str, Any] = {"success_rate": None, "target_steps_used": 0}
"""Of a robot on which nothing was finished."""


def _cell(shot: dict[str, Any]) -> dict[str, str]:
    low, high = shot["ci95"]
    return {"iqm": f"{shot['iqm']:.5g}", "ci": f"[{low:.4g}, {high:.4g}]"}


def _png(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _unstable(run: Run) -> list[dict[str, Any]]:
    path = run.path / "failures.json"
    return json.loads(path.read_text()) if path.exists() else []


def _video(run: Run) -> dict[str, Any]:
    videos = sorted((run.path / "videos").glob("*.mp4"))
    if not videos or videos[0].stat().st_size > _LARGEST_VIDEO:
        return {"video": None, "video_target": ""}
    return {"video": _png(videos[0].read_bytes()), "video_target": videos[0].stem}
