"""What a memory is worth: RL² on a bandit, and recurrent policies where nothing else can tell the domain."""

from functools import cache
from typing import TYPE_CHECKING, Any

from reproductions.results import Floats, Results, cell, estimate, number, percent, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

ARMS, PULLS, TRIALS = 5, 10, 5_000
"""Of the bandit, and trials that a policy is scored on."""

EPISODES = 200
"""On the source that any other policy is scored on."""

BANDIT = 6.4
"""The gate on the bandit: 96 % of what a Bayesian who plans ahead gets."""

KEPT = {"wind": 0.7, "flip": 0.8}
"""The gate: share of a told policy's return that one with a memory is to get."""

BLIND, NEAR = 0.3, 0.1
"""The most that a policy without memory may get in the wind, as a share of a told one's return; and how much
more than it, by the same measure, a memory may keep once it is zeroed."""

TASKS = {"wind": "unseen wind", "flip": "motor either way round"}
TOLD, REMEMBERS, ZEROED, HISTORY, NOTHING = (
    "told the domain (`universal`)",
    "memory (`recurrent_sac`)",
    "the same, memory zeroed",
    "last eight moves (`history_sac`)",
    "nothing (`fast_sac`)",
)
OTHERS = {"history": "history_sac", "nothing": "fast_sac"}
LEARNERS = {"universal": TOLD, "recurrent_sac": REMEMBERS, "history_sac": HISTORY, "fast_sac": NOTHING}
RL2, RL2_ZEROED, RANDOM = "memory (`rl2`)", "the same, memory zeroed", "random"
SHOTS = (0, 1, 2)
BANDIT_TITLE = "bandit"


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed."""
    made = [Training("recurrent", "recurrent/bandit", seed)]
    for task in TASKS:
        made += [Training("recurrent", f"recurrent/{task}{kind}", seed) for kind in ("", "_told")]
        made += [
            Training(
                "recurrent", f"recurrent/{task}_told", seed, f"{task}_{who}", (f"train.algorithm={learner}",)
            )
            for who, learner in OTHERS.items()
        ]
    return [Job(training, measure) for training in made]


def measure(run: "Run") -> Cells:
    """Return the mean return on the source, also with the memory zeroed, and on targets by shots."""
    from sim2real.agents import RandomAgent
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    algorithm, task = bundle.spec.train.algorithm, task_of(run)
    if algorithm == "rl2":
        random = RandomAgent(agent.action_space, bundle.spec.evaluate.seed)
        agents = {RL2: agent, RL2_ZEROED: without(agent), RANDOM: random}
        return {(f"{task}: {row}", "return"): mean_return(bundle, own, TRIALS) for row, own in agents.items()}
    agents = {LEARNERS[algorithm]: agent}
    if algorithm == "recurrent_sac":
        agents[ZEROED] = without(agent)
    found = on_targets(run, f"{task}: {LEARNERS[algorithm]}")
    return found | {
        (f"{task}: {row}", "return"): mean_return(bundle, own, EPISODES) for row, own in agents.items()
    }


def task_of(run: "Run") -> str:
    """Return the task of a run by its folder's name."""
    return run.path.name.rpartition("-s")[0].partition("_")[0]


def without(agent: "Agent") -> "Agent":
    """Return a copy whose memory is zeroed whenever it acts."""
    return agent.clone({"memory": "zeroed"}, keep_replay=False)


def mean_return(bundle: Any, agent: "Agent", episodes: int) -> float:
    """Return the mean return over episodes of the source."""
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    env = worlds(bundle, episodes, None, 1)
    returns = run_episodes(agent, env, bundle.spec.evaluate.seed).returns
    env.close()
    return float(returns.mean())


def on_targets(run: "Run", row: str) -> Cells:
    """Return the mean return over targets, by episodes lived through there where the spec asks for some."""
    from sim2real.evaluation.evaluate import adapt_to
    from sim2real.session import reload

    bundle = reload(run)
    settings = bundle.spec.evaluate
    summaries = [adapt_to(run, found, settings) for found in bundle.targets.values()]
    return {
        (row, f"{k}-shot"): sum(float(own[str(k)]["mean"]) for own in summaries) / len(summaries)
        for k in settings.shots
    }


@cache
def bayes_optimum(arms: tuple[tuple[int, int], ...], pulls: int) -> float:
    """Return the most that any policy can expect of the pulls left, by dynamic programming over beliefs.

    Args:
        arms: How often each arm has paid and not paid; the chances are uniform before.
        pulls: How many are left.
    """
    if pulls == 0:
        return 0.0
    return max(_worth(arms, arm, pulls) for arm in set(arms))


def _worth(arms: tuple[tuple[int, int], ...], arm: tuple[int, int], pulls: int) -> float:
    others = list(arms)
    others.remove(arm)
    paid, not_paid = arm
    chance = (paid + 1) / (paid + not_paid + 2)
    win = bayes_optimum(tuple(sorted([*others, (paid + 1, not_paid)])), pulls - 1)
    lose = bayes_optimum(tuple(sorted([*others, (paid, not_paid + 1)])), pulls - 1)
    return chance * (1.0 + win) + (1.0 - chance) * lose


def rows() -> list[str]:
    """Return all rows, by task."""
    own = (TOLD, REMEMBERS, ZEROED, HISTORY, NOTHING)
    bandit = [f"{BANDIT_TITLE}: {row}" for row in (RL2, RL2_ZEROED, RANDOM)]
    return bandit + [f"{task}: {row}" for task in TASKS for row in own]


def report(results: Results) -> str:
    """Return the table, what was wanted, and how far it is."""
    found = {row: results.scores(row, "return") for row in rows()}
    lines = [
        [*_title(row), cell(scores), *_shots(results, row), str(len(scores))]
        for row, scores in found.items()
        if len(scores)
    ]
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce recurrent")
    if not lines:
        return standing
    columns = ["task", "acts on", "source", *(f"targets, {k}-shot" for k in SHOTS), "seeds"]
    return "\n\n".join([markdown(columns, lines, left=2), *verdicts(found), standing])


def _title(row: str) -> tuple[str, str]:
    task, _, who = row.partition(": ")
    return TASKS.get(task, f"bandit of {ARMS} arms, {PULLS} pulls"), who


def _shots(results: Results, row: str) -> list[str]:
    found = [results.scores(row, f"{k}-shot") for k in SHOTS]
    return [cell(scores) if len(scores) else "" for scores in found]


def ratio(one: Floats, other: Floats) -> float:
    """Return the interquartile mean over seeds of one by that of another."""
    return float(iqm(one) / iqm(other))


def verdicts(found: dict[str, Floats]) -> list[str]:
    """Say whether the gates are reached; nothing before there is a seed of every row.

    Args:
        found: Scores (seeds,) by row.
    """
    if not all(len(scores) for scores in found.values()):
        return []
    best = bayes_optimum(((0, 0),) * ARMS, PULLS)
    own = estimate(lambda one: float(iqm(one)), found[f"{BANDIT_TITLE}: {RL2}"])
    lines = [
        f"- On the bandit RL² gets {number(*own)} of 10 (wanted: {BANDIT}; no policy can "
        f"expect more than {best:.3g}) — {verdict(own[0] >= BANDIT)}."
    ]
    for task, wanted in KEPT.items():
        told, memory, zeroed, blind = (found[f"{task}: {row}"] for row in (TOLD, REMEMBERS, ZEROED, NOTHING))
        kept, none, left = (estimate(ratio, one, told) for one in (memory, blind, zeroed))
        lines.append(
            f"- {TASKS[task].capitalize()}: a memory gets {percent(*kept)} of what being told gets (wanted: "
            f"{wanted:.0%}) — {verdict(kept[0] >= wanted)}; zeroed {percent(*left)} (wanted: at most "
            f"{NEAR:.0%} more than a policy without one) — {verdict(left[0] <= none[0] + NEAR)}."
        )
    none = estimate(ratio, found[f"wind: {NOTHING}"], found[f"wind: {TOLD}"])
    lines.append(
        f"- In the wind a policy without memory gets {percent(*none)} (wanted: less than {BLIND:.0%}) — "
        f"{verdict(none[0] < BLIND)}."
    )
    return ["\n".join(lines)]


recurrent = Study("recurrent", jobs, report)
