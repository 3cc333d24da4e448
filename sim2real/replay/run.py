"""`sim2real replay`: logs through a domain of a spec."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from randomizers.words import did_you_mean
from sim2real.envs.registry import is_native, make_task
from sim2real.logs import Finding, Log, LogError, Reading, check, cut, matched, read
from sim2real.progress import Progress
from sim2real.replay.compare import Motion, Replay
from sim2real.replay.play import Player, left_out
from sim2real.replay.robot import robot_of
from sim2real.replay.sag import sags
from sim2real.spec import Bundle, Domain, Program, domain

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """What to replay.

    Attributes:
        paths: Files and folders of logs.
        domain: A target of the spec, or `nominal`; by default what `identify` found, if the spec is its, else
            `nominal`.
        reading: What the logs do not say themselves.
        seconds: From when to when, counted from a log's first row [s].
    """

    paths: tuple[Path, ...]
    domain: str = ""
    reading: Reading = field(default_factory=Reading)
    seconds: tuple[float, float] = (0.0, float("inf"))


def replay(bundle: Bundle, request: Request, progress: Progress) -> Replay:
    """Replay logs open loop in one domain of a spec.

    Raises:
        LogError: If a log cannot be read, or does not fit the model.
        ValueError: If there is no such domain.
    """
    part, place = chosen(bundle, request.domain)
    player = player_in(part, place.v)
    logs, findings = prepared(part.program, request)
    findings = [*left_out(part.program, place.v), *findings]
    motions: dict[str, Motion] = {}
    progress.begin("replay", len(logs))
    for number, log in enumerate(logs, 1):
        motion = Motion(log, player.robot.joints, player.play(log)[0])
        motions[log.name] = motion
        if not np.isfinite(motion.simulated).all():
            says = "the simulation became unstable, so there is no error to tell"
            findings.append(Finding("unstable", log.name, says, "certain", "look at the domain"))
        progress.move("replay", number)
    progress.end("replay")
    return Replay(str(bundle.spec.path), place, motions, findings)


def player_in(part: Bundle, v: Floats, smooth: bool = False) -> Player:
    """Return worlds of a spec's environment in domains (w, d), sensed as that environment senses."""
    encoders, width = None, 0
    if is_native(part.spec.env):
        task = make_task(part.spec.env, part.spec.env_options)
        if task.encoders is not None:
            encoders, width = task.encoders, task.sizes(part.program.model)[0]
    return Player(part.program, v, encoders, width, smooth=smooth)


def prepared(program: Program, request: Request) -> tuple[list[Log], list[Finding]]:
    """Return the logs, matched to the model, and what is probably wrong with them; names are unique.

    Raises:
        LogError: If one cannot be read, or does not fit the model.
    """
    robot = robot_of(program.model)
    raw = [log for path in request.paths for log in read(path, request.reading)]
    often = Counter(log.name for log in raw)
    raw = [log if often[log.name] == 1 else replace(log, name=log.source) for log in raw]
    logs = [cut(matched(log, robot.joints, request.reading), *request.seconds) for log in raw]
    found = [[*check(log, robot.joints), *sags(program.model, robot, log)] for log in logs]
    return logs, [finding for each in found for finding in each]


IDENTIFIED = "identified"
"""The target of a written spec that is its most likely domain."""


def chosen(bundle: Bundle, name: str = "") -> tuple[Bundle, Domain]:
    """Return a domain by name, and the part of the spec that it is of; by default see `Request`.

    `nominal` is the model as it is, with every constant that the spec sets; of a set it is `member/nominal`.

    Raises:
        ValueError: If there is none.
    """
    name = name or (IDENTIFIED if IDENTIFIED in bundle.targets else "nominal")
    known = [*(f"{part}/nominal" if part else "nominal" for part in bundle.parts), *bundle.targets]
    if name not in known:
        raise ValueError(
            f"{bundle.spec.path}: no domain is called '{name}'{did_you_mean(name, dict.fromkeys(known))}"
        )
    part = bundle.at(name)
    if name in bundle.targets:
        return part, bundle.targets[name]
    return part, domain(part.program, name, constants(part.program))


def constants(program: Program) -> dict[str, float]:
    """Return what a spec sets to one value, by parameter: it holds in every domain that can be drawn."""
    ends = {name: p.distribution.support for name, p in zip(program.names, program.parameters, strict=True)}
    return {name: low for name, (low, high) in ends.items() if low == high}


def span(text: str) -> tuple[float, float]:
    """Read `5:40`, `5:` or `:40` [s].

    Raises:
        LogError: If it is none.
    """
    start, colon, stop = text.partition(":")
    try:
        found = float(start or 0.0), float(stop or "inf")
    except ValueError:
        found = (0.0, 0.0)
    if not colon or not 0 <= found[0] < found[1]:
        raise LogError(f"--seconds takes a span such as 5:40, given '{text}'")
    return found


def reading(
    units: Sequence[str], reverse: Sequence[str], rename: Sequence[str], topics: Sequence[str]
) -> Reading:
    """Read what the command line says of the logs: units as `deg` or `KEY=deg`, the others as `KEY=VALUE`.

    Raises:
        LogError: If an assignment is none.
    """
    return Reading(
        _assigned("--units", [unit if "=" in unit else f"={unit}" for unit in units], empty=True),
        tuple(reverse),
        _assigned("--rename", rename),
        _assigned("--topic", topics),
    )


def _assigned(option: str, texts: Sequence[str], empty: bool = False) -> dict[str, str]:
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and value and (key or empty)):
            raise LogError(f"{option} takes KEY=VALUE, given '{text}'")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}
