"""Siblings of `Randomizer`: terms that do not live in the model but on the way to and from it.

Each kind is one function of values (n, d); what calls it lies in `sim2real.envs`. All share parameters,
cube and draws with the terms that edit fields.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, cast

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from randomizers.base import Term
from randomizers.distributions import Floats
from randomizers.words import shown

Path = Literal["action", "observation"]
# Far more numbers than any robot senses.
_MOST_CHANNELS = 10_000
_CHANNELS = re.compile(r"\s*([0-9]{1,12})\s*(?::\s*([0-9]{1,12})\s*)?")


class Draw(Protocol):
    """Random numbers of one term for n worlds, keyed by (seed, term, world, episode, control step)."""

    def uniform(self, size: int) -> Floats:
        """Return (n, size) in [0, 1), fresh in every control step."""
        ...

    def normal(self, size: int) -> Floats:
        """Return (n, size) standard normal, fresh in every control step."""
        ...

    def kept(self) -> "Draw":
        """Return a draw whose numbers stay the same for the whole episode."""
        ...

    def numbered(self, index: NDArray[np.int64]) -> "Draw":
        """Return a draw keyed by an index (n,) of its own instead of the control step."""
        ...


class SignalTerm(Term):
    """A term on the way of a signal: `path` says which."""

    path: ClassVar[Path]


class Delay(SignalTerm):
    """A term that delays a signal."""

    def seconds(self, values: Floats) -> Floats:
        """Map values (n, d) to each world's delay (n,) [s]."""
        return values[:, 0]


class Jitter(SignalTerm):
    """A term that delays each packet of a signal further, by a fresh share of at most this; order is kept."""

    def seconds(self, values: Floats) -> Floats:
        """Map values (n, d) to each world's largest further delay (n,) [s]."""
        return values[:, 0]


class Loss(SignalTerm):
    """A term that loses packets of a signal; who receives it holds the last one that came."""

    def probability(self, values: Floats) -> Floats:
        """Map values (n, d) to each world's probability (n,) that a packet is lost."""
        return values[:, 0]


class Distortion(SignalTerm):
    """A term that changes the numbers of a signal."""

    channels: tuple[int, ...] | None = Field(
        None, description="which numbers of the signal, as [0, 2, '5:8']; all if not given"
    )

    @field_validator("channels", mode="before")
    @classmethod
    def _read_channels(cls, raw: object) -> tuple[int, ...] | None:
        if raw is None:
            return None
        items = cast(list[object], raw) if isinstance(raw, list | tuple) else [raw]
        if len(items) > _MOST_CHANNELS:
            raise ValueError(f"no signal has as many as {len(items)} channels")
        found: dict[int, None] = {}
        for named in dict.fromkeys(_indices(item) for item in items):
            found |= dict.fromkeys(named)
        if not found:
            raise ValueError(f"{shown(items)} names no channel")
        return tuple(found)

    def distort(self, values: Floats, signal: Floats, held: Floats, draw: Draw) -> Floats:
        """Return the changed signal.

        Args:
            values: (n, d).
            signal: The signal that comes in (n, w).
            held: What this term gave in the control step before (n, w); in an episode's first, `signal`.
            draw: Its random numbers.
        """
        raise TypeError(f"{type(self).__name__} defines no distort")


class Disturbance(Term):
    """A term that pushes bodies from outside."""

    def bodies(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the bodies pushed, (k,)."""
        raise TypeError(f"{type(self).__name__} defines no bodies")

    def wrench(self, values: Floats, time: Floats, period: float, count: int, draw: Draw) -> Floats:
        """Return force [N] and torque [N m] on each body in world axes, (n, k, 6).

        Args:
            values: (n, d).
            time: Time since the episode began (n,) [s].
            period: Control period [s], during which the wrench stays.
            count: k, the number of bodies.
            draw: Its random numbers.
        """
        raise TypeError(f"{type(self).__name__} defines no wrench")


class Drive(Term):
    """A term that acts inside position servos, between a command and its joint, in every physics step."""

    def actuators(self, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Return the servos acted on, (k,)."""
        raise TypeError(f"{type(self).__name__} defines no actuators")

    def effects(self, values: Floats, count: int) -> Mapping[str, Floats]:
        """Map values (n, d) to what `sim2real.worlds.servos` knows, by its name: (n, count) each.

        What is left out is left as it is.
        """
        raise TypeError(f"{type(self).__name__} defines no effects")


class Clock(Term):
    """A term that sets the physics time step while the control period stays."""

    def timestep(self, values: Floats, nominal: float) -> Floats:
        """Map values (n, d) to each world's wished time step (n,) [s]."""
        raise TypeError(f"{type(self).__name__} defines no timestep")

    def values(self, timestep: Floats, nominal: float) -> Floats:
        """Return the values (n, d) that wish for a time step (n,) [s]: the inverse of `timestep`."""
        raise TypeError(f"{type(self).__name__} defines no values")


class Lens(Term):
    """A term that changes the picture a camera gives, after rendering."""

    def develop(self, values: Floats, image: Floats, draw: Draw) -> Floats:
        """Return the changed picture.

        Args:
            values: (d,), of one world.
            image: (height, width, 3) in [0, 1].
            draw: Random numbers of that world, n = 1.
        """
        raise TypeError(f"{type(self).__name__} defines no develop")


class Paint(Term):
    """A term that repaints textures; they are no per-world field, so they are painted for each picture."""

    def paint(self, values: Floats, model: mujoco.MjModel) -> NDArray[np.int64]:
        """Write `tex_data` of one world's own model, and return the textures changed (k,).

        Args:
            values: (d,), of one world.
            model: Its model, whose textures hold what the last world painted.
        """
        raise TypeError(f"{type(self).__name__} defines no paint")


def _indices(item: object) -> range:
    named = None
    if isinstance(item, str) and (match := _CHANNELS.fullmatch(item)):
        first = int(match[1])
        named = range(first, int(match[2]) if match[2] else first + 1)
    elif isinstance(item, int) and not isinstance(item, bool) and item >= 0:
        named = range(item, item + 1)
    if named is not None and max(named.start, named.stop) > _MOST_CHANNELS:
        raise ValueError(f"{shown(item)}: no signal has more than {_MOST_CHANNELS} channels")
    if named is not None:
        return named
    raise ValueError(f"{shown(item)} is no channel: give a number from 0 on, or '3:8' for 3 to 7")
