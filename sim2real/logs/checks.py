"""What is probably wrong with a log: gaps, units, joints that count the other way round, ranges left."""

from collections.abc import Iterator

import numpy as np

from sim2real.logs.log import Finding, Floats, Log
from sim2real.logs.matching import Joints

MOVES = 0.02
"""Standard deviation [rad] or [m] above which a joint moves enough to say anything of it."""
_GAP = 1.5
"""Times the usual time between measurements that are a gap."""
_UNLIKE = 20.0
"""Factor between two columns that only a unit can explain; from degrees to radians it is 57.3."""
_LATEST = 0.3
"""Longest delay with which positions follow commands [s]."""


def check(log: Log, joints: Joints) -> list[Finding]:
    """Return what is probably wrong with a log that has been matched to a model.

    Args:
        log: See `sim2real.logs.matching.matched`.
        joints: The model's, among them the log's.
    """
    own = joints.take(log.joints)
    return [*_gaps(log), *_units(log, own), *_directions(log), *_ranges(log, own)]


def _gaps(log: Log) -> Iterator[Finding]:
    time = log.time[log.seen]
    steps = np.diff(time)
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > _GAP * usual)
    if len(wide):
        worst = wide[np.argmax(steps[wide])]
        yield Finding(
            "gap",
            log.name,
            f"{len(wide)} of {len(steps)} steps in time are longer than {_GAP:g} × {1000 * usual:.3g} ms, "
            f"the longest {1000 * steps[worst]:.4g} ms at {time[worst] - time[0]:.2f} s",
            "certain",
            "commands hold across it; cut it out with --seconds if it matters",
        )


def _units(log: Log, joints: Joints) -> Iterator[Finding]:
    """Look for angles that no joint turns to, and columns that only differ by a unit."""
    for kind in ("position", "command"):
        most = np.nanmax(np.abs(getattr(log, kind)), axis=0)
        far = most > np.maximum(2 * np.pi, 2 * np.maximum(np.abs(joints.low), np.abs(joints.high)))
        far &= joints.hinge & np.isfinite(joints.high)
        if far.any():
            worst = int(np.argmax(np.where(far, most, 0)))
            which = "deg, or m100_100 and 0_100 as LeRobot has" if most.max() <= 100.5 else "deg"
            yield Finding(
                "unit",
                f"{log.name}: {kind}",
                f"{log.joints[worst]} goes to {most[worst]:.4g} rad, where the model ends at "
                f"{joints.high[worst]:.3g} rad",
                "certain",
                f"--units {kind}=UNIT says what it is in: {which}",
            )
    for i, name in enumerate(log.joints):
        yield from _unlike(log, i, name)


def _unlike(log: Log, i: int, name: str) -> Iterator[Finding]:
    pairs = [("command", "position", log.command[log.seen, i], log.position[log.seen, i])]
    velocity, rate = _rates(log, i)
    for kind, other, given, expected in (*pairs, ("velocity", "the rate of position", velocity, rate)):
        sizes = (np.std(given), np.std(expected)) if len(given) else (0.0, 0.0)
        if min(sizes) > 1e-3 and max(sizes) > MOVES and max(sizes) / min(sizes) > _UNLIKE:
            yield Finding(
                "unit",
                f"{log.name}: {kind}.{name}",
                f"it varies {sizes[0] / sizes[1]:.3g} times as much as {other}",
                "likely",
                f"--units {kind}.{name}=UNIT says what it is in, if not the same",
            )


def _directions(log: Log) -> Iterator[Finding]:
    """Look for joints that move against their commands, or whose velocity has the wrong sign."""
    for i, name in enumerate(log.joints):
        position, command = log.position[log.seen, i], log.command[log.seen, i]
        if min(np.std(position), np.std(command)) > MOVES and _against(log.time[log.seen], command, position):
            yield Finding(
                "reversed",
                f"{log.name}: {name}",
                "positions move against commands",
                "likely",
                f"--reverse position.{name} or --reverse command.{name}, whichever has the wrong sign",
            )
        velocity, rate = _rates(log, i)
        if np.std(position) > MOVES and _correlation(velocity, rate) < -0.3:
            yield Finding(
                "reversed",
                f"{log.name}: velocity.{name}",
                "velocities are against the change of positions",
                "likely",
                f"--reverse velocity.{name} turns their sign",
            )


def _against(time: Floats, command: Floats, position: Floats) -> bool:
    """Whether a position goes against its command, whatever the delay."""
    rows = max(1, round(_LATEST / float(np.median(np.diff(time)))))
    lags = [lag for lag in range(0, rows + 1, max(1, rows // 6)) if lag < len(time) // 2]
    found = [_correlation(command[: len(command) - lag], position[lag:]) for lag in lags]
    # A fast oscillation is against its command at some delay; only a reversed joint is so at every one.
    return bool(min(found) < -0.7 and max(found) < 0.2)


def _rates(log: Log, i: int) -> tuple[Floats, Floats]:
    """Return velocities of a joint and the rate of its position, in rows that have both; none if none has."""
    if log.velocity is None:
        return np.zeros(0), np.zeros(0)
    velocity, rate = log.velocity[log.seen, i], np.gradient(log.position[log.seen, i], log.time[log.seen])
    both = np.isfinite(velocity)
    return velocity[both], rate[both]


def _correlation(a: Floats, b: Floats) -> float:
    """Return the correlation of two columns (n,); 0 where one of them does not move."""
    if len(a) < 2 or min(np.std(a), np.std(b)) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranges(log: Log, joints: Joints) -> Iterator[Finding]:
    for i, name in enumerate(log.joints):
        position, low, high = log.position[log.seen, i], float(joints.low[i]), float(joints.high[i])
        beyond = np.maximum(low - position, position - high)
        out = beyond > np.radians(1.0)
        if not out.any() or np.abs(position).max() > 2 * np.pi:
            continue
        fits = bool(((-position > low) & (-position < high)).all())
        share, most = out.mean(), float(beyond.max())
        unit, scale = ("°", np.degrees(1.0)) if joints.hinge[i] else (" mm", 1000.0)
        says = f"it is beyond the model's range in {share:.1%} of the rows, by up to {scale * most:.3g}{unit}"
        if fits and share > 0.05:
            yield Finding("reversed", f"{log.name}: {name}", f"{says}; turned round it is inside", "possible",
                          f"--reverse {name} if it counts the other way round")  # fmt: skip
        else:
            yield Finding("range", f"{log.name}: {name}", says, "certain",
                          "the zero of the joint, or the range of the model, is off")  # fmt: skip
