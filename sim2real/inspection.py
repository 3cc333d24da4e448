"""Looks a spec over: what varies, by how much, and whether each term changes anything at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from randomizers import Delay, Noise, Parameter, Randomizer
from sim2real.envs import NATIVE
from sim2real.envs.make import make_worlds
from sim2real.envs.vector import Domains, TaskVectorEnv, fixed
from sim2real.runs import RunError, write_atomically
from sim2real.spec import Bundle
from sim2real.spec.program import Bound

_STEPS = 100
"""Control steps of an effect check."""
_MOST_ALIKE = 8
"""Parameters drawn alike that still have a row each."""


@dataclass(frozen=True)
class Effect:
    """What a term does alone at one end of its range.

    Attributes:
        moved: Largest change of any number observed over the rollout; of a pixel, for visuals.
        failed: Whether the simulation became unstable.
    """

    moved: float
    failed: bool


def parameter_rows(bundle: Bundle) -> list[dict[str, str]]:
    """Describe every parameter: name, nominal, source, unit, and what it writes.

    Many parameters of one term that are drawn alike, as those of colours, share a row.
    """
    rows: list[dict[str, str]] = []
    for bound in bundle.program.bound:
        names = bundle.program.names[bound.columns]
        groups: dict[tuple[str, str, str], list[str]] = {}
        for name, parameter in zip(names, bound.parameters, strict=True):
            groups.setdefault(_drawn_alike(parameter), []).append(name)
        for alike, members in groups.items():
            many = len(members) > _MOST_ALIKE
            shown = [f"{members[0]} … {members[-1]} ({len(members)})"] if many else members
            nominal, source, unit = alike
            about = {"nominal": nominal, "source": source, "unit": unit, "writes": writes(bound)}
            rows += [{"name": name, **about} for name in shown]
    return rows


def _drawn_alike(parameter: Parameter) -> tuple[str, str, str]:
    return f"{parameter.nominal:g}", parameter.distribution.describe(), parameter.unit or "factor"


def writes(bound: Bound) -> str:
    """Say what a term acts on."""
    if isinstance(bound.term, Randomizer):
        return ", ".join(bound.term.writes)
    if isinstance(bound.term, Delay):
        return f"the {bound.term.path} path"
    return "the observation" if isinstance(bound.term, Noise) else ""


def effects(bundle: Bundle) -> dict[str, tuple[Effect, Effect]]:
    """Run each term alone at the low and at the high end of its range, against nominal.

    All rollouts start alike and take the same random actions.

    Returns:
        For each term the effects at both ends; empty for environments that are not native.
    """
    if bundle.spec.env not in NATIVE:
        return {}
    nominal = bundle.program.nominal
    reference = _rollout(bundle, nominal)
    found: dict[str, tuple[Effect, Effect]] = {}
    for bound in bundle.program.bound:
        ends: list[Effect] = []
        for end in (0, 1):
            v = nominal.copy()
            v[bound.columns] = [
                p.distribution.ppf(np.array([end * (1 - 2.0**-53)]))[0] for p in bound.parameters
            ]
            looks = writes(bound).startswith("geom_rgba")
            ends.append(_looks(bundle, v) if looks else _compare(reference, _rollout(bundle, v)))
        found[bound.name] = ends[0], ends[1]
    return found


def _rollout(bundle: Bundle, v: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return what was observed (steps, numbers), and whether the simulation failed."""
    env = _worlds(bundle, 1, fixed(v))
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    seen, failed = [_flat(observation)], False
    for _ in range(_STEPS):
        observation, _, _, _, infos = env.step(env.action_space.sample())
        failed |= bool(np.any(infos.get("failed", False)))
        seen.append(_flat(observation))
    env.close()
    return np.stack(seen), failed


def _compare(reference: tuple[Any, bool], other: tuple[Any, bool]) -> Effect:
    return Effect(float(np.abs(other[0] - reference[0]).max()), other[1])


def _looks(bundle: Bundle, v: NDArray[np.float64]) -> Effect:
    pictures = [_picture(bundle, values) for values in (bundle.program.nominal, v)]
    return Effect(float(np.abs(pictures[1].astype(float) - pictures[0]).max()), False)


def _picture(bundle: Bundle, v: NDArray[np.float64]) -> NDArray[np.uint8]:
    env = _worlds(bundle, 1, fixed(v), render=True)
    env.reset(seed=0)
    picture = env.picture(0, 160, 160)
    env.close()
    return picture


def preview(bundle: Bundle, path: Path, columns: int = 4, rows: int = 3) -> None:
    """Write a contact sheet of randomized worlds, as PNG.

    Raises:
        RunError: If the environment is not native, or the file's kind is another.
        RenderingUnavailableError: If there is no OpenGL.
    """
    if bundle.spec.env not in NATIVE:
        raise RunError(f"{bundle.spec.env}: previews need a native task")
    if path.suffix != ".png":
        raise RunError(f"{path}: a preview is a .png")
    env = _worlds(bundle, columns * rows, None, render=True)
    env.reset(seed=bundle.spec.train.seed)
    pictures = [env.picture(world, 240, 240) for world in range(columns * rows)]
    env.close()
    sheet = np.concatenate(
        [np.concatenate(pictures[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    )
    temporary = path.with_name(f".{path.name}")
    Image.fromarray(sheet).save(temporary, format="png")
    write_atomically(path, temporary.read_bytes())
    temporary.unlink()


def _worlds(bundle: Bundle, n: int, domains: Domains | None, render: bool = False) -> TaskVectorEnv:
    spec = bundle.spec
    mode = "rgb_array" if render else None
    env = make_worlds(
        spec.env, spec.env_options, bundle.program, n, domains, threads=1, render_mode=mode, same_step=False
    )
    assert isinstance(env, TaskVectorEnv)
    return env


def _flat(observation: Any) -> NDArray[np.float64]:
    return (observation["observation"] if isinstance(observation, dict) else observation)[0].copy()


def describe(bundle: Bundle) -> str:
    """Return the text of `sim2real inspect`: parameters, effects, targets, and end-to-end latency."""
    program, spec = bundle.program, bundle.spec
    lines = [f"{spec.env}: {len(program.bound)} terms, {program.d} parameters", ""]
    lines += _columns(_HEAD, [list(row.values()) for row in parameter_rows(bundle)])
    found = effects(bundle)
    if found:
        lines += ["", f"effect of each term alone, over {_STEPS} steps of the same random actions:"]
        lines += [_effect_line(name, ends) for name, ends in found.items()]
    lines += ["", "targets:"] if bundle.targets else []
    for name, target in bundle.targets.items():
        where = f"{target.distance:.2f} range widths outside" if target.held_out else "inside the source"
        lines.append(f"  {name}: {target.describe()} ({where})")
    latency = sum(program.longest_delay(path) for path in ("action", "observation"))
    lines += ["", f"longest end-to-end latency: {1000 * latency:g} ms"]
    return "\n".join(lines)


_HEAD = ["parameter", "nominal", "source", "unit", "writes"]


def _columns(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def _effect_line(name: str, ends: tuple[Effect, Effect]) -> str:
    text = f"  {name}: low end moves {ends[0].moved:.3g}, high end {ends[1].moved:.3g}"
    if ends[0].moved == 0 == ends[1].moved:
        text += "   NO EFFECT: this term changes nothing here"
    if ends[0].failed or ends[1].failed:
        text += "   UNSTABLE: the simulation failed"
    return text
