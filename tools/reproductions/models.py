"""What a learned model is worth: planning with it, inferring a world with it, and imagining for a policy."""

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

PENDULUM, BALANCE = "InvertedPendulum", "balance at the middle"
SWAPPED, TRAINED, RANDOM = (
    "balance at another place",
    "trained for the other place",
    "random at the other place",
)
MOST = {PENDULUM: 1000.0, **dict.fromkeys((BALANCE, SWAPPED, TRAINED, RANDOM), 200.0)}
"""Rows of the planner's table, and the most that an episode can be worth."""

ENOUGH, KEPT = {PENDULUM: 0.95, BALANCE: 0.9}, 0.8
"""Shares of the most that are wanted, and the share wanted of what training for the other reward gets."""

AWAY = "assets.mjcf.balance:away"
PLACE = ("env_options.place=0.5",)
"""The other reward, as a planner is given it, and as the worlds pay it."""

CONTEXTS = {"told the context": (), "told nothing": ("train.agent.told=nothing",)}
LOWER = 0.1
"""The error with a context is to be lower by this share."""

STEPS, STEPS_SEED, STEPS_WORLDS = 100, 88_000, 10
"""Random control steps in so many worlds of each domain, that errors are measured on: the same for all."""

EQUAL = "sac, as many updates"
LEARNERS = {
    "mbpo": (),
    EQUAL: ("train.algorithm=sac", "train.agent={learning_starts: 1000, actor_hidden: [128, 128], "
            "critic_hidden: [128, 128], updates_per_step: 4}"),
    "sac": ("train.algorithm=sac", "train.agent={learning_starts: 1000, actor_hidden: [128, 128], "
            "critic_hidden: [128, 128]}"),
}  # fmt: skip


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed."""

    def job(spec: str, label: str, overrides: tuple[str, ...], measure: Any) -> Job:
        return Job(Training("models", f"models/{spec}", seed, label, overrides), measure)

    return [
        job("pets", "pets", (), nominal),
        job("balance", "balance", (), other_reward),
        job("balance", "balance-away", PLACE, nominal),
        *(job("cadm", named(row), own, errors) for row, own in CONTEXTS.items()),
        *(job("mbpo", named(row), own, efficiency) for row, own in LEARNERS.items()),
    ]


def named(row: str) -> str:
    """Return what the training of a row is called."""
    return row.replace(",", "").replace(" ", "-")


def row_of(run: "Run", rows: Any) -> str:
    """Return the row whose training a run is."""
    name = run.path.name.rpartition("-s")[0]
    return next(row for row in rows if named(row) == name)


def scored(bundle: Any, agent: "Agent") -> float:
    """Return the mean return of the deterministic policy on the source; without terms, that is nominal."""
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes

    env = worlds(bundle, bundle.spec.evaluate.episodes, None, 1)
    returns = run_episodes(agent, env, bundle.spec.evaluate.seed).returns
    env.close()
    return float(returns.mean())


def nominal(run: "Run") -> Cells:
    """Return the return of a planner where it was trained."""
    from sim2real.session import reload, trained_agent

    name = run.path.name.rpartition("-s")[0]
    row = {"pets": PENDULUM, "balance-away": TRAINED}[name]
    return {(row, "return"): scored(reload(run), trained_agent(run)[0])}


def other_reward(run: "Run") -> Cells:
    """Return the return of a planner where it was trained, and of it and of chance under the other reward."""
    from sim2real.agents import RandomAgent
    from sim2real.session import CATALOG, reload, trained_agent
    from sim2real.spec import load

    agent = trained_agent(run)[0]
    away = load(run.spec, CATALOG, PLACE)
    agents = {SWAPPED: agent.rewarded(AWAY), RANDOM: RandomAgent(agent.action_space, 0)}  # pyright: ignore
    found = {(row, "return"): scored(away, one) for row, one in agents.items()}
    return {(BALANCE, "return"): scored(reload(run), agent), **found}


def errors(run: "Run") -> Cells:
    """Return a model's one-step errors on held-out domains, all together, and the return on the source."""
    import torch

    from sim2real.envs.domains import fixed
    from sim2real.session import reload, trained_agent

    bundle, agent = reload(run), trained_agent(run)[0]
    row = row_of(run, CONTEXTS)
    moves = [random_moves(bundle, agent, fixed(target.v)) for target in bundle.targets.values()]
    inputs, truth = (torch.cat(parts) for parts in zip(*moves, strict=True))
    with torch.no_grad():
        likelihood, squared = compared(agent.actor.dynamics, inputs, truth)
    found = {"squared error": squared, "NLL": likelihood, "return, source": scored(bundle, agent)}
    return {(row, column): value for column, value in found.items()}


def random_moves(bundle: Any, agent: Any, domains: Any) -> tuple[Any, Any]:
    """Return what a model is told of random moves (n, inputs), and the changes they made (n, obs)."""
    import torch

    from sim2real.agents import Collector, RandomAgent
    from sim2real.evaluation.zeroshot import worlds

    env = worlds(bundle, STEPS_WORLDS, domains, 1)
    collector, random = Collector(env, STEPS_SEED), RandomAgent(agent.action_space, STEPS_SEED)
    inputs, truths, model = [], [], agent.actor
    for _ in range(STEPS):
        step = collector.step(random.act(collector.obs))
        obs, after = agent.layout.flatten(step.obs), agent.layout.flatten(step.next_obs)
        features, action = model.normalizer(obs), model.from_bounds(torch.as_tensor(step.action))
        keep = torch.from_numpy(step.usable)
        with torch.no_grad():
            inputs.append(torch.cat((features[:, agent.plain], model.context(features), action), 1)[keep])
        truths.append((after - obs)[:, agent.plain][keep])
    env.close()
    return torch.cat(inputs), torch.cat(truths)


def compared(dynamics: Any, inputs: Any, truth: Any) -> tuple[float, float]:
    """Return mean negative log-likelihood and squared error of what a model predicts of changes (n, obs).

    The ensemble's prediction is that of its networks' mixture. Changes are in units of their deviation in the
    data itself, which is the same for all models; the reward, which is known, is left out.
    """
    import torch

    mean, log_var, _ = dynamics(inputs)
    deviation, middle = (
        x[: truth.shape[1]].float() for x in (dynamics.scale.var.sqrt(), dynamics.scale.mean)
    )
    unit = truth.std(0)
    mean = (mean[..., : truth.shape[1]] * deviation + middle) / unit
    var = (torch.exp(log_var[..., : truth.shape[1]]) * (deviation / unit) ** 2).clamp_min(1e-8)
    # A mixture of equal Gaussians, as one Gaussian with its mean and variance.
    middle, var = mean.mean(0), var.mean(0) + mean.var(0, correction=0)
    squared = (middle - truth / unit).square()
    likelihood = 0.5 * (squared / var + var.log() + np.log(2 * np.pi))
    return float(likelihood.mean()), float(squared.mean())


def efficiency(run: "Run") -> Cells:
    """Return the return after as many steps as all learners are given."""
    from sim2real.session import reload, trained_agent

    return {(row_of(run, LEARNERS), "return"): scored(reload(run), trained_agent(run)[0])}


def report(results: Results) -> str:
    """Return the three tables, their gates, and how far it is."""
    standing = results.standing([job.training.name for job in jobs(0)], "tools/reproduce models")
    parts = [planner(results), contexts(results), learners(results)]
    return "\n\n".join([part for part in parts if part] + [standing])


def planner(results: Results) -> str:
    """Return the planner's table and gates; nothing without a row."""
    found = {row: results.scores(row, "return") for row in MOST}
    lines = [
        [row, cell(scores), f"{MOST[row]:g}", str(len(scores))]
        for row, scores in found.items()
        if len(scores)
    ]
    if not lines:
        return ""
    gates: list[str] = []
    for row, share in ENOUGH.items():
        if len(found[row]):
            got = float(iqm(found[row])) / MOST[row]
            gates.append(f"- {row}: {got:.1%} of the most (wanted: {share:.0%}) — {verdict(got >= share)}.")
    if len(found[SWAPPED]) and len(found[TRAINED]):
        kept = estimate(lambda a, b: float(iqm(a) / iqm(b)), found[SWAPPED], found[TRAINED])
        gates.append(
            f"- Given the other reward without a new sample, the planner gets {percent(*kept)} of what "
            f"it gets when trained for it (wanted: {KEPT:.0%}) — {verdict(kept[0] >= KEPT)}."
        )
    return "\n\n".join([markdown(["PETS", "return", "most", "seeds"], lines), "\n".join(gates)])


def contexts(results: Results) -> str:
    """Return the table and the gate of contexts; nothing without a row."""
    columns = ("squared error", "NLL", "return, source")
    found = {row: results.table(row, columns) for row in CONTEXTS}
    lines = [
        [row, *(cell(column, 3) for column in scores.T), str(len(scores))]
        for row, scores in found.items()
        if len(scores)
    ]
    if not lines:
        return ""
    table = markdown(["CaDM, held-out motors", *columns, "seeds"], lines)
    if not all(len(scores) for scores in found.values()):
        return table
    told, blind = (scores[:, 0] for scores in found.values())
    less = estimate(lower, told, blind)
    return (
        f"{table}\n\n- With a context the one-step error is lower by {percent(*less)} "
        f"(wanted: {LOWER:.0%}) — {verdict(less[0] >= LOWER)}."
    )


def lower(told: Floats, blind: Floats) -> float:
    """Return by which share one error is lower than another."""
    return float(1.0 - iqm(told) / iqm(blind))


def learners(results: Results) -> str:
    """Return the table of sample efficiency; nothing without a row."""
    lines = [
        [row, cell(scores), str(len(scores))]
        for row in LEARNERS
        if len(scores := results.scores(row, "return"))
    ]
    return markdown(["HalfCheetah, few steps", "return", "seeds"], lines) if lines else ""


models = Study("models", jobs, report)
