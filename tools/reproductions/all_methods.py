"""Every method on one suite, at equal budgets of target episodes, beside a policy trained on each target."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.figures import figure_bytes
from reproductions.results import Floats, Results, cell
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Taught, Training
from sim2real.evaluation.statistics import iqm

if TYPE_CHECKING:
    from sim2real.runs import Run

GROUP, SPEC = "all-methods", "suite/pendulum"
SHOTS = (0, 1, 5, 20)
NOMINAL = {"encoder.add": 0, "pole_mass.scale": 1, "motor.scale": 1, "delay.set": 0}
"""What the terms of the suite are set to for a policy that knows one domain only."""

TARGETS: dict[str, dict[str, Any]] = {
    "off": {"encoder.add": "9 deg"},
    "heavy": {"pole_mass.scale": 10, "motor.scale": 0.5},
    "laggy": {"delay.set": "40 ms"},
    "snagged": {"cable.set": 600},
}
"""The spec's targets, as what a policy trains in that knows one of them only."""

BLIND, FIXED, ORACLE, STUDENT = "fast_sac", "no randomization", "trained on the target", "distillation"
MODES = ("last_layer", "bias", "progressive", "residual", "scratch")
"""Other ways to fine-tune the blind policy than as a whole: rows of their own."""

USUAL = {"learning_starts": 2_000, "updates_per_step": 0.25}
HALVES = {**USUAL, "history": 16, "policy_steps": 64_000}
META = {"steps": 2_000_000, "num_envs": 160, "checkpoint_every": 400_000, "validate_on": 0}
"""Meta-policies are not chosen by validation: what counts is what they can become."""

POLICY_GRADIENT = {"episodes": 5, "gamma": 0.97, "gae_lambda": 0.95, "initial_std": 0.3, "meta_lr": 3e-3}
PLANS = {
    "steps": 5_000,
    "num_envs": 8,
    "checkpoint_every": 1_000,
    "validate_on": 0,
    "agent": {"updates_per_step": 4, "tau": 0.05},
}
"""Planners take few steps, each of which costs much, and would spend more on validation than on training."""

METHODS: dict[str, dict[str, Any]] = {
    BLIND: {},
    FIXED: {},
    "sac": {"algorithm": "sac"},
    "crossq": {"algorithm": "crossq"},
    "soft_q": {
        "algorithm": "soft_q",
        "agent": {**USUAL, "batch_size": 64, "critic_lr": 1e-3, "actor_lr": 1e-3, "target_every": 200},
    },
    "adr": {"curriculum": {"type": "adr", "low": 100, "high": 180, "delta": 0.05, "buffer": 20}},
    "doraemon": {
        "curriculum": {
            "type": "doraemon", "success": 180, "alpha": 0.5, "max_kl": 0.05, "episodes_per_update": 50,
        }
    },
    "epopt": {"curriculum": {"type": "epopt", "epsilon": 0.1, "batch": 100, "warmup_steps": 32_000}},
    "online_distillation": {
        "algorithm": "online_distillation",
        "agent": {"hidden": [32, 32], "learner": BLIND, "settings": USUAL},
    },
    "universal": {"algorithm": "universal"},
    "asymmetric": {"algorithm": "asymmetric", "agent": {**USUAL, "history": 16}},
    "up_osi": {"algorithm": "up_osi", "steps": 128_000, "agent": HALVES},
    "rma": {"algorithm": "rma", "steps": 128_000, "agent": {**HALVES, "latent": 4}},
    "history_sac": {"algorithm": "history_sac"},
    "recurrent_sac": {
        "algorithm": "recurrent_sac",
        "num_envs": 16,
        "agent": {"trial": 2, "returns": "episode", "learning_starts": 2_000},
    },
    "rl2": {
        "algorithm": "rl2",
        "steps": 2_000_000,
        "num_envs": 128,
        "checkpoint_every": 100_000,
        "agent": {"trial": 2, "returns": "episode"},
    },
    "maml": {**META, "algorithm": "maml", "agent": {**POLICY_GRADIENT, "meta_epochs": 3}},
    "pets": {**PLANS, "algorithm": "pets"},
    "cadm": {**PLANS, "algorithm": "cadm"},
    "mbpo": {
        "algorithm": "mbpo",
        "steps": 16_000,
        "num_envs": 16,
        "agent": {"learning_starts": 2_000, "updates_per_step": 1.0},
    },
    "reptile": {**META, "algorithm": "reptile", "agent": {**POLICY_GRADIENT, "inner_steps": 3}},
}  # fmt: skip
"""What differs from the suite's own `train` section, by method."""


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: all methods, a student of the blind one, and one policy a target."""
    made = [_training(method, seed) for method in METHODS]
    blind = next(one for one in made if one.name == BLIND)
    agent = {"teachers": [f"runs/{GROUP}/{blind.folder.name}"], "hidden": [32, 32]}
    settings = _settings({"algorithm": STUDENT, "steps": 12_000, "validate_on": 0, "agent": agent})
    student = Taught(GROUP, SPEC, seed, STUDENT, settings, (blind,))
    return [
        *(Job(one, measure) for one in made),
        Job(student, measure, (blind,)),
        *(Job(_oracle(target, seed), measure_oracle) for target in TARGETS),
    ]


def _training(method: str, seed: int) -> Training:
    fixed = _terms(NOMINAL) if method == FIXED else ()
    return Training(GROUP, SPEC, seed, label(method), (*fixed, *_settings(METHODS[method])))


def _oracle(target: str, seed: int) -> Training:
    settings = (*_terms(NOMINAL | TARGETS[target]), "targets={}")
    return Training(GROUP, SPEC, seed, label(f"{ORACLE} {target}"), settings)


def label(row: str) -> str:
    """Return the name of a row's training."""
    return row.replace(" ", "-")


def _terms(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"randomize.{key}={value}" for key, value in values.items())


def _settings(train: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"train.{key}={json.dumps(value)}" for key, value in train.items())


def measure(run: "Run") -> Cells:
    """Return the mean return on the source, and on every target at every shot; the blind policy's by mode."""
    from sim2real.evaluation.evaluate import adapt_to
    from sim2real.session import reload

    bundle = reload(run)
    row = next(row for row in (*METHODS, STUDENT) if label(row) == run.path.name.rpartition("-s")[0])
    found = {(row, "source"): on_source(run)} if row != FIXED else {}
    for mode in ("all", *MODES) if row == BLIND else ("all",):
        own = row if mode == "all" else f"{row}, {mode}"
        settings = bundle.spec.evaluate.model_copy(update={"finetune": mode, "shots": SHOTS})
        for target in TARGETS:
            shots = adapt_to(run, bundle.targets[target], settings)
            found |= {(own, f"{target} {k}"): float(shots[str(k)]["mean"]) for k in SHOTS}
    return found


def measure_oracle(run: "Run") -> Cells:
    """Return the mean return of a policy on the one target that it was trained on."""
    target = run.path.name.rpartition("-s")[0].rpartition("-")[2]
    return {(ORACLE, f"{target} 0"): on_source(run)}


def on_source(run: "Run") -> float:
    """Return the mean return over 100 episodes of what a policy was trained on.

    The mean, not the interquartile mean: what goes wrong goes wrong at the ends of the source.
    """
    from sim2real.evaluation.zeroshot import worlds
    from sim2real.rollout import run_episodes
    from sim2real.session import reload, trained_agent

    bundle = reload(run)
    env = worlds(bundle, 100, None, 1)
    returns = run_episodes(trained_agent(run)[0], env, bundle.spec.evaluate.seed).returns
    env.close()
    return float(returns.mean())


def rows() -> list[str]:
    """Return all rows: methods, with other ways to fine-tune below the blind one, and the oracle."""
    blind = [BLIND, *(f"{BLIND}, {mode}" for mode in MODES)]
    return [*blind, *(method for method in METHODS if method != BLIND), STUDENT, ORACLE]


def report(results: Results) -> str:
    """Return the table over all targets, and how far it is; draw what each target gives."""
    standing = results.standing([job.training.name for job in jobs(0)], f"tools/reproduce {GROUP}")
    lines = [_line(results, row) for row in rows() if len(scores(results, row, SHOTS[:1]))]
    if not lines:
        return standing
    (results.folder / "targets.png").write_bytes(draw(results))
    shots = (f"{k} episode{'s' * (k != 1)}" for k in SHOTS)
    heads = ["method", "source", *shots, "core-minutes", "seeds"]
    picture = f"![Return by method and target](assets/results/{GROUP}/targets.png)"
    return "\n\n".join([markdown(heads, lines), standing, picture])


def scores(results: Results, row: str, shots: Sequence[int]) -> Floats:
    """Return a row's means over all targets (seeds, shots), of the seeds that have them all."""
    columns = [f"{target} {k}" for k in shots for target in TARGETS]
    return results.table(row, columns).reshape(-1, len(shots), len(TARGETS)).mean(-1)


def _line(results: Results, row: str) -> list[str]:
    shots = SHOTS[:1] if row == ORACLE else SHOTS
    found = scores(results, row, shots)
    cells = [cell(own) for own in found.T] + [""] * (len(SHOTS) - len(shots))
    cost = minutes(results, row)
    spent = "" if math.isnan(cost) else f"{cost:.1f}"
    return [row, cell(results.scores(row, "source")), *cells, spent, str(len(found))]


def minutes(results: Results, row: str) -> float:
    """Return the processor time of a row's training [min], its teacher's with it, or that of all oracles."""
    if row == ORACLE:
        return sum(results.minutes(label(f"{ORACLE} {target}")) for target in TARGETS)
    taught = results.minutes(BLIND) if row == STUDENT else 0.0
    return taught + results.minutes(label(row.partition(", ")[0]))


def draw(results: Results) -> bytes:
    """Draw a map of returns for shot 0 and for the most shots: methods down, targets across."""
    from matplotlib.figure import Figure

    shown = [row for row in rows() if len(scores(results, row, SHOTS[:1]))]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(shown)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, k in zip(panels, (SHOTS[0], SHOTS[-1]), strict=True):
        found = np.full((len(shown), len(TARGETS)), np.nan)
        for y, row in enumerate(shown):
            for x, target in enumerate(TARGETS):
                own = results.scores(row, f"{target} {0 if row == ORACLE else k}")
                if len(own):
                    found[y, x] = iqm(own)
                    axes.text(x, y, f"{found[y, x]:.0f}", ha="center", va="center", fontsize=8)
        axes.imshow(found, vmin=0, vmax=200, cmap="RdYlGn", aspect="auto", alpha=0.8)
        axes.set_xticks(range(len(TARGETS)), list(TARGETS), fontsize=9)
        axes.set_yticks(range(len(shown)), shown, fontsize=9)
        axes.set_title(f"{k} target episodes", fontsize=9)
    return figure_bytes(figure)


all_methods = Study(GROUP, jobs, report)
