"""The paths of signals for a whole log at once: which packet is in force when, and what has become of it.

It is what `sim2real.envs.paths` does step by step, for packets that are sent when the log says.
"""

import numpy as np

from randomizers import Jitter, Loss
from sim2real.envs.packets import Floats, Ints, Packets, Transport
from sim2real.envs.paths import Distortions
from sim2real.spec import Moment, Program


def in_force(program: Program, path: str, v: Floats, due: Ints, at: Ints, timestep: float, seed: int) -> Ints:
    """Return which packet is the newest that has come (w, m), −1 before any has.

    Args:
        program: Whose jitter and losses there are.
        path: `action` or `observation`.
        v: Domains (w, d).
        due: When packets arrive unless they are late (w, n) [physics steps].
        at: When to look (m,) [physics steps].
        timestep: Of the physics [s].
        seed: Of the draws; worlds draw alike.
    """
    w, n = due.shape
    came, packets = due, np.broadcast_to(np.arange(n), due.shape)
    if any(True for kind in (Jitter, Loss) for _ in program.terms(kind, path)):
        transport, steps = Transport(program, path, w * n, 1, 0), np.tile(np.arange(n), w)
        moment = _moment(seed, steps)
        rows = np.repeat(v, n, axis=0)
        came = transport.arrival(due.ravel(), rows, np.full(w * n, timestep), moment).reshape(w, n)
        # A lost packet is its forerunner once more.
        packets = np.maximum.accumulate(np.where(came < Packets.NEVER, packets, -1), axis=1)
        came = np.where(came < Packets.NEVER, came, -1)
    came = np.maximum.accumulate(came, axis=1)
    newest = np.stack([np.searchsorted(own, at, "right") - 1 for own in came])
    return np.where(newest >= 0, np.take_along_axis(packets, np.maximum(newest, 0), axis=1), -1)


def distorted(program: Program, path: str, v: Floats, signal: Floats, seed: int) -> Floats:
    """Return a signal (w, n, k) as the path's distortions leave it, row by row.

    Raises:
        ProgramError: With every term that names a channel which the signal does not have.
    """
    w, n, width = signal.shape
    distort = Distortions(program, path, w, width)
    if not distort.terms:
        return signal
    worlds = np.arange(w)
    rows = [
        distort(v, worlds, signal[:, row], _moment(seed, np.full(w, row)), row == 0).copy()
        for row in range(n)
    ]
    return np.stack(rows, axis=1)


def _moment(seed: int, steps: Ints) -> Moment:
    """Return the key of draws that are alike in all worlds."""
    return Moment(seed, np.zeros_like(steps), np.zeros_like(steps), steps)
