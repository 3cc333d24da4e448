"""The log of a motion, in the CSV that `sim2real replay` reads; a row once written is kept."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim2real.deploy.contract import Contract

Floats = NDArray[np.float64]


class Recorder:
    """Writes `time` [s], and `command.J` and `position.J` [rad] or [m] of joints driven by position servos.

    All else is there as `observation.NAME` and `action.NAME`, in the contract's units, which `replay` passes
    over. What was not measured in a row is empty.

    Args:
        path: The file, which must not exist; None for no log.
        contract: Whose names it has.

    Raises:
        FileExistsError: If there is such a file.
    """

    def __init__(self, path: Path | None, contract: Contract) -> None:
        self.path = path
        joints = contract.positions()
        self._positions = [column for column, _ in joints.values()]
        self._commands = [column for _, column in joints.values()]
        self._gear = np.array([contract.action[column].gear for column in self._commands])
        self._others = [i for i in range(len(contract.observation)) if i not in self._positions]
        self._actions = [i for i in range(len(contract.action)) if i not in self._commands]
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._write(
            [
                "time",
                *(f"command.{joint}" for joint in joints),
                *(f"position.{joint}" for joint in joints),
                *(_plain(f"observation.{contract.observation[i].name}") for i in self._others),
                *(_plain(f"action.{contract.action[i].name}") for i in self._actions),
            ]
        )

    def row(self, time: float, command: Floats, observation: Floats | None) -> None:
        """Write what was asked for (a,) at a time [s], and what had been measured (o,) if anything had."""
        seen = np.full(len(self._positions) + len(self._others), np.nan)
        if observation is not None:
            seen = observation[[*self._positions, *self._others]]
        numbers = [time, *(command[self._commands] / self._gear), *seen, *command[self._actions]]
        self._write(["" if np.isnan(x) else repr(float(x)) for x in numbers])

    def _write(self, cells: list[str]) -> None:
        if self._file is not None:
            os.write(self._file, (",".join(cells) + "\n").encode())  # in one piece: no row is ever half there

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None


def _plain(name: str) -> str:
    return name.replace(",", ";")
