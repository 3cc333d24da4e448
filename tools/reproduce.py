"""Rebuilds the committed results in assets/results; run through `tools/reproduce`.

Training is resumable: an interrupted reproduction goes on where it stopped.
"""

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "assets" / "results"
EPISODES = 20
FRAME = 100
"""The picture of the README is this frame of the demo's video."""


@dataclass(frozen=True)
class Gate:
    """A learning gate: a spec, and what its policy must reach on nominal dynamics.

    Attributes:
        spec: Stem of the file in assets/specs/sac.
        score: `return` (interquartile mean over episodes) or `success` (rate).
        wanted: The least score.
    """

    spec: str
    score: str
    wanted: float


GATES = (
    Gate("pendulum", "return", 9000.0),
    Gate("hopper", "return", 2300.0),
    Gate("cheetah", "return", 5500.0),
    Gate("reach", "success", 0.95),
)


def sac(arguments: argparse.Namespace) -> None:
    """Train the learning gates of SAC over several seeds; write curves, a summary and README's table."""
    gates = [gate for gate in GATES if arguments.only in (None, gate.spec)]
    jobs = [(gate, seed) for gate in gates for seed in range(arguments.seeds)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda job: train(job[0].spec, job[1]), jobs))
    summary = RESULTS / "sac" / "summary.csv"
    rows = merge(summary, [score(gate, seed) for gate, seed in jobs])
    write(summary, rows)
    table = gate_table(rows)
    print(table)
    insert("sac", table)


def gate_table(rows: list[dict[str, str]]) -> str:
    """Return the Markdown table of the gates: every seed, and their interquartile mean against the gate."""
    from scipy import stats

    lines = [
        "| environment | steps | score | of each seed | IQM of seeds | wanted | |",
        "| --- | ---: | --- | --- | ---: | ---: | --- |",
    ]
    for gate in GATES:
        mine = [row for row in rows if row["spec"] == gate.spec]
        if not mine:
            continue
        scores = [float(row["score"]) for row in mine]
        middle = float(stats.trim_mean(scores, 0.25))
        verdict = "reached" if middle >= gate.wanted else "**missed**"
        shown = ", ".join(f"{score:g}" for score in scores)
        what = "return" if gate.score == "return" else "success rate"
        cells = [mine[0]["env"], f"{int(mine[0]['steps']):,}", what, shown]
        cells += [f"{middle:.5g}", f"{gate.wanted:g}", verdict]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def demo(arguments: argparse.Namespace) -> None:
    """Run the demo's spec, and copy its table, plot and a frame of its video to where README shows them."""
    run, folder = arguments.run or ROOT / "runs" / "readme", RESULTS / "demo"
    if arguments.run is None:
        if not (run / "meta.json").exists():
            sim2real("train", str(ROOT / "assets" / "specs" / "demo.yaml"), "--out", str(run))
        sim2real("train", "--resume", str(run))
        sim2real("evaluate", str(run))
        sim2real("record", str(run), "--worst")
    import imageio.v2 as imageio

    from sim2real.evaluation.plots import transfer_plot
    from sim2real.evaluation.report import headline, table
    from sim2real.runs import open_run

    opened = open_run(run)
    result = opened.results()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "transfer.png").write_bytes(transfer_plot(result))
    with imageio.get_reader(next((run / "videos").glob("*.mp4"))) as video:
        imageio.imwrite(folder / "frame.png", video.get_data(FRAME))
    insert("demo", f"{table(result)}\n\n{headline(result)}")


def sim2real(*words: str) -> None:
    """Run one command of the toolkit."""
    print("+ sim2real", *words, flush=True)
    subprocess.run([sys.executable, "-m", "sim2real.cli", *words], check=True)


def insert(name: str, text: str) -> None:
    """Replace what stands between README's markers of a name."""
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text().partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def run_folder(spec: str, seed: int) -> Path:
    """Return where a gate's run lies."""
    return ROOT / "runs" / "sac" / f"{spec}-s{seed}"


def train(spec: str, seed: int) -> None:
    """Train one seed, or go on with it; nothing is left to do for a finished one."""
    from sim2real.train import is_finished

    run = run_folder(spec, seed)
    if is_finished(run):
        return
    command = [sys.executable, "-m", "sim2real.cli", "train"]
    if (run / "meta.json").exists():
        command += ["--resume", str(run)]
    else:
        command += [str(ROOT / f"assets/specs/sac/{spec}.yaml"), "--seed", str(seed), "--out", str(run)]
    print("+", " ".join(command[2:]), flush=True)
    begin = time.monotonic()
    log = ROOT / "runs" / "sac" / f"{spec}-s{seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        subprocess.run(command, check=True, stdout=file, stderr=file)
    print(f"  {spec} seed {seed}: {(time.monotonic() - begin) / 60:.1f} min", flush=True)


def score(gate: Gate, seed: int) -> dict[str, str]:
    """Evaluate a trained seed on nominal dynamics, and copy its curve."""
    from sim2real.envs.make import make_worlds
    from sim2real.evaluation.rollout import run_episodes
    from sim2real.evaluation.statistics import iqm
    from sim2real.runs import open_run
    from sim2real.train import reload, trained_agent

    run = open_run(run_folder(gate.spec, seed))
    agent, steps = trained_agent(run)
    bundle = reload(run)
    settings = bundle.spec.evaluate
    env = make_worlds(bundle.spec.env, {}, bundle.program, EPISODES, None, settings.seed)
    episodes = run_episodes(agent, env, settings.seed)
    returned = float(iqm(episodes.returns))
    success = None if episodes.success is None else float(episodes.success.mean())
    columns = ("step", "return", "success", "entropy", "alpha")
    curve = [{key: row.get(key, "") for key in columns} for row in run.policy.rows()]
    write(RESULTS / "sac" / f"{gate.spec}-s{seed}.csv", curve[:: max(1, len(curve) // 50)])
    return {
        "spec": gate.spec,
        "env": bundle.spec.env,
        "seed": str(seed),
        "steps": str(steps),
        "return": f"{returned:.1f}",
        "success": "" if success is None else f"{success:.2f}",
        "score": f"{returned if gate.score == 'return' else success:.5g}",
        "wanted": f"{gate.wanted:g}",
    }


def merge(path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of a summary file with new ones in place of old ones of the same spec and seed."""
    old = list(csv.DictReader(path.open())) if path.exists() else []
    kept = {(row["spec"], int(row["seed"])): row for row in [*old, *rows]}
    return [kept[key] for key in sorted(kept)]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


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
