"""What knowing the domain is worth, and finding it out: universal policies, UP-OSI, RMA, blind actors."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.results import Floats, Results, cell, decided, estimate, percent, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

METHODS = ("blind", "asymmetric", "universal", "up_osi", "rma")
OTHERS = {
    "universal": {"told of another world": "permuted", "told nothing": "hidden"},
    "up_osi": {"told the truth": "true"},
    "rma": {"told the truth": "true"},
}
"""What else may be told to a policy when it acts: rows of their own."""

CORNERS = (-0.9, 0.9)
"""Encoder and mass at the ends of the source, on its scale from -1 to 1: the columns' four corners."""

EPISODES, GAIN, KEPT = 100, 1.1, 0.9
"""Episodes of an evaluation on the source; how much better than blind a universal policy is to be in the
corners, and how much of what the truth is worth an estimate is to keep."""


def jobs(seed: int) -> list[Job]:
    """Return the five trainings of a seed."""
    return [Job(Training("contextual", f"contextual/{method}", seed), measure) for method in METHODS]


def measure(run: "Run") -> Cells:
    """Return the mean return on the source and in its corners by what is told, and R² of estimates."""
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.estimator import estimator_r2
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    method = run.path.name.rpartition("-s")[0]
    told: dict[str, Any] = OTHERS.get(method, {})
    agents = {
        method: agent,
        **{f"{method}, {who}": agent.clone({"context": own}) for who, own in told.items()},
    }
    quantiles = (np.array([[a, b] for a in CORNERS for b in CORNERS]) + 1.0) / 2.0
    corners = fixed(bundle.program.values(quantiles))
    found: Cells = {}
    for row, one in agents.items():
        found[row, "source"] = mean_return(bundle, one, None)
        found[row, "corners"] = mean_return(bundle, one, corners)
    if method in ("up_osi", "rma"):
        explained = estimator_r2(bundle, agent, bundle.spec.evaluate)
        found |= {(method, f"R² {name}"): value for name, value in explained.items()}
    return found


def mean_return(bundle: Any, agent: "Agent", domains: Any) -> float:
    """Return the mean return over episodes of the source, or of domains in turn.

    The mean, not the interquartile mean: what goes wrong goes wrong at the ends of the source.
    """
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    env = worlds(bundle, EPISODES, domains, 1)
    returns = run_episodes(agent, env, bundle.spec.evaluate.seed).returns
    env.close()
    return float(returns.mean())


def rows() -> list[str]:
    """Return the titles of all rows."""
    return [
        row for method in METHODS for row in (method, *(f"{method}, {who}" for who in OTHERS.get(method, {})))
    ]


def report(results: Results) -> str:
    """Return the table, the gates' verdicts, and how far it is."""
    columns = ("source", "corners")
    found = {row: results.table(row, columns) for row in rows()}
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce contextual")
    lines = [
        [row, *(cell(scores) for scores in each.T), explained(results, row), str(len(each))]
        for row, each in found.items()
        if len(each)
    ]
    if not lines:
        return standing
    table = markdown(["acts on", "source", "corners of it", "R² of the estimate", "seeds"], lines)
    return "\n\n".join([table, *verdicts(found), standing])


def explained(results: Results, row: str) -> str:
    """Return a row's coefficients of determination, by name."""
    scores = {name: results.scores(row, f"R² {name}") for name in ("encoder", "pole_mass", "encoding")}
    return ", ".join(f"{name} {cell(own, 2)}" for name, own in scores.items() if len(own))


def ratio(one: Floats, other: Floats) -> float:
    """Return the interquartile mean over seeds of one by that of another."""
    return float(iqm(one) / iqm(other))


def verdicts(found: dict[str, Floats]) -> list[str]:
    """Say whether the gates are reached; nothing before there is a seed of all that it takes."""
    if not all(len(each) for each in found.values()):
        return []
    source, corners = ({row: each[:, i] for row, each in found.items()} for i in (0, 1))
    gain = estimate(ratio, corners["universal"], corners["blind"])
    wrong = estimate(ratio, source["universal, told of another world"], source["universal"])
    lines = [
        f"- In the corners the universal policy gets {percent(*gain)} of the blind one's return "
        f"(wanted: {GAIN:.0%}) — {verdict(gain[0] >= GAIN)}.",
        f"- Told of another world it keeps {percent(*wrong)} of its return (wanted: less than all of it) — "
        f"{verdict(decided(wrong[2] < 1.0, wrong[2]))}.",
    ]
    for method in ("up_osi", "rma"):
        kept = estimate(ratio, source[method], source[f"{method}, told the truth"])
        lines.append(
            f"- `{method}` keeps {percent(*kept)} of what it gets when told the truth "
            f"(wanted: {KEPT:.0%}) — {verdict(kept[0] >= KEPT)}."
        )
    return ["\n".join(lines)]


contextual = Study("contextual", jobs, report)
