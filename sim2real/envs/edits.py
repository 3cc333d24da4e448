"""Puts the model of an environment that is not ours into a domain, and leaves the environment's own edits."""

import copy
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Randomizer
from sim2real.spec import Program

Ints = NDArray[np.int64]
Floats = NDArray[Any]
# The engine's own lists of what mj_setConst reads and writes.
_READ: frozenset[str] = frozenset(mujoco.MjModel._setconst_inputs)
_WRITTEN: tuple[str, ...] = mujoco.MjModel._setconst_outputs  # type: ignore[attr-defined]


class Edits:
    """Writes domains into a model that its environment edits too.

    Only rows that some term writes are touched. What MuJoCo derives from them is computed on a copy that the
    environment does not edit: so it depends on the domain alone, to the last bit, and welds stay as they are.

    Args:
        program: What may vary.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._copy = copy.copy(program.model)
        self._data = mujoco.MjData(self._copy)
        self._rows = _rows(program)
        self._wanted: list[tuple[str, Ints, Floats]] = []
        self._derives = any(name in _READ or name.startswith("opt.") for name in program.writes)
        names = [n for n in _WRITTEN if np.size(getattr(self._copy, n))] if self._derives else []
        self._last = {name: getattr(self._copy, name).copy() for name in names}
        self._nominal = dict(self._last)
        # A nominal model that was edited since it was compiled would be derived a little differently.
        mujoco.mj_setConst(self._copy, self._data)
        self._base = {name: getattr(self._copy, name).copy() for name in names}

    def write(self, model: mujoco.MjModel, values: Floats) -> None:
        """Put a model into the domain `values` (d,)."""
        self._wanted = list(self._find(values))
        for name, rows, wanted in self._wanted:
            for target in (model, self._copy):
                _set(target, name, rows, wanted)
        if not self._derives:
            return
        before = {name: getattr(model, name).copy() for name in self._last}
        for target in (self._copy, model):
            mujoco.mj_resetData(self._copy, self._data)
            mujoco.mj_setConst(target, self._data)
        for name, own in before.items():
            found, base = getattr(self._copy, name), self._base[name]
            new = np.where(found == base, self._nominal[name], found)
            getattr(model, name)[...] = np.where(new != self._last[name], new, own)
            self._last[name] = new

    def stand(self, model: mujoco.MjModel) -> bool:
        """Whether a model holds what was written last: environments may write the same rows at a reset."""
        return all(np.array_equal(_rows_of(model, n, rows), w.ravel()) for n, rows, w in self._wanted)

    def _find(self, values: Floats) -> Iterator[tuple[str, Ints, Floats]]:
        """Yield each field with the rows that are written and what they shall hold."""
        for name, field in self.program.fields(values[None]).items():
            yield name, self._rows[name], np.atleast_1d(field[0])[self._rows[name]]


def _owner(model: mujoco.MjModel, name: str) -> tuple[Any, str]:
    *owners, last = name.split(".")
    owner: Any = model
    for part in owners:
        owner = getattr(owner, part)
    return owner, last


def _rows_of(model: mujoco.MjModel, name: str, rows: Ints) -> Floats:
    return np.atleast_1d(getattr(*_owner(model, name)))[rows].ravel()


def _set(model: mujoco.MjModel, name: str, rows: Ints, wanted: Floats) -> None:
    owner, last = _owner(model, name)
    array = getattr(owner, last)
    if np.ndim(array):
        array[rows] = wanted.reshape(array[rows].shape)
    else:
        setattr(owner, last, float(wanted[0]))


def _rows(program: Program) -> dict[str, Ints]:
    rows: dict[str, list[Ints]] = {}
    for bound in program.terms(Randomizer):
        for name, touched in bound.term.touches(program.model).items():
            rows.setdefault(name, []).append(touched)
    return {name: np.unique(np.concatenate(parts)) for name, parts in rows.items()}
