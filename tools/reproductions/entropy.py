"""Does a policy of high entropy transfer better? After Haarnoja et al. 2017, section 5.3.

Rows differ in the temperature, or the target entropy, of the same algorithm. One keeps its entropy all along,
one has next to none while it is trained and while it adapts. A third is trained like the second and adapts
like the first, so that what it lacks is only what pre-training has left in the networks.
"""

from typing import TYPE_CHECKING

import numpy as np

from reproductions.figures import curve, figure_bytes
from reproductions.results import Floats, Results, cell, estimate, number, percent, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

SOFT, HARD, SOFTENED = "high entropy", "nearly deterministic", "nearly deterministic, then high entropy"
ROWS = (SOFT, HARD, SOFTENED)
CORRIDORS = ("east", "north", "west", "south")
CORRIDOR_SHOTS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60)
THROUGH, FASTER, OF_CORRIDORS = 5.0, 0.5, 0.75
"""Return that only policies reach which get through the open corridor [m] (its gate stops others at 2.7), and
the gate: at most half the time to it, in at least three quarters of the corridors."""

HOPPERS = ("light", "heavy")
HOPPER_SHOTS = (0, 1, 5, 20)
COOL = {"corridors": {"temperature": 0.002}, "hopper": {"target_entropy": -12.0}}
"""Settings of `hard`: a temperature, or entropy [nat] four times as far below 0 as by default."""


def jobs(seed: int) -> list[Job]:
    """Return the four trainings of a seed: two tasks, with and without entropy."""
    return [
        Job(Training("entropy", f"entropy/{task}", seed, label(task, row), settings(task, row)), measure)
        for task in COOL
        for row in (SOFT, HARD)
    ]


def label(task: str, row: str) -> str:
    """Return the name of a training."""
    return f"{task}-{'soft' if row == SOFT else 'hard'}"


def settings(task: str, row: str) -> tuple[str, ...]:
    """Return the overrides of a training."""
    return tuple(f"train.agent.{key}={value}" for key, value in COOL[task].items() if row == HARD)


def measure(run: "Run") -> Cells:
    """Adapt a policy to every target and return its return at every shot, by row and `TARGET SHOT`."""
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    task, kind = run.path.name.rpartition("-s")[0].split("-")
    shots = CORRIDOR_SHOTS if task == "corridors" else HOPPER_SHOTS
    rows: dict[str, Agent] = {SOFT if kind == "soft" else HARD: agent}
    if kind == "hard":
        warm = load_defaults(task)
        rows[SOFTENED] = agent.clone(warm, keep_replay=False)
    return {
        (row, f"{target} {k}"): value
        for row, one in rows.items()
        for target, found in bundle.targets.items()
        for k, value in adapted(run, one, found.v, shots).items()
    }


def load_defaults(task: str) -> dict[str, float | str]:
    """Return the settings that `soft` has where `hard` has its own."""
    from reproductions.tables import ROOT
    from sim2real.session import CATALOG
    from sim2real.spec import load

    bundle = load(ROOT / "assets" / "specs" / "entropy" / f"{task}.yaml", CATALOG)
    config = (CATALOG.agents or {})[bundle.spec.train.algorithm].model_validate(bundle.spec.train.agent)
    return {key: getattr(config, key) for key in COOL[task]}


def adapted(run: "Run", agent: "Agent", domain: Floats, shots: tuple[int, ...]) -> dict[int, float]:
    """Return an agent's return (interquartile mean over episodes) after each number of target episodes."""
    from sim2real.envs.domains import fixed
    from sim2real.evaluation.fewshot import adapt
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes
    from sim2real.session import reload

    bundle = reload(run)
    chosen, place = bundle.spec.evaluate, fixed(domain)
    scored, single = worlds(bundle, chosen.episodes, place, 1), worlds(bundle, 1, place, 1)
    found = {
        k: float(iqm(run_episodes(copy, scored, chosen.seed).returns))
        for k, copy, _ in adapt(agent, single, shots, chosen, chosen.seed + TARGET_SEED)
    }
    scored.close()
    single.close()
    return found


TARGET_SEED = 10_000
"""Set off from the episodes that policies are evaluated on."""


def columns(targets: tuple[str, ...], shots: tuple[int, ...]) -> list[str]:
    """Return the columns of targets at shots."""
    return [f"{target} {k}" for target in targets for k in shots]


def curves(results: Results, row: str, targets: tuple[str, ...], shots: tuple[int, ...]) -> Floats:
    """Return the returns (seeds, targets, shots) of a row."""
    return results.table(row, columns(targets, shots)).reshape(-1, len(targets), len(shots))


def times(returns: Floats) -> Floats:
    """Return the target episodes until a corridor is passed (seeds, corridors).

    One that is not passed within the last shot counts as passed at it, which flatters who does not pass.

    Args:
        returns: By seed, corridor and shot.
    """
    passed = returns >= THROUGH
    first = np.where(passed.any(-1), passed.argmax(-1), len(CORRIDOR_SHOTS) - 1)
    return np.array(CORRIDOR_SHOTS, float)[first]


def faster(soft: Floats, hard: Floats) -> Floats:
    """Return, by corridor, the mean time of one by that of another (corridors,); 0 where both need none.

    Args:
        soft: Times (seeds, corridors).
        hard: The same.
    """
    own, other = soft.mean(0), hard.mean(0)
    return np.divide(own, other, out=np.where(own > 0, np.inf, 0.0), where=other > 0)


def report(results: Results) -> str:
    """Return both tables, the verdicts, and how far it is; draw the curves."""
    corridors = {row: curves(results, row, CORRIDORS, CORRIDOR_SHOTS) for row in ROWS}
    hoppers = {row: curves(results, row, HOPPERS, HOPPER_SHOTS) for row in ROWS}
    names = [job.training.name for job in jobs(0)]
    standing = results.standing(names, "tools/reproduce entropy")
    if not any(len(found) for found in corridors.values()):
        return standing
    (results.folder / "curves.png").write_bytes(draw(corridors, hoppers))
    picture = "![Return by target episodes](assets/results/entropy/curves.png)"
    parts = [corridor_table(corridors), *verdicts(corridors), hopper_table(hoppers), standing, picture]
    return "\n\n".join(part for part in parts if part)


def corridor_table(found: dict[str, Floats]) -> str:
    """Return the table of target episodes until a corridor is passed."""
    most = f"≥ {CORRIDOR_SHOTS[-1]}"
    lines = []
    for row, returns in found.items():
        if len(returns):
            each = times(returns)
            never = (returns < THROUGH).all(-1).sum()
            lines.append([row, *(cell(one, 3) for one in each.T), str(never), str(len(each))])
    head = ["target episodes to get through", *CORRIDORS, f"{most} or never", "seeds"]
    return markdown(head, lines)


def verdicts(found: dict[str, Floats]) -> list[str]:
    """Say in how many corridors half the time is enough, against both others; nothing without all rows."""
    said = []
    for other in (HARD, SOFTENED):
        if not len(found[SOFT]) or not len(found[other]):
            continue
        soft, hard = times(found[SOFT]), times(found[other])
        share = estimate(lambda a, b: float((faster(a, b) <= FASTER).mean()), soft, hard)
        ratio = estimate(lambda a, b: float(a.mean() / b.mean()), soft, hard)
        said.append(
            f"- Against *{other}*, *{SOFT}* needs {number(*ratio, '.2f')} of the target "
            f"episodes, and at most half of them in {percent(*share)} of the corridors "
            f"(wanted: {OF_CORRIDORS:.0%}) — {verdict(share[0] >= OF_CORRIDORS)}."
        )
    return ["\n".join(said)]


def hopper_table(found: dict[str, Floats]) -> str:
    """Return the table of returns of hoppers by target and shot; empty without seeds."""
    lines = [
        [row, *(cell(one) for one in returns.reshape(len(returns), -1).T), str(len(returns))]
        for row, returns in found.items()
        if len(returns)
    ]
    head = ["Hopper", *(f"{target}, {k} episodes" for target in HOPPERS for k in HOPPER_SHOTS), "seeds"]
    return markdown(head, lines) if lines else ""


def draw(corridors: dict[str, Floats], hoppers: dict[str, Floats]) -> bytes:
    """Draw return against target episodes, averaged over targets, with intervals over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    panels = (("Corridors", corridors, CORRIDOR_SHOTS), ("Hopper", hoppers, HOPPER_SHOTS))
    for axes, (title, found, shots) in zip(figure.subplots(1, 2), panels, strict=True):
        for row, returns in found.items():
            if len(returns):
                curve(axes, shots, returns.mean(1), row)
        axes.set(xlabel="target episodes", title=title)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("return, mean over targets")
    return figure_bytes(figure)


entropy = Study("entropy", jobs, report)
