"""Where the domains of worlds come from, episode by episode."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.spec import Program

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Domains = Callable[[int, Ints, Ints, Floats], Floats]
"""Gives the domains (k, d) of worlds (k,) in their episodes (k,) at a time (k,) [s], for a seed."""


def from_source(program: Program) -> Domains:
    """Draw every episode's domain from the whole source."""
    return lambda seed, worlds, episodes, time: program.values(
        program.quantiles(seed, worlds, episodes, time)
    )


def fixed(values: Floats) -> Domains:
    """Keep world i in domain `values[i]`; one row (d,) is for all. Nothing drifts."""
    rows = np.atleast_2d(values)
    return lambda seed, worlds, episodes, time: rows[worlds % len(rows)]


def in_trials(domains: Domains, episodes: int, together: int = 1) -> Domains:
    """Keep a domain for a trial of several episodes, in several worlds next to each other.

    Args:
        domains: Where they come from; it is asked for groups and trials, not for worlds and episodes.
        episodes: Episodes of a trial.
        together: Worlds of a group.
    """
    return lambda seed, worlds, numbers, time: domains(seed, worlds // together, numbers // episodes, time)


def side_by_side(places: Sequence[Domains], num_worlds: int) -> Domains:
    """Give every place n worlds of its own, one place after the other; each knows them as 0 to n - 1."""

    def domains(seed: int, worlds: Ints, episodes: Ints, time: Floats) -> Floats:
        order, found = [], []
        for place, own in enumerate(places):
            here = np.flatnonzero(worlds // num_worlds == place)
            if len(here):
                order.append(here)
                found.append(own(seed, worlds[here] % num_worlds, episodes[here], time[here]))
        return np.concatenate(found)[np.argsort(np.concatenate(order))]

    return domains


def dealt(places: Sequence[Domains]) -> Domains:
    """Give world i to place i modulo their number; the places know all worlds by their numbers."""

    def domains(seed: int, worlds: Ints, episodes: Ints, time: Floats) -> Floats:
        found = np.stack([place(seed, worlds, episodes, time) for place in places])
        return found[worlds % len(places), np.arange(len(worlds))]

    return domains


class Ahead:
    """What worlds will be in their next episodes: domains, and the model fields that follow from them.

    Worlds end their episodes one by one, and a domain costs nearly as much for one world as for a hundred.
    So when one is wanted, those of all worlds are worked out; nothing but time depends on that.

    Args:
        program: What may vary.
        num_worlds: n.
    """

    def __init__(self, program: Program, num_worlds: int) -> None:
        self._program = program
        self._ready = np.full(num_worlds, -1)
        self._source: tuple[Domains, int] | None = None
        self._values = np.zeros((num_worlds, program.d))
        self._fields: dict[str, Floats] = {}

    def __call__(
        self, domains: Domains, seed: int, ids: Ints, episodes: Ints
    ) -> tuple[Floats, dict[str, Floats]]:
        """Return the domains (k, d) of worlds (k,), and the fields (k, ...) that they write.

        Args:
            domains: Where they come from.
            seed: Their seed.
            ids: The worlds.
            episodes: Of all worlds (n,): the episode wanted, or for others than `ids` the next.
        """
        if len(ids) == len(self._ready):
            return self._work_out(domains, seed, ids, episodes)
        if self._source != (domains, seed):
            self._source, self._ready[:] = (domains, seed), -1
        if (self._ready[ids] != episodes[ids]).any():
            stale = np.flatnonzero(self._ready != episodes)
            self._keep(stale, *self._work_out(domains, seed, stale, episodes[stale]))
            self._ready[stale] = episodes[stale]
        return self._values[ids], {name: field[ids] for name, field in self._fields.items()}

    def _work_out(
        self, domains: Domains, seed: int, ids: Ints, episodes: Ints
    ) -> tuple[Floats, dict[str, Floats]]:
        values = domains(seed, ids, episodes, np.zeros(len(ids)))
        return values, self._program.fields(values)

    def _keep(self, ids: Ints, values: Floats, fields: dict[str, Any]) -> None:
        self._values[ids] = values
        for name, field in fields.items():
            if name not in self._fields:
                self._fields[name] = np.zeros((len(self._ready), *field.shape[1:]), field.dtype)
            self._fields[name][ids] = field
