"""Policy distillation (Rusu et al. 2015, arXiv 1511.06295): smaller students, several teachers, online."""

import json
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from reproductions.distilled import ENTROPY, geometric_mean, kept, online_text, shares
from reproductions.results import Floats, Results, cell, estimate, percent, verdict
from reproductions.study import Study
from reproductions.tables import markdown
from reproductions.trainings import Cells, Job, Taught, Training

if TYPE_CHECKING:
    from sim2real.runs import Run

TASKS = ("pendulum", "reacher", "pusher")
WANTED = {"25 %": 0.98, "7 %": 0.95, "4 %": 0.80}
"""Gates: geometric means over tasks of what students keep of their teachers' returns, by their sizes."""

STUDENTS = {
    "25 %": (0.25, "kl", "student"),
    "7 %": (0.07, "kl", "student"),
    "4 %": (0.04, "kl", "student"),
    "7 %, nll": (0.07, "nll", "student"),
    "7 %, mse": (0.07, "mse", "student"),
    "7 %, teacher drives": (0.07, "kl", "teacher"),
}
"""Share of the teacher's parameters, loss and driver of every student of one teacher."""

STEPS = 60_000
"""Environment steps of every student, each a labelled state; Rusu et al. label 54 000."""

MOTORS = {"weak": 0.5, "middle": 1.0, "strong": 2.0}
"""Targets of the spec of several teachers, and the factor that each teacher's motor has."""

MULTI = 0.9
"""Gate: the least share that the student of several teachers keeps of each on its own dynamics."""

EVERY = 5_000
"""Environment steps between two points of an online student's curve."""


@dataclass(frozen=True)
class Watched(Training):
    """A training that keeps what acts in a file every `EVERY` steps, to evaluate it as it was then."""

    def train(self, run: "Run") -> None:
        """Train, or go on with it; stopped on the way, it goes on from its last checkpoint."""
        import torch

        from sim2real.progress import Progress
        from sim2real.session import Session

        (run.path / "policies").mkdir(exist_ok=True)
        with run.policy.locked():
            session = Session(run, "policy")
            loop = session.loop
            while loop.steps < session.bundle.spec.train.steps:
                before = loop.steps // EVERY
                session.step(Progress.silent())
                if loop.steps // EVERY > before:
                    file = run.path / "policies" / f"{loop.steps // EVERY * EVERY}.pt"
                    torch.save(loop.agent.policy_state_dict(), file)
            session.finish()


def jobs(seed: int) -> list[Job]:
    """Return the trainings of a seed: teachers, their students, the student of several, and an online one."""
    teachers = [Job(_teacher(task, seed), partial(measure_teacher, task=task)) for task in TASKS]
    students = [
        Job(training, partial(measure_student, task=task, name=name), training.teachers)
        for task in TASKS
        for name in STUDENTS
        for training in [_student(task, name, seed)]
    ]
    several = _several(seed)
    motors = [Job(one, _nothing) for one in several.teachers if one.name in MOTORS]
    taught = Job(several, measure_several, several.teachers)
    return [*teachers, *students, *motors, taught, Job(_online(seed), measure_online)]


def _teacher(task: str, seed: int) -> Training:
    return Training("distill", f"distill/{task}", seed)


def _student(task: str, name: str, seed: int) -> Taught:
    share, loss, driver = STUDENTS[name]
    teacher = _teacher(task, seed)
    agent = {"teachers": [_folder(teacher)], "hidden": widths(task, share), "loss": loss, "driver": driver}
    label = f"{task}-{name.replace(' %', '').replace(', ', '-').replace(' ', '-')}"
    settings = ("train.algorithm=distillation", f"train.steps={STEPS}", "train.num_envs=32", _agent(agent))
    return Taught("distill", f"distill/{task}", seed, label, settings, (teacher,))


def _several(seed: int) -> Taught:
    """Return the training of the student of several teachers; at the nominal motor pendulum's own teaches."""
    teachers = {at: _of_motor(at, factor, seed) for at, factor in MOTORS.items()}
    lessons = [{"run": _folder(teacher), "at": at} for at, teacher in teachers.items()]
    agent = {"teachers": lessons, "hidden": widths("pendulum", 0.25)}
    return Taught("distill", "distill/motors", seed, "", (_agent(agent),), tuple(teachers.values()))


def _of_motor(label: str, factor: float, seed: int) -> Training:
    if factor == 1.0:
        return _teacher("pendulum", seed)
    # A pendulum's teacher in all but the motor, which the students' spec names.
    motor = f'randomize={{motor: {{type: motor_strength, select: ".*", scale: {factor}}}}}'
    return Training("distill", "distill/pendulum", seed, label, (motor, "train.baseline=false"))


def _online(seed: int) -> Watched:
    return Watched("distill", "distill/hopper", seed, "online")


def _folder(training: Training) -> str:
    # Seen from the repository, where tools/reproduce runs: the same in every copy of it.
    return f"runs/{training.group}/{training.folder.name}"


def _agent(settings: dict[str, Any]) -> str:
    return f"train.agent={json.dumps(settings)}"


@cache
def widths(task: str, share: float) -> tuple[int, int]:
    """Return the hidden widths of a student of a share of its teacher's parameters."""
    from sim2real.agents.base import bounded_box
    from sim2real.agents.replay import ObservationLayout
    from sim2real.envs.make import make_worlds
    from sim2real.session import CATALOG
    from sim2real.spec import load
    from sim2real.transfer.sizes import widths_for

    bundle = load(_teacher(task, 0).file, CATALOG)
    env = make_worlds(bundle.spec.env, bundle.spec.env_options, bundle.program, 1, threads=1)
    features = ObservationLayout.of(env.single_observation_space).size
    actions = bounded_box(env.single_action_space).shape[0]
    env.close()
    return widths_for(share, features, actions, bundle.spec.train.agent["actor_hidden"])


def _nothing(run: "Run") -> Cells:
    del run
    return {}


def _returns(run: "Run", policies: dict[str, Any], places: dict[str, Any]) -> Cells:
    """Return the interquartile mean over episodes of every policy at every place."""
    from sim2real.evaluation.zeroshot import compare
    from sim2real.progress import Progress
    from sim2real.session import reload

    bundle = reload(run)
    found = compare(bundle, bundle.spec.evaluate, policies, places, Progress.silent())
    return {(who, place): float(one["iqm"]) for who, own in found.items() for place, one in own.items()}


def _random(agent: Any) -> Any:
    from sim2real.agents import RandomAgent

    return RandomAgent(agent.action_space, 0)


def measure_teacher(run: "Run", task: str) -> Cells:
    """Return the returns of a teacher, and of the random policy, which counts as nothing."""
    from sim2real.session import trained_agent

    agent, _ = trained_agent(run)
    found = _returns(run, {"teacher": agent, "random": _random(agent)}, {"source": None})
    return {(task, who): score for (who, _), score in found.items()}


def measure_student(run: "Run", task: str, name: str) -> Cells:
    """Return a student's return, and its entropy less its teacher's by dimension, before the tanh [nat].

    The entropy of a Gaussian is the sum of its log deviations and a constant. States are those that the
    student has learned from.
    """
    import torch

    from sim2real.session import trained_agent
    from sim2real.transfer.distillation import Distillation

    agent, _ = trained_agent(run)
    assert isinstance(agent, Distillation)
    obs, label = agent.student.memory.sample(8_192, torch.Generator().manual_seed(0))
    with torch.no_grad():
        more = float((agent.student.gaussian(obs).log_std - label.log_std).mean())
    found = _returns(run, {name: agent}, {"source": None})
    return {(task, name): found[name, "source"], (f"{task}, entropy", name): more}


def measure_several(run: "Run") -> Cells:
    """Return what the student, each of its teachers and the random policy reach with every motor."""
    from sim2real.envs.domains import fixed
    from sim2real.session import reload, trained_agent
    from sim2real.transfer.distillation import Distillation

    agent, _ = trained_agent(run)
    assert isinstance(agent, Distillation)
    taught = {f"motors: {at}": one.learner for at, one in zip(MOTORS, agent.teachers, strict=True)}
    policies = taught | {"motors: student": agent, "motors: random": _random(agent)}
    return _returns(run, policies, {at: fixed(one.v) for at, one in reload(run).targets.items()})


def measure_online(run: "Run") -> Cells:
    """Return the learner's and the student's returns at every kept point of training."""
    import torch

    from sim2real.session import trained_agent
    from sim2real.transfer.online import OnlineDistillation

    agent, _ = trained_agent(run)
    assert isinstance(agent, OnlineDistillation)
    found = _returns(run, {"online: random": _random(agent)}, {"source": None})
    for file in sorted((run.path / "policies").iterdir(), key=lambda one: int(one.stem)):
        agent.load_policy_state_dict(torch.load(file))
        both = {"online: learner": agent.learner, "online: student": agent}
        now = _returns(run, both, {"source": None})
        found |= {(who, file.stem): score for (who, _), score in now.items()}
    return found


def report(results: Results) -> str:
    """Return the tables and verdicts of what there is; draw the online curves."""
    names = [job.training.name for job in jobs(0)]
    standing = results.standing(names, "tools/reproduce distill")
    parts = [*compression(results), *several(results), *online_text(results, points()), standing]
    return "\n\n".join(parts)


@cache
def points() -> tuple[str, ...]:
    """Return the steps at which online curves are evaluated."""
    from sim2real.session import CATALOG
    from sim2real.spec import load

    online = _online(0)
    steps = load(online.file, CATALOG, online.settings).spec.train.steps
    return tuple(str(step) for step in range(EVERY, steps + 1, EVERY))


def compression(results: Results) -> list[str]:
    """Return the table of students of one teacher with its verdicts; nothing before each has a seed."""
    found = {
        name: [shares(results.table(task, ("random", "teacher", name))) for task in TASKS]
        for name in STUDENTS
    }
    if not all(len(own) for every in found.values() for own in every):
        return []
    means = {name: estimate(geometric_mean, *every) for name, every in found.items()}
    entropy = {
        name: [np.abs(results.scores(f"{task}, entropy", name)) for task in TASKS] for name in STUDENTS
    }
    lines = [
        [name, *(cell(100 * own, 3) for own in every), percent(*means[name]), _most(entropy[name])]
        for name, every in found.items()
    ]
    head = ["student", *(f"{task} [%]" for task in TASKS), "geometric mean", "entropy off, at most [nat/dim]"]
    return [markdown(head, lines), "\n".join(_verdicts(means, entropy))]


def _most(off: list[Floats]) -> str:
    return f"{max(float(own.max()) for own in off):.2f}"


def _verdicts(means: dict[str, tuple[float, float, float]], entropy: dict[str, list[Floats]]) -> list[str]:
    """Say whether sizes, losses, drivers and entropies are as wanted."""
    sizes = [
        f"- {name} of the parameters keep {percent(*means[name])} of the return (wanted: {least:.0%}) — "
        f"{verdict(means[name][0] >= least)}."
        for name, least in WANTED.items()
    ]
    kl, nll, teacher = (means[name][0] for name in ("7 %", "7 %, nll", "7 %, teacher drives"))
    off = max(float(own.max()) for own in entropy["7 %"])
    return [
        *sizes,
        f"- KL against likelihood: {kl:.2%} against {nll:.2%} (wanted: no less) — {verdict(kl >= nll)}.",
        f"- Driven by the student against by the teacher, as many labels: {kl:.2%} against {teacher:.2%} "
        f"(wanted: no less) — {verdict(kl >= teacher)}.",
        f"- Entropy of the 7 % students, KL, in the worst seed and task: {off:.2f} nat a dimension off "
        f"(wanted: within {ENTROPY}) — {verdict(off <= ENTROPY)}.",
    ]


def several(results: Results) -> list[str]:
    """Return the table of several teachers and their student, with the verdict; nothing before a seed."""
    rows = {who: results.table(f"motors: {who}", tuple(MOTORS)) for who in (*MOTORS, "student", "random")}
    if not all(map(len, rows.values())):
        return []
    columns = enumerate(MOTORS)
    own = [np.stack([rows[w][:, i] for w in ("random", at, "student")], 1) for i, at in columns]
    least = estimate(lambda *every: min(kept(one) for one in every), *own)
    lines = [[who, *map(cell, scores.T)] for who, scores in rows.items()]
    table = markdown(["policy", *(f"motor × {factor:g}" for factor in MOTORS.values())], lines)
    said = (
        f"- The student of three teachers, which is not told whose motor it has, keeps at least "
        f"{percent(*least)} of each with its own (wanted: {MULTI:.0%}) — {verdict(least[0] >= MULTI)}."
    )
    return [table, said]


distill = Study("distill", jobs, report)
