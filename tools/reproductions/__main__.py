"""Rebuilds the committed results in assets/results; run through `tools/reproduce`.

Training is resumable: an interrupted reproduction goes on where it stopped.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from reproductions.all_methods import all_methods
from reproductions.contextual import contextual
from reproductions.demo import demo
from reproductions.distill import distill
from reproductions.entropy import entropy
from reproductions.finetune import finetune
from reproductions.goals import goals
from reproductions.gradient import gradient
from reproductions.lines import lines
from reproductions.loop import loop
from reproductions.models import models
from reproductions.modular import modular
from reproductions.push import push
from reproductions.recurrent import recurrent
from reproductions.sac import sac
from reproductions.so101 import so101
from reproductions.torso import torso

REPRODUCTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "sac": sac,
    "demo": demo,
    "torso": torso,
    "goals": goals,
    "lines": lines,
    "finetune": finetune,
    "entropy": entropy,
    "distill": distill,
    "contextual": contextual,
    "modular": modular,
    "gradient": gradient,
    "recurrent": recurrent,
    "models": models,
    "all-methods": all_methods,
    "loop": loop,
    "so101": so101,
    "push": push,
}


def main() -> None:
    """Run one reproduction."""
    from sim2real.runs import Interrupted, RunError
    from sim2real.spec import SpecError

    parser = argparse.ArgumentParser(prog="tools/reproduce", description=__doc__)
    parser.add_argument("name", choices=sorted(REPRODUCTIONS), help="what to reproduce")
    parser.add_argument("--seeds", type=int, help="seeds of each training, from 0 [5; 3 for sac]")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each")
    parser.add_argument("--only", help="one spec or training of the set")
    parser.add_argument("--tables", action="store_true", help="only write tables, of the seeds there are")
    parser.add_argument("--run", type=Path, help="a finished run of tools/demo, not to train it again")
    parser.add_argument("--logs", type=Path, help="the folder of a real SO-101's logs, for loop")
    arguments = parser.parse_args()
    try:
        REPRODUCTIONS[arguments.name](arguments)
    except (RunError, SpecError) as error:
        sys.exit(f"tools/reproduce: {error}")
    except (KeyboardInterrupt, Interrupted):
        print("\nstopped; the same command goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
