"""The student of a run in progress keeps the learner's best, whatever becomes of the learner."""

import math

import numpy as np
import pytest
import torch

from sim2real.agents import SAC, Loop
from sim2real.progress import Progress
from sim2real.session import trained_agent
from sim2real.spec import SpecError
from sim2real.train import start, train_part
from sim2real.transfer.online import OnlineDistillation, OnlineDistillationConfig
from sim2real.transfer.student import gaussian_kl
from tests.agents.toys import SMALL, Identity
from tests.continuing import interrupted
from tests.transfer.pupils import SPACES
from tests.transfer.test_distillation import points, tree_equal


def online(seed=0, **changes):
    quick = {**SMALL, "updates_per_step": 0.5, "actor_lr": 2e-3, "critic_lr": 3e-3}
    settings = {"learner": "sac", "settings": quick, "hidden": (32, 32), "batch_size": 64, "lr": 3e-3}
    config = OnlineDistillationConfig.model_validate({**settings, "updates": 150, **changes})
    return OnlineDistillation(*SPACES, config, seed)


def error(agent):
    """How far its deterministic actions are from the points, which they should equal."""
    obs = points().double().numpy()
    return np.square(agent.act(obs, deterministic=True) - obs).sum(-1).mean()


def collapse(agent):
    """Overwrite the learner's policy by one that does the same everywhere, and wrong."""
    with torch.no_grad():
        agent.learner.actor.head.weight.zero_()
        agent.learner.actor.head.bias.fill_(3.0)


def score(agent):
    """Minus that: what validation would say."""
    return -error(agent)


@pytest.fixture(scope="module")
def trained():
    agent = online()
    loop = Loop(agent, Identity(), 0)
    for steps in range(400, 2_000, 400):
        loop.run_until(steps)
        agent.validate(score)
    return agent


def test_the_student_follows_the_learner(trained):
    assert error(online()) > 0.5
    assert error(trained) < 0.15
    label, own = trained.best.label(points()), trained.student.gaussian(points())
    assert gaussian_kl(label, own).mean() < 0.1
    assert trained.student.updates % 150 == 0 and trained.student.updates >= 300
    assert trained.best_return == score(trained)
    assert trained.metrics()["best_return"] == trained.best_return


def test_the_student_stays_when_the_learner_collapses(trained):
    agent = trained.clone()
    before, kept = error(agent), agent.policy_state_dict()["actor"]
    collapse(agent)
    assert error(agent.learner) > 5 * before
    agent.validate(score)
    assert error(agent) == before and agent.best_return == trained.best_return
    assert tree_equal(agent.policy_state_dict()["actor"], kept)


def test_only_what_scores_higher_is_kept(trained):
    agent, told = trained.clone(), []

    def say(*scores):
        values = list(scores)
        agent.best_return, before = 1.0, agent.state_dict()
        agent.validate(lambda one: (told.append(one), values.pop(0))[1])
        assert not values
        return not tree_equal(agent.state_dict()["student"], before["student"]), agent.best_return

    assert say(1.0) == (False, 1.0)  # a learner that is no better is not distilled
    best = agent.best
    assert say(2.0, 0.5) == (False, 1.0) and agent.best is best  # nor is what was lost in distilling kept
    assert say(2.0, 1.5) == (True, 1.5) and agent.best is not best
    assert told == [agent.learner, agent.learner, agent, agent.learner, agent]


def test_nothing_is_distilled_from_no_experience():
    agent = online()
    agent.validate(lambda one: pytest.fail("there is nothing to score yet"))
    assert agent.best is None and agent.best_return == -math.inf


def test_a_restored_pair_goes_on_bit_for_bit():
    whole, again = online(updates=20), online(seed=9, updates=20)
    loop, other = Loop(whole, Identity(), 0), Loop(again, Identity(), 0)
    loop.run_until(280)
    whole.validate(score)
    state, env = loop.state_dict(), loop.collector.env
    other.collector.env.rng.bit_generator.state, other.collector.env.obs = (
        env.rng.bit_generator.state,
        env.obs,
    )
    other.load_state_dict(state)
    loop.run_until(500)
    other.run_until(500)
    whole.validate(score)
    again.validate(score)
    assert whole.student.updates > 0
    assert tree_equal(again.state_dict(), whole.state_dict())


def test_copies(trained):
    twin = trained.clone()
    assert tree_equal(twin.state_dict(), trained.state_dict())
    bare = trained.clone(seed=1, keep_replay=False)
    assert bare.learner.replay is None and len(bare.student.memory) == 0
    obs = points().numpy()
    assert np.array_equal(bare.act(obs, True), trained.act(obs, True))
    other = online(seed=4)
    other.load_policy_state_dict(trained.policy_state_dict())
    assert np.array_equal(other.act(obs, True), trained.act(obs, True))


def test_adaptation_starts_from_the_student(trained):
    agent = trained.clone()
    collapse(agent)
    tuner = agent.clone({"learning_starts": 0}, seed=1, keep_replay=False)
    obs = points().numpy()
    assert isinstance(tuner, SAC)
    np.testing.assert_allclose(tuner.act(obs, True), agent.act(obs, True), atol=1e-4)
    assert tree_equal(dict(tuner.critic.state_dict()), dict(agent.best.learner.critic.state_dict()))
    untrained = online()
    assert isinstance(untrained.clone({"learning_starts": 0}), SAC)


SPEC = """\
env: InvertedDoublePendulum-v5
train:
  algorithm: online_distillation
  steps: 600
  num_envs: 4
  checkpoint_every: 200
  baseline: false
  validate_on: 3
  agent:
    hidden: [8]
    batch_size: 16
    updates: 10
    learner: sac
    settings: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100}
"""


def test_it_is_an_ordinary_run(tmp_path):
    path, found = tmp_path / "online.yaml", []
    path.write_text(SPEC)
    for name in ("whole", "parts"):
        run = start(path, (), tmp_path / name)
        if name == "parts":
            interrupted(run, 320)
        train_part(run, "policy", Progress.silent())
        found.append(trained_agent(run)[0].state_dict())
    assert tree_equal(*found)
    assert found[0]["student"]["updates"] > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("learner: sack", "learner must be one of fast_sac, sac, crossq, given 'sack'"),
        ("settings: {gamma: 2}", "settings of fast_sac: gamma: "),
        ("settings: {gama: 0.9}", "settings of fast_sac: gama: "),
        ("hiden: [3]", "did you mean 'hidden'"),
    ],
)
def test_wrong_settings_are_said(tmp_path, given, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(f"env: Hopper-v5\ntrain: {{algorithm: online_distillation, agent: {{{given}}}}}\n")
    with pytest.raises(SpecError) as refused:
        start(path, (), tmp_path / "run")
    assert said in str(refused.value) and "train.agent" in str(refused.value)
