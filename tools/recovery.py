"""Identifies simulated arms whose parameters are known, by each method; run by `tools/recovery`.

Each arm is drawn from the prior, and logs 2.4 s with noise of 0 or 5 % of a joint's standard deviation. Told
are the median and the largest error over arms, relative to the true value, and how wide posteriors are: the
root mean square of (found − true) / standard deviation, in scores, should be 1 where there is noise.
"""

import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
from reproductions.tables import RESULTS

from sim2real.identify import Method, Request
from sim2real.identify.run import fit
from sim2real.identify.search import Journal
from sim2real.progress import Progress
from tests.identify.twolink import asked, measured, objective, program, true_scores

NOISES = (0.0, 0.05)
CANDIDATES = 300


def main(arms: int) -> None:
    """Identify so many arms by each method, and write the table."""
    made = program()
    head = ["method", "noise", *made.names, "posterior", "candidates", "s"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for noise in NOISES:
        for method in get_args(Method):
            rows.append(_row(method, noise, arms))
            print(" | ".join(rows[-1]), flush=True)
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    folder = RESULTS / "identify"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recovery.md").write_text(
        f"{arms} arms, median (largest) error, from `tools/recovery {arms}`:\n\n{text}"
    )


def _row(method: str, noise: float, arms: int) -> list[str]:
    made, errors, ratios, count, began = program(), [], [], 0, time.process_time()
    for arm in range(arms):
        scores = np.random.default_rng(arm).normal(size=(1, made.d)).clip(-1.5, 1.5)
        v = objective(made, asked(2.4), seconds=2.4).space.values(scores)[0]
        v[-1] = 0.005 * np.round(v[-1] / 0.005)  # a latency is followed in physics steps
        truth = dict(zip(made.names, map(float, v), strict=True))
        target = objective(made, measured(made, noise, asked(2.4), arm, **truth), seconds=2.4)
        request = Request((), Path(), method=method, candidates=CANDIDATES, seed=arm)
        found = fit(target, request, Journal(None, ""), Progress.silent())
        errors.append(np.abs(found.space.values(found.mean[None])[0] / v - 1))
        ratios.append((found.mean - true_scores(found, truth)) / found.std)
        count += target.candidates
    seconds = (time.process_time() - began) / arms
    told = [f"{_percent(np.median(e))} ({_percent(max(e))})" for e in np.transpose(errors)]
    wide = f"{np.sqrt(np.mean(np.square(ratios))):.2f}" if noise else ""
    return [method, f"{100 * noise:g} %", *told, wide, str(count // arms), f"{seconds:.1f}"]


def _percent(share: float) -> str:
    return "< 0.01 %" if share < 1e-4 else f"{100 * share:.{1 if share < 0.1 else 0}f} %"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
