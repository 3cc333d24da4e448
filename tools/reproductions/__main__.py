"""Rebuilds the committed results in assets/results; run through `tools/reproduce`.

Training is resumable: an interrupted reproduction goes on where it stopped.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from reproductions.demo import demo
from reproductions.sac import sac

REPRODUCTIONS: dict[str, Callable[[argparse.Namespace], None]] = {"sac": sac, "demo": demo}


def main() -> None:
    """Run one reproduction."""
    parser = argparse.ArgumentParser(prog="tools/reproduce", description=__doc__)
    parser.add_argument("name", choices=sorted(REPRODUCTIONS), help="what to reproduce")
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each spec, from 0")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each")
    parser.add_argument("--only", help="one spec of the set")
    parser.add_argument("--run", type=Path, help="a finished run of tools/demo, not to train it again")
    arguments = parser.parse_args()
    REPRODUCTIONS[arguments.name](arguments)


if __name__ == "__main__":
    main()
