"""Identifies simulated arms whose parameters are known, by each method; run by `tools/recovery`.

Each arm is drawn from the prior, and logs 2.4 s with noise of 0 or 5 % of a joint's standard deviation. Told
are the median and the largest error over arms, relative to the true value, and whether spreads are right: the
root mean square of (found − true) / standard deviation, which should be 1 where there is noise, and how many
of the true values lie in the central 90 %. For our own methods that is said of scores.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import sysid_peer
from numpy.typing import NDArray
from reproductions.tables import RESULTS

from sim2real.identify import Method, Request
from sim2real.identify.run import fit
from sim2real.identify.search import Journal
from sim2real.logs import Log
from sim2real.progress import Progress
from tests.identify.twolink import asked, measured, objective, program, true_scores

Floats = NDArray[np.float64]
NOISES = (0.0, 0.05)
CANDIDATES = 300
SAMPLED = "sampled"
INNER = 1.645
"""Half the width of a normal distribution's central 90 %, in standard deviations."""
Found = tuple[Floats, Floats, int, int]
"""Values (d,), (found − true) / spread (d,), candidates, and whether it was sampled."""


def main(arms: int) -> None:
    """Identify so many arms by each method, and write the table."""
    made = program()
    head = ["method", "noise", *made.names, "posterior", "in 90 %", "candidates", "s"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    ways: dict[str, Callable[[Log, dict[str, float], int], Found]] = {
        method: lambda *told, method=method: _ours(*told, method) for method in get_args(Method)
    }
    for method in ("both", "evolution"):
        ways[f"{method}, {SAMPLED}"] = lambda *told, method=method: _ours(*told, method, SAMPLED)
    ways["`mujoco.sysid`"] = _peer
    for noise in NOISES:
        for name, way in ways.items():
            if not noise and name.endswith(SAMPLED):
                continue  # Without noise a posterior is a point.
            rows.append(_row(name, way, noise, arms))
            print(" | ".join(rows[-1]), flush=True)
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    folder = RESULTS / "identify"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recovery.md").write_text(
        f"{arms} arms, median (largest) error, from `tools/recovery {arms}`:\n\n{text}"
    )


def _row(name: str, way: Callable[..., Found], noise: float, arms: int) -> list[str]:
    made, errors, ratios, count, seconds, sampled = program(), [], [], 0, 0.0, 0
    for arm in range(arms):
        scores = np.random.default_rng(arm).normal(size=(1, made.d)).clip(-1.5, 1.5)
        v = objective(made, asked(2.4), seconds=2.4).space.values(scores)[0]
        v[-1] = 0.005 * np.round(v[-1] / 0.005)  # a latency is followed in physics steps
        truth = dict(zip(made.names, map(float, v), strict=True))
        log, began = measured(made, noise, asked(2.4), arm, **truth), time.process_time()
        values, ratio, candidates, some = way(log, truth, arm)
        seconds += (time.process_time() - began) / arms
        errors.append(np.abs(values / v - 1))
        ratios.append(ratio)
        count, sampled = count + candidates, sampled + some
    told = [f"{_percent(np.median(e))} ({_percent(max(e))})" for e in np.transpose(errors)]
    wide = [f"{np.sqrt(np.mean(np.square(ratios))):.2f}", f"{np.mean(np.abs(ratios) < INNER):.0%}"]
    name += f" ({sampled} of {arms})" if name.endswith(SAMPLED) else ""
    calibrated = wide if noise else ["", ""]
    return [name, f"{100 * noise:g} %", *told, *calibrated, str(count // arms), f"{seconds:.1f}"]


def _ours(log: Log, truth: dict[str, float], arm: int, method: str, posterior: str = "laplace") -> Found:
    target = objective(program(), log, seconds=2.4)
    request = Request((), Path(), method=method, candidates=CANDIDATES, seed=arm, posterior=posterior)
    found = fit(target, request, Journal(None, ""), Progress.silent())
    off = (found.mean - true_scores(found, truth)) / found.std
    sampled = found.sampling is not None and found.sampling.enough
    return found.space.values(found.best[None])[0], off, target.candidates, int(sampled)


def _peer(log: Log, truth: dict[str, float], _: int) -> Found:
    values, spread, count = sysid_peer.identify(program(), log, CANDIDATES)
    true = np.array(list(truth.values()))
    return values, (values - true) / np.maximum(spread, 1e-12), count, 0


def _percent(share: float) -> str:
    return "< 0.01 %" if share < 1e-4 else f"{100 * share:.{1 if share < 0.1 else 0}f} %"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
