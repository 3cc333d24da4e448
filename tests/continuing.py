"""Runs that are begun, and interrupted, and what is compared when they have gone on."""

import torch

from sim2real.progress import Progress
from sim2real.runs import Run
from sim2real.session import Session, trained_agent
from sim2real.train import start


def begun_with(folder, text, name="run") -> Run:
    """Begin a run of a spec's text in a folder, beside the file."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return start(path, (), folder / name)


def interrupted(run: Run, steps: int) -> None:
    """Train until so many steps, save, as SIGINT does, and leave it there."""
    session = Session(run, "policy")
    while session.loop.steps < steps:
        session.step(Progress.silent())
    session.save()
    session.env.close()


def parameters(run, part="policy"):
    agent, _ = trained_agent(run, part)
    return [*agent.actor.state_dict().values(), *agent.critic.state_dict().values(), agent.log_alpha]


def curves(run):
    return [{k: v for k, v in row.items() if k != "steps_per_s"} for row in run.policy.rows()]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
