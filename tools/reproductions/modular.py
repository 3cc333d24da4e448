"""Robots and tasks put together that never met in training: modular policies, leave-one-out over pairs."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.results import Floats, Results, cell, estimate, percent, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.agents import Agent
    from sim2real.runs import Run

ROBOTS, TASKS = ("even", "uneven", "triple"), ("reach", "avoid", "mirror")
PAIRS = tuple(f"{robot}_{task}" for robot in ROBOTS for task in TASKS)
"""Members of `assets/specs/sets/modular.yaml`."""

JOINT, ZERO, WRONG = "trained jointly", "zero-shot", "a wrong module"
ONE, EXPERT, RANDOM = "one network", "an expert each", "random"
"""Rows: the modular policy on pairs it was trained on, and on the one it was not; that one with the best of
four wrong modules; an ordinary policy that is told by one-hots, trained on all pairs; one such for each pair,
trained on that alone; random actions."""

STEPS, WORLDS = 12_500, 14
"""Environment steps and worlds of each pair that is trained on, whatever their number."""

EPISODES, KEPT, BETTER = 100, 0.7, 2.0
"""Episodes of a score; the share of what joint training reaches that a pair never trained on is to keep, and
how many times the share of the best wrong module that is to be. Both are means over the nine pairs."""


def jobs(seed: int) -> list[Job]:
    """Return a seed's twenty trainings: on all pairs in two ways, without each in turn, and on each alone."""
    whole = [
        Job(_training("modular", "jointly", seed, 9), measure_whole),
        Job(_training("multitask", "one-network", seed, 9), measure_whole),
    ]
    without = [Job(_without(pair, seed), measure_held_out) for pair in PAIRS]
    return whole + without + [Job(_alone(pair, seed), measure_expert) for pair in PAIRS]


def _without(pair: str, seed: int) -> Training:
    return _training("modular", f"without-{pair}", seed, 8, f"envs.{pair}.held_out=true")


def _alone(pair: str, seed: int) -> Training:
    others = (f"envs.{other}.held_out=true" for other in PAIRS if other != pair)
    return _training("multitask", f"expert-{pair}", seed, 1, *others)


def _training(spec: str, label: str, seed: int, pairs: int, *overrides: str) -> Training:
    sizes = f"train.steps={STEPS * pairs}", f"train.num_envs={WORLDS * pairs}"
    return Training("modular", f"sets/{spec}", seed, label, (*sizes, *overrides))


def measure_whole(run: "Run") -> Cells:
    """Return the mean returns on all pairs of a policy trained on them; and those of random actions."""
    from sim2real.agents import RandomAgent
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    if bundle.spec.train.algorithm != "modular":
        return {(ONE, pair): mean_return(part, agent) for pair, part in bundle.members.items()}
    found: Cells = {}
    for pair, part in bundle.members.items():
        found[JOINT, pair] = mean_return(part, agent)
        found[RANDOM, pair] = mean_return(part, RandomAgent(agent.action_space, bundle.spec.evaluate.seed))
    return found


def measure_held_out(run: "Run") -> Cells:
    """Return the mean return on the pair that was held out, and with the best of the wrong modules."""
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    ((pair, part),) = [(name, part) for name, part in bundle.members.items() if part.held_out]
    wrong = [mean_return(replace(part, label=label), agent) for label in wrong_labels(part.label)]
    return {(ZERO, pair): mean_return(part, agent), (WRONG, pair): max(wrong)}


def measure_expert(run: "Run") -> Cells:
    """Return the mean return on the one pair that was trained."""
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    ((pair, part),) = [(name, part) for name, part in bundle.members.items() if not part.held_out]
    return {(EXPERT, pair): mean_return(part, agent)}


def wrong_labels(label: Any) -> list[Any]:
    """Return the labels under which another task's module acts, or another robot's, but not both."""
    found = []
    for kind in ("task", "robot"):
        own, count = getattr(label, kind)
        found += [replace(label, **{kind: (other, count)}) for other in range(count) if other != own]
    return found


def mean_return(part: Any, agent: "Agent") -> float:
    """Return the mean return over episodes of one pair."""
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    env = worlds(part, EPISODES, None, 1)
    returns = run_episodes(agent, env, part.spec.evaluate.seed).returns
    env.close()
    return float(returns.mean())


def share(scores: Floats, joint: Floats, random: Floats) -> Floats:
    """Return scores (pairs,) between random actions (0) and joint training (1), of interquartile means.

    Args:
        scores: Of each seed and pair (seeds, pairs); so are the others.
        joint: What counts as 1.
        random: What counts as 0.
    """
    own, one, zero = (np.asarray(iqm(each, axis=0)) for each in (scores, joint, random))
    return (own - zero) / (one - zero)


def mean_share(scores: Floats, joint: Floats, random: Floats) -> float:
    """Return the mean over pairs of what `share` does."""
    return float(share(scores, joint, random).mean())


def report(results: Results) -> str:
    """Return the table, the gates' verdicts, and how far it is."""
    found = {row: results.table(row, PAIRS) for row in (RANDOM, JOINT, ZERO, WRONG, ONE, EXPERT)}
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce modular")
    if not all(len(each) for row, each in found.items() if row != EXPERT):
        return standing
    scales = found[JOINT], found[RANDOM]
    others = {row: found[row] for row in (ZERO, WRONG, ONE, EXPERT) if len(found[row])}
    each = [[f"{one:.0%}" for one in share(scores, *scales)] for scores in others.values()]
    lines = [
        [pair.replace("_", ", "), *(cell(found[row][:, i]) for row in (RANDOM, JOINT)), *shares]
        for i, (pair, *shares) in enumerate(zip(PAIRS, *each, strict=True))
    ]
    means = {row: estimate(mean_share, scores, *scales) for row, scores in others.items()}
    lines.append(["**mean**", "", "", *(percent(*mean) for mean in means.values())])
    zero, wrong = means[ZERO], means[WRONG]
    verdicts = [
        f"- A pair that was never trained reaches {percent(*zero)} of what joint training does (wanted: "
        f"{KEPT:.0%}) — {verdict(zero[0] >= KEPT)}.",
        f"- With the best of four wrong modules it would be {percent(*wrong)} (wanted: at most half of that) "
        f"— {verdict(zero[0] >= BETTER * wrong[0])}.",
    ]
    head = ["robot and task", "random actions", JOINT, *others]
    return "\n\n".join([markdown(head, lines), "\n".join(verdicts), standing])


modular = Study("modular", jobs, report)
