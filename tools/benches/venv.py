"""The peers' throw-away virtual environment, `.venv-peers`."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-peers"
PYTHON = FOLDER / "bin" / "python"
PINS = (ROOT / "tools" / "constraints.txt", ROOT / "tools" / "peers.txt")

# What is installed together; a group that cannot be leaves the others be.
GROUPS: dict[str, tuple[str, ...]] = {
    # Pinned by name too: plain torch would bring gigabytes for graphics cards.
    "envpool": ("envpool",),
    "sb3": ("torch==2.13.0", "gymnasium", "gymnasium-robotics", "stable-baselines3", "-e", "."),
    "sbx": ("torch==2.13.0", "stable-baselines3", "sbx-rl"),
}
_QUICK, _LONG = (60.0, 85.0), (1800.0, 3600.0)
"""Longest time [s] of one group, and of all, in either mode."""
_tried: dict[str, str] = {}


def missing(group: str) -> str:
    """Return why a group is not there, and an empty text where it is."""
    if (FOLDER / f"installed-{group}").exists() and _stamp(group) == _read(group):
        return ""
    return _tried.get(group, "not installed")


def install(groups: list[str], quick: bool) -> None:
    """Install what is missing of some groups; `missing` then says what could not be.

    Args:
        groups: Names in `GROUPS`.
        quick: Give up on what takes longer than a minute, and on all of it a little later.
    """
    wanted = [group for group in GROUPS if group in groups and missing(group)]
    if not wanted:
        return
    print(f"installing the peers ({', '.join(wanted)}) into {FOLDER.name}, once ...", file=sys.stderr)
    each, together = _QUICK if quick else _LONG
    deadline = time.monotonic() + together
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        (FOLDER / ".gitignore").write_text("*\n")
    for group in wanted:
        _tried[group] = _install(group, min(each, deadline - time.monotonic()))


def _install(group: str, seconds: float) -> str:
    """Install one group, and return why it failed, if it did."""
    if seconds <= 0:
        return "no time was left to install it"
    pins = [word for file in PINS for word in ("-c", str(file))]
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", *pins]
    try:
        done = subprocess.run(
            [*pip, *GROUPS[group]], cwd=ROOT, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"installing it took longer than {seconds:.0f} s"
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return (errors or done.stderr.splitlines() or ["pip failed"])[-1]
    (FOLDER / f"installed-{group}").write_text(_stamp(group))
    return ""


def _stamp(group: str) -> str:
    """Return what the group would be installed from."""
    parts = [str(ROOT), *GROUPS[group], *(file.read_text() for file in PINS)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(group: str) -> str:
    return (FOLDER / f"installed-{group}").read_text()
