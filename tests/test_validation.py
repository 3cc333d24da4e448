"""Validation: always the same episodes, the best checkpoint is the policy, and resuming changes nothing."""

import os

import numpy as np
import pytest
import torch

from sim2real.agents import RandomAgent
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import nominal_model
from sim2real.progress import Progress
from sim2real.rollout import run_episodes
from sim2real.runs import open_run
from sim2real.session import CATALOG, Session, reload, trained_agent, validation_of
from sim2real.spec import Program, SpecError, load
from sim2real.train import start, train
from sim2real.validation import SEED, Validation
from tests.continuing import assert_same, curves, interrupted, parameters

ENV = "InvertedPendulum-v5"
SPEC = """\
env: InvertedPendulum-v5
randomize:
  pole: {type: mass, select: pole, scale: [0.5, 2]}
train:
  steps: 600
  num_envs: 4
  checkpoint_every: 100
  validate_on: 3
  baseline: false
  agent: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100, updates_per_step: 1}
"""


def begin(folder, text=SPEC, *overrides):
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(text)
    return start(folder / "small.yaml", overrides, folder / "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = begin(tmp_path_factory.mktemp("whole"))
    train(run, Progress.silent())
    return run


class Constant:
    """Always pushes the cart as hard."""

    def __init__(self, action):
        self.action = action

    def act(self, obs, deterministic=False):
        return np.full((len(obs), 1), self.action, np.float32)


def scored(values):
    """A validation whose agents score what is given, in turn."""
    validation = Validation(make_worlds(ENV, {}, Program(nominal_model(ENV, {}), {}), 1))
    validation.score = lambda agent: values.pop(0)
    return validation


def test_every_validation_runs_the_same_episodes_on_the_source(whole):
    validation = validation_of(reload(whole), "policy")
    first = validation.score(Constant(0.1))
    validation.score(Constant(1.0))
    assert validation.score(Constant(0.1)) == first
    env = validation._worlds
    run_episodes(Constant(0.0), env, SEED)
    scales = env.applied[:, 0]
    assert len(set(scales)) == 3 and ((scales >= 0.5) & (scales <= 2)).all()


def test_no_worse_than_before_is_an_improvement():
    validation = scored([1.0, 0.5, 1.0, 2.0])
    found = [validation.improved(RandomAgent(validation._worlds.single_action_space, 0)) for _ in range(4)]
    assert found == [True, False, True, True]
    assert validation.best == 2.0 and validation.metrics() == {"validation": 2.0}


def test_an_agent_that_goes_by_scores_is_asked_first():
    class Choosy(Constant):
        def validate(self, score):
            self.seen = score(self)

    validation, agent = scored([3.0, 4.0]), Choosy(0.0)
    assert validation.improved(agent) and agent.seen == 3.0 and validation.best == 4.0


def test_the_policy_is_the_best_checkpoint(whole):
    scores = [float(row["validation"]) for row in whole.policy.rows()]
    assert len(scores) == 6 and np.isfinite(scores).all()
    best = len(scores) - 1 - int(np.argmax(scores[::-1]))
    agent, steps = trained_agent(whole)
    assert steps == 100 * (best + 1)
    assert validation_of(reload(whole), "policy").score(agent) == pytest.approx(max(scores), rel=1e-5)
    assert whole.policy.load()["step"] == 600


def test_the_last_is_the_policy_where_nothing_is_validated(tmp_path):
    run = begin(tmp_path, SPEC.replace("  validate_on: 3\n", ""))
    train(run, Progress.silent())
    assert not run.policy.best.exists()
    assert trained_agent(run)[1] == 600
    assert "validation" not in run.policy.rows()[0]


def test_validating_does_not_change_what_is_learned(whole, tmp_path):
    run = begin(tmp_path, SPEC.replace("  validate_on: 3\n", ""))
    train(run, Progress.silent())
    first, second = (track.load()["loop"]["agent"]["actor"] for track in (run.policy, whole.policy))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("stop", [48, 252, 500])
def test_a_run_that_goes_on_keeps_the_same_best(whole, tmp_path, stop):
    run = begin(tmp_path)
    interrupted(run, stop)
    train(run, Progress.silent())
    assert_same(parameters(run), parameters(whole))
    assert curves(run) == curves(whole)
    assert trained_agent(run)[1] == trained_agent(whole)[1]


def test_before_the_first_validation_the_newest_counts(tmp_path):
    run = begin(tmp_path)
    interrupted(run, 48)
    assert not run.policy.best.exists()
    assert trained_agent(run)[1] == 48


def test_a_kill_between_saving_and_keeping_is_made_good(tmp_path):
    run = begin(tmp_path)
    session = Session(run, "policy")
    while session.loop.steps < 100:
        session.step(Progress.silent())
    session.env.close()
    run.policy.best.unlink()
    Session(run, "policy").env.close()
    assert run.policy.best.read_bytes() == run.policy.checkpoint.read_bytes()


def test_where_links_cannot_be_made_the_file_is_copied(whole, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    run = begin(tmp_path)
    run.policy.save({"a": 1})
    run.policy.keep()
    assert run.policy.load(best=True)["a"] == 1
    run.policy.save({"a": 2})
    assert run.policy.load(best=True)["a"] == 1 and open_run(run.path).policy.load()["a"] == 2


def test_online_distillation_without_validation_is_refused(tmp_path):
    path = tmp_path / "online.yaml"
    path.write_text("env: Hopper-v5\ntrain: {algorithm: online_distillation}\n")
    with pytest.raises(SpecError, match=r"train\.validate_on: online_distillation chooses its policy by"):
        load(path, CATALOG)
