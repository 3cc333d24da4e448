"""Fits models to motions of a real SO-101 that its identified source has not seen: `tools/so101_targets`.

They are the targets of `tools/reproduce so101`. The source was fitted to ten of the twenty motions; each
target is fitted, from the same prior, to some of the other ten that are of a kind: none is looked at twice.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from reproductions.so101 import SOURCE, TARGETS, by_term
from reproductions.tables import ROOT

from sim2real.identify.objective import Objective
from sim2real.identify.refine import refine
from sim2real.identify.segments import segments
from sim2real.identify.space import space_of
from sim2real.progress import Progress
from sim2real.replay import IDENTIFIED, Motion, Request, constants, player_in, prepared, robot_of
from sim2real.runs import write_json
from sim2real.session import CATALOG
from sim2real.spec import Program, domain, load

PRIOR = ROOT / "assets" / "specs" / "so101_identify.yaml"
MOTIONS = {
    "smooth": ("circular_motion", "lissajous_pattern", "oscillation_low_freq", "sinusoidal_sweep"),
    "abrupt": ("gripper_cycles", "prbs_excitation", "step_response"),
    "reaches": ("center_workspace", "end_effector", "reaching_points"),
}
SECONDS, PIECES, PIECE, CANDIDATES = (0.0, 40.0), 8, 4.0, 500
"""What of each motion is looked at [s], pieces that a fit is held against, their length [s], and about how
many domains are simulated."""


def main(logs: Path) -> None:
    """Fit all targets, and write the values and errors of each when it is done."""
    seen = fitted_to(SOURCE)
    found: dict[str, Any] = json.loads(TARGETS.read_text()) if TARGETS.exists() else {}
    for name, motions in MOTIONS.items():
        if both := seen.intersection(motions):
            sys.exit(f"tools/so101_targets: {SOURCE} was itself fitted to {', '.join(sorted(both))}")
        began = time.process_time()
        found[name] = fit([logs / f"{motion}.csv" for motion in motions])
        TARGETS.parent.mkdir(parents=True, exist_ok=True)
        write_json(TARGETS, found)
        minutes = (time.process_time() - began) / 60
        print(f"{name}: {found[name]['rmse_deg']}, {minutes:.1f} core-minutes", flush=True)


def fitted_to(source: Path) -> set[str]:
    """Return the motions that an identified spec was fitted to, as its comments say."""
    told = next(line for line in source.read_text().splitlines() if line.startswith("#   "))
    return {name.strip() for name in told.removeprefix("#   ").split(",")}


def fit(files: list[Path]) -> dict[str, Any]:
    """Return the most likely model of some motions, and how far it and others are from them [deg]."""
    bundle = load(PRIOR, CATALOG)
    program, joints = bundle.program, robot_of(bundle.program.model).joints
    published = domain(program, "published", constants(program)).v
    space = space_of(program, published, ())
    logs, _ = prepared(program, Request(tuple(files), seconds=SECONDS))
    objective = Objective(space, lambda v: player_in(bundle, v, smooth=True), segments(logs, PIECE, PIECES))
    z, _ = refine(objective, np.zeros(len(space.columns)), CANDIDATES, Progress.silent())
    models = {"published": published, "source": most_likely(program), "target": space.values(z[None])[0]}
    player, errors = player_in(bundle, np.stack(list(models.values()))), dict.fromkeys(models, 0.0)
    for log in logs:
        for who, positions in zip(models, player.play(log), strict=True):
            errors[who] += Motion(log, joints, positions).score() / len(logs)
    return {
        "motions": [file.stem for file in files],
        "rmse_deg": {who: round(error, 3) for who, error in errors.items()},
        "values": {
            name: float(f"{value:.6g}") for name, value in zip(program.names, models["target"], strict=True)
        },
    }


def most_likely(program: Program) -> np.ndarray:
    """Return the source's most likely domain, by the parameters of its prior (d,)."""
    source = load(SOURCE, CATALOG)
    own = constants(source.program) | source.targets[IDENTIFIED].given
    split = by_term(dict.fromkeys(program.names, 0.0))
    given = {name: own[theirs] for name, theirs in zip(program.names, split, strict=True)}
    return domain(program, IDENTIFIED, given).v


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tools/so101_targets LOGS")
    main(Path(sys.argv[1]))
