"""Describes the machine on which something was measured."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("sim2real", "mujoco", "torch", "numpy", "gymnasium", "gymnasium-robotics")


def describe() -> dict[str, Any]:
    """Return processor, cores, memory [GiB], system and versions."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


class Company:
    """How busy other processes keep the machine meanwhile: with much of it, trust no number."""

    def __init__(self) -> None:
        self._start = self._read()

    def share(self) -> float:
        """Return the share of all processors' time that others have taken since this was made.

        Only processes of ours that have ended, and been waited for, count as ours.
        """
        busy, own, wall = (now - then for now, then in zip(self._read(), self._start, strict=True))
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1))

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Return busy time of the machine, of us and our children, and of the clock [s]."""
        try:
            words = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
        except OSError:
            words = ["0"] * 8
        user, nice, system, _, _, irq, softirq, steal = map(int, words)
        ours = os.times()
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return busy, sum(ours[:4]), ours.elapsed


def in_words(machine: dict[str, Any]) -> str:
    """Return a description in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    return f"{where}; Python {machine['python']}, {versions}"


def _cpu() -> str:
    """Return the processor's name, with family and model where the name alone says little."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = found.get("model name", platform.machine())
    family = found.get("cpu family")
    return f"{name} (family {family}, model {found.get('model', '?')})" if family else name
