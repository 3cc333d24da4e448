"""The text of `sim2real inspect`."""

import numpy as np

from sim2real.inspection.corners import corners, describe_corners
from sim2real.inspection.effects import Effect, effects
from sim2real.inspection.stage import STEPS, Stage
from sim2real.inspection.tables import is_visual, parameter_rows
from sim2real.inspection.warnings import warnings
from sim2real.spec import Bundle, External

_HEAD = ["parameter", "nominal", "source", "unit", "when", "writes"]


def describe(bundle: Bundle) -> str:
    """Return parameters, effects, warnings, stability, targets and latency, for each member of a set."""
    if bundle.members:
        return "\n\n\n".join(_of_member(bundle, name) for name in bundle.members)
    program, spec = bundle.program, bundle.spec
    lines = [f"{spec.env}: {len(program.bound)} terms, {program.d} parameters", ""]
    lines += _columns(_HEAD, [list(row.values()) for row in parameter_rows(bundle)])
    found = effects(bundle)
    if found:
        lines += ["", f"effect of each term alone, over {STEPS} steps of the same random actions:"]
        lines += [_effect_line(name, ends) for name, ends in found.items()]
        lines += _tried_out(bundle)
    lines += ["", "targets:"] if spec.targets else []
    for name, target in bundle.targets.items():
        where = f"{target.distance:.2f} range widths outside" if target.held_out else "inside the source"
        lines.append(f"  {name}: {target.describe()} ({where})")
    lines += [f"  {name}: {_external(target)}" for name, target in spec.external.items()]
    return "\n".join([*lines, "", *_latency(bundle)])


def _external(target: External) -> str:
    asked = {"never": "nobody is asked", "ask": "asks before every episode"}
    who = asked.get(target.confirm, f"{target.confirm} is asked before every episode")
    most = f"at most {target.max_steps:,} steps" if target.max_steps is not None else "no limit of steps"
    return f"{target.env}, an environment of its own ({who}; {most}; spaces are compared at evaluation)"


def _of_member(bundle: Bundle, name: str) -> str:
    member = bundle.spec.envs[name]
    about = [f"task {member.task}", *([f"robot {member.robot}"] if member.robot else [])]
    about += ["held out"] if member.held_out else []
    return f"{name} ({', '.join(about)})\n{describe(bundle.members[name])}"


def _tried_out(bundle: Bundle) -> list[str]:
    stage = Stage(bundle)
    try:
        suspicious = list(warnings(stage, _period(stage)))
        physical = any(not is_visual(bound.term) for bound in bundle.program.bound)
        lines = ["", *describe_corners(corners(stage), bundle.program)] if physical else []
    finally:
        stage.close()
    lines += ["", "warnings:"] if suspicious else []
    return lines + [f"  {name} {message}" for name, message in suspicious]


def _period(stage: Stage) -> float:
    return float(stage.host.period)


def _latency(bundle: Bundle) -> list[str]:
    """Say how old the reason for a force can be: what is delayed, on both paths together."""
    program = bundle.program
    ends = np.array([[p.distribution.support[1] for p in program.parameters]])
    parts: list[str] = []
    for path in ("action", "observation"):
        both = (program.delay(path, ends), program.jitter(path, ends))
        delay, jitter = (float(longest[0]) if program.d else 0.0 for longest in both)
        parts += [f"{path} {1000 * delay:g} ms"] if delay else []
        parts += [f"{path} jitter {1000 * jitter:g} ms"] if jitter else []
    total = sum(program.longest_delay(path) for path in ("action", "observation"))
    how = f" ({' + '.join(parts)}), beside the control period" if parts else ""
    return [f"longest end-to-end latency: {1000 * total:g} ms{how}"]


def _columns(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def _effect_line(name: str, ends: tuple[Effect, Effect]) -> str:
    low, high = ends
    text = f"  {name}: low end moves {low.moved:.3g}, high end {high.moved:.3g}"
    if low.nothing and high.nothing:
        text += "   NO EFFECT: this term changes nothing here"
        reasons = dict.fromkeys(end.why for end in ends if end.why and not end.why.startswith("this end is"))
        text += f": {'; '.join(reasons)}" if reasons else ""
    else:
        for where, end in (("low", low), ("high", high)):
            if end.nothing and end.why and not end.why.startswith("this end is"):
                text += f"   the {where} end has NO EFFECT: {end.why}"
    if low.failed or high.failed:
        text += "   UNSTABLE: the simulation failed"
    return text
