"""The learning gates of textbook soft actor-critic."""

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reproductions.pages import refresh
from reproductions.tables import RESULTS, insert, merge, write
from reproductions.trainings import Cells, Job, Training, carry_out

if TYPE_CHECKING:
    from sim2real.runs import Run

EPISODES, SEEDS = 20, 3


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
    """Train the learning gates of SAC over several seeds; write curves, a summary and the table."""
    gates = [gate for gate in GATES if arguments.only in (None, gate.spec)]
    seeds = range(0 if arguments.tables else arguments.seeds or SEEDS)
    jobs = [(gate, Training("sac", f"sac/{gate.spec}", seed)) for gate in gates for seed in seeds]
    for _ in carry_out([Job(training, _nothing) for _, training in jobs], arguments.jobs):
        pass
    summary = RESULTS / "sac" / "summary.csv"
    rows = merge(summary, [score(gate, training) for gate, training in jobs])
    write(summary, rows)
    table = gate_table(rows)
    print(table)
    insert("sac", table)
    refresh()


def _nothing(run: "Run") -> Cells:
    del run
    return {}


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


def score(gate: Gate, training: Training) -> dict[str, str]:
    """Evaluate a trained seed on nominal dynamics, and copy its curve."""
    from sim2real.envs.make import make_worlds
    from sim2real.evaluation.statistics import iqm
    from sim2real.rollout import run_episodes
    from sim2real.runs import open_run
    from sim2real.session import reload, trained_agent

    run = open_run(training.folder)
    agent, steps = trained_agent(run)
    bundle = reload(run)
    settings = bundle.spec.evaluate
    env = make_worlds(bundle.spec.env, {}, bundle.program, EPISODES, None, settings.seed)
    episodes = run_episodes(agent, env, settings.seed)
    returned = float(iqm(episodes.returns))
    success = None if episodes.success is None else float(episodes.success.mean())
    columns = ("step", "return", "success", "entropy", "alpha")
    curve = [{key: row.get(key, "") for key in columns} for row in run.policy.rows()]
    write(RESULTS / "sac" / f"{training.folder.name}.csv", curve[:: max(1, len(curve) // 50)])
    return {
        "spec": gate.spec,
        "env": bundle.spec.env,
        "seed": str(training.seed),
        "steps": str(steps),
        "return": f"{returned:.1f}",
        "success": "" if success is None else f"{success:.2f}",
        "score": f"{returned if gate.score == 'return' else success:.5g}",
        "wanted": f"{gate.wanted:g}",
    }
