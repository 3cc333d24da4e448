"""A student does what its teachers do, continues exactly, can be adapted, and refuses who cannot teach."""

import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from sim2real.agents import SAC, Loop, RandomAgent, SACConfig, make_agent
from sim2real.envs.make import make_worlds
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.fewshot import adapt
from sim2real.progress import Progress
from sim2real.runs import RunError
from sim2real.session import reload, trained_agent, training_env
from sim2real.spec import Evaluate, SpecError
from sim2real.train import start, train_part
from sim2real.transfer.sizes import parameters
from sim2real.transfer.student import gaussian_kl
from sim2real.transfer.teacher import Teacher, rebased
from tests.agents.toys import SMALL, Identity
from tests.continuing import interrupted
from tests.transfer.pupils import SPACES, learner, student


def taught(agent, steps=4_000, seed=0):
    loop = Loop(agent, Identity(), seed)
    loop.run_until(steps)
    return loop


def points(n=500, seed=9):
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def tree_equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(tree_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(tree_equal, one, other))
    return one == other


# Learning.


@pytest.fixture(scope="module")
def pupil():
    agent = student(learner())
    taught(agent)
    return agent


def test_a_student_comes_near_its_teacher_and_keeps_its_entropy(pupil):
    label, own = pupil.teachers[0].label(points()), pupil.student.gaussian(points())
    assert label.mean.std(0).min() > 0.1  # there was something to learn
    before = gaussian_kl(label, student(learner(), seed=1).student.gaussian(points())).mean()
    assert gaussian_kl(label, own).mean() < 0.02 < 0.5 < before
    # The entropy of a Gaussian is the sum of its log deviations and a constant: within 0.3 dim(A).
    assert (own.log_std - label.log_std).sum(-1).abs().mean() < 0.3 * 2
    assert (own.log_std - label.log_std).sum(-1).mean().abs() < 0.05


def test_its_curves_tell_of_it(pupil):
    assert pupil.metrics().keys() == {"distill_loss", "kl", "distill_updates", "teacher_share"}
    assert np.isnan(pupil.metrics()["kl"])
    taught(pupil, 64)
    told = pupil.metrics()
    assert told["kl"] == told["distill_loss"] < 0.05 and told["distill_updates"] > 1_900


@pytest.mark.parametrize("loss", ["mse", "nll"])
def test_hard_labels_teach_the_mean_and_not_the_deviation(loss):
    agent = student(learner(), loss=loss, lr=3e-3)
    started = agent.student.gaussian(points()).log_std.mean()
    taught(agent, 1_600)
    label, own = agent.teachers[0].label(points()), agent.student.gaussian(points())
    assert (label.mean - own.mean).square().mean() < 0.02 * label.mean.var()
    if loss == "nll":  # the likelihood of one point grows as the deviation shrinks
        assert own.log_std.mean() < started - 1
    else:
        assert (own.log_std.mean() - started).abs() < 1


def test_temperature_sharpens():
    agent = student(learner(mean=0.3, std=0.5), temperature=0.25, lr=3e-3)
    taught(agent, 1_600)
    own = agent.student.gaussian(points())
    torch.testing.assert_close(own.log_std.exp().mean(), torch.tensor(0.25), rtol=0.05, atol=0)
    torch.testing.assert_close(own.mean.mean(), torch.tensor(0.3), rtol=0.1, atol=0)


def test_every_world_has_its_teacher():
    agent = student(*(learner(mean=mean, std=0.5) for mean in (-1.0, 0.0, 1.0)))
    Loop(agent, Identity(8), 0).step()
    label = agent.student.memory.sample(100, torch.Generator().manual_seed(0))[1]
    assert sorted(set(label.mean.flatten().tolist())) == [-1, 0, 1]
    means = agent._labels(points(8)).mean[:, 0]
    assert means.tolist() == [-1, 0, 1, -1, 0, 1, -1, 0]


def test_teachers_who_disagree_are_taught_as_their_mixture():
    agent = student(learner(mean=-0.6, std=0.5), learner(mean=0.6, std=0.5), lr=3e-3)
    taught(agent, 1_600)
    own = agent.student.gaussian(points())
    assert own.mean.mean().abs() < 0.1
    torch.testing.assert_close(own.log_std.exp().square().mean(), torch.tensor(0.25 + 0.36), rtol=0.1, atol=0)


def test_updates_fall_due_as_steps_are_taken():
    agent = student(learner(), updates_per_step=0.3)
    loop = Loop(agent, Identity(), 0)
    for _ in range(6):
        loop.step()
    assert agent.steps == 48 and agent.learning_starts == 0
    assert agent.update() + agent.student.updates >= 14 and agent.student.updates == 14  # of 14.4


# Driving.


def test_drivers():
    obs = points(2000).double().numpy()
    teacher = learner(mean=1.5, std=0.01)
    act = {who: student(teacher, driver=who).act(obs) for who in ("student", "teacher", "mixed")}
    wanted = teacher.actor.to_bounds(torch.full((1, 2), 1.5).tanh())[0]
    by_teacher = {who: (np.abs(a - wanted.numpy()) < 0.05).all(-1).mean() for who, a in act.items()}
    assert by_teacher["student"] < 0.2 and by_teacher["teacher"] == by_teacher["mixed"] == 1
    mixed = student(teacher, driver="mixed", mix_steps=10)
    shares = []
    for mixed.steps in (0, 9, 10, 25):
        shares.append((np.abs(mixed.act(obs) - wanted.numpy()) < 0.05).all(-1).mean())
    assert shares[:2] == [1, 1]
    np.testing.assert_allclose(shares[2:], [0.5, 0.25], atol=0.12)


def test_whoever_drives_the_student_is_evaluated():
    obs = points().double().numpy()
    acted = [student(learner(), driver=who).act(obs, deterministic=True) for who in ("student", "teacher")]
    assert np.array_equal(*acted)
    assert not np.allclose(acted[0], learner().act(obs, deterministic=True), atol=0.1)


# State and copies.


@pytest.mark.parametrize("driver", ["student", "teacher", "mixed"])
def test_a_restored_student_goes_on_bit_for_bit(driver):
    def fresh():
        return student(learner(0), learner(1), driver=driver, mix_steps=100, capacity=300)

    whole = fresh()
    loop = taught(whole, 400)
    state, env = loop.state_dict(), loop.collector.env
    rng = env.rng.bit_generator.state
    loop.run_until(800)
    again = student(driver=driver, mix_steps=100, capacity=300, teachers=("gone", "too"))
    other = Loop(again, Identity(), 0)
    other.collector.env.rng.bit_generator.state = rng
    other.load_state_dict(state)
    other.run_until(800)
    assert tree_equal(again.state_dict(), whole.state_dict())


def test_a_copy_goes_on_alike_and_apart(pupil):
    twin = pupil.clone()
    assert tree_equal(twin.state_dict(), pupil.state_dict())
    before = pupil.state_dict()
    taught(twin, 80)
    assert tree_equal(pupil.state_dict(), before) and not tree_equal(twin.state_dict(), before)
    bare = pupil.clone(seed=5, keep_replay=False)
    assert len(bare.student.memory) == bare.steps == 0
    assert tree_equal(bare.policy_state_dict(), pupil.policy_state_dict())
    assert not np.array_equal(bare.act(points().numpy()), pupil.clone().act(points().numpy()))


def test_the_policy_alone_is_enough_to_act(pupil):
    twin = student(teachers=("gone",))
    twin.load_policy_state_dict(pupil.policy_state_dict())
    obs = points().numpy()
    assert np.array_equal(twin.act(obs, deterministic=True), pupil.act(obs, deterministic=True))


# Fine-tuning.


def test_rebasing_changes_the_scale_and_not_the_policy():
    actor, other = learner(0).actor, learner(0).actor.normalizer
    other.update(torch.randn(500, 2, generator=torch.Generator().manual_seed(3)) * 2 + 1)
    twin = rebased(actor, other)
    assert not torch.allclose(twin.body[0].weight, actor.body[0].weight, rtol=0.1)
    assert torch.equal(twin.normalizer.mean, other.mean) and twin.normalizer is not other
    torch.testing.assert_close(twin(points()), actor(points()), rtol=1e-4, atol=1e-5)


def test_rebasing_a_linear_policy():
    actor = learner(0, actor_hidden=()).actor
    twin = rebased(actor, learner(1).actor.normalizer)
    assert not any(isinstance(layer, nn.Linear) for layer in actor.body)
    torch.testing.assert_close(twin(points()), actor(points()), rtol=1e-4, atol=1e-5)


def test_adaptation_starts_from_the_student_with_its_teachers_critics(pupil):
    tuner = pupil.clone({"learning_starts": 0, "trainable": "all"}, seed=1, keep_replay=False)
    assert isinstance(tuner, SAC) and tuner.replay is None and tuner.learning_starts == 0
    assert parameters(tuner) == parameters(pupil)
    obs = points().numpy()
    np.testing.assert_allclose(tuner.act(obs, True), pupil.act(obs, True), atol=1e-4)
    own = learner()
    assert tree_equal(dict(tuner.critic.state_dict()), dict(own.critic.state_dict()))
    assert tuner.alpha == own.alpha


@pytest.mark.parametrize("finetune", ["all", "last_layer"])
def test_few_shot_adaptation_learns_from_reward(pupil, finetune):
    before = pupil.state_dict()
    settings = Evaluate(finetune=finetune, updates_per_step=2)

    class Still(Identity):
        """Its one world is a target of its own: reward for an action near (0.9, 0.9)."""

        def step(self, actions):
            obs, _, *rest = super().step(actions)
            return obs, -np.square(actions - 0.9).sum(-1), *rest

    found = {}
    for k, copy, used in adapt(pupil, Still(1), (0, 250), settings, seed=3):
        assert used == k
        found[k] = {
            "error": np.square(copy.act(points().numpy(), True) - 0.9).sum(-1).mean(),
            "body": copy.actor.body[0].weight.clone(),
        }
    if finetune == "all":
        assert found[250]["error"] < 0.5 * found[0]["error"]
    assert found[250]["error"] != found[0]["error"]
    assert torch.equal(found[250]["body"], found[0]["body"]) == (finetune == "last_layer")
    assert tree_equal(pupil.state_dict(), before)


@pytest.mark.parametrize("finetune", ["progressive", "residual", "last_2", "bias", "scratch"])
def test_a_student_takes_every_mode_of_fine_tuning(pupil, finetune):
    found = {
        k: copy.act(points().numpy(), True)
        for k, copy, _ in adapt(pupil, Identity(1), (0, 60), Evaluate(finetune=finetune), seed=3)
    }
    own = pupil.act(points().numpy(), True)
    # Its policy goes on from the teacher's statistics of observations, which is exact but for rounding.
    assert np.allclose(found[0], own, atol=1e-4) == (finetune != "scratch")
    assert not np.allclose(found[60], found[0], atol=1e-4)


def test_a_student_can_teach(pupil):
    second = student(pupil, lr=3e-3)
    taught(second, 2_000)
    label, own = pupil.student.gaussian(points()), second.student.gaussian(points())
    assert gaussian_kl(label, own).mean() < 0.1
    assert isinstance(second.clone({"learning_starts": 0}), SAC)


# Run folders.

SPEC = """\
env: {env}
randomize:
  torso: {{type: mass, select: torso, scale: [0.6, 1.4]}}
targets:
  heavy: {{torso: 2.5}}
train:
  algorithm: distillation
  steps: 400
  num_envs: 4
  checkpoint_every: 200
  baseline: false
  agent: {{teachers: [{teacher}], hidden: [8], batch_size: 16{more}}}
evaluate: {{episodes: 2, shots: [0, 1]}}
"""


def spec(folder, teacher, env="Hopper-v5", more=""):
    path = folder / "student.yaml"
    path.write_text(SPEC.format(env=env, teacher=teacher, more=more))
    return path


def test_a_student_is_an_ordinary_run(small_run, tmp_path):
    run = start(spec(tmp_path, small_run.path), ("train.baseline=true",), tmp_path / "run")
    train_part(run, "policy", Progress.silent())
    agent, steps = trained_agent(run)
    assert steps == agent.steps == 400 and agent.student.updates > 0
    result = evaluate(run, Request(), Progress.silent())
    assert set(result["targets"]["heavy"]["shots"]) == {"0", "1"}
    assert set(result["policies"]) == {"random", "baseline"}
    assert "kl" in run.policy.rows()[0]


def test_once_saved_a_run_needs_its_teachers_no_more(small_run, tmp_path):
    teacher, found = tmp_path / "teacher", []
    shutil.copytree(small_run.path, teacher)
    for name in ("whole", "parts"):
        run = start(spec(tmp_path, teacher), (), tmp_path / name)
        if name == "parts":
            interrupted(run, 240)
            shutil.rmtree(teacher)
        train_part(run, "policy", Progress.silent())
        found.append(trained_agent(run)[0].state_dict())
    assert tree_equal(*found)
    with pytest.raises(RunError, match=r"train.agent.teachers\[0\].*not a run folder"):
        train_part(run, "baseline", Progress.silent())  # which begins from nothing


def refused(folder, *given, error=RunError, **more):
    with pytest.raises(error) as said:
        start(spec(folder, *given, **more), (), folder / "run")
    assert not (folder / "run").exists()
    return str(said.value)


def test_a_teacher_that_is_missing(tmp_path):
    assert refused(tmp_path, "nowhere") == (
        "train.agent.teachers[0]: nowhere: not a run folder (it has no meta.json)"
    )


def test_a_teacher_that_is_not_trained(small_run, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(small_run.path, bare, ignore=shutil.ignore_patterns("checkpoints"))
    said = refused(tmp_path, f"{small_run.path}, {bare}")
    assert said == (
        f"train.agent.teachers[1]: {bare}: is not trained yet; run: sim2real train --resume {bare}"
    )


def test_a_teacher_of_another_environment(small_run, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(
        f"env: Reacher-v5\ntrain: {{algorithm: distillation, agent: {{teachers: [{small_run.path}]}}}}"
    )
    with pytest.raises(
        RunError, match=r"teachers\[0\].*trained in Hopper-v5, but this spec's env is Reacher"
    ):
        start(path, (), tmp_path / "run")


def test_a_teacher_at_a_target_teaches_in_worlds_that_are_it(small_run, tmp_path):
    lesson = f"{{run: {small_run.path}, at: heavy}}, {small_run.path}"
    settings = ("targets.heavy.inside=true", "targets.heavy.torso=1.2")
    run = start(spec(tmp_path, lesson), settings, tmp_path / "run")
    train_part(run, "policy", Progress.silent())
    bundle = reload(run)
    env = training_env(bundle, "policy")
    env.reset(seed=0)
    drawn = make_worlds("Hopper-v5", {}, bundle.program, 4, seed=0)
    drawn.reset(seed=0)
    assert env.applied[[0, 2]].ravel().tolist() == [1.2, 1.2]
    np.testing.assert_array_equal(env.applied[[1, 3]], drawn.applied[[1, 3]])
    assert trained_agent(run)[0].steps == 400
    at_nominal = training_env(bundle, "baseline")
    at_nominal.reset(seed=0)
    assert at_nominal.applied.ravel().tolist() == [1.0] * 4


def test_targets_that_nobody_can_teach_at(small_run, tmp_path):
    def said(at, *overrides):
        path = spec(tmp_path, f"{{run: {small_run.path}, at: {at}}}")
        with pytest.raises(RunError) as error:
            start(path, overrides, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        return str(error.value)

    where = "train.agent.teachers[0].at: "
    assert said("heavi") == f"{where}no target 'heavi'; did you mean 'heavy'?"
    assert said("heavy") == (
        f"{where}'heavy' is held out, and would not be if it were trained at; say inside: true of it"
    )
    moved = ("targets.heavy.inside=true", "train.curriculum={type: uniform}")
    assert said("heavy", *moved) == f"{where}a curriculum draws all worlds itself; take the one or the other"


def test_a_teacher_of_other_spaces():
    narrow = make_agent("sac", SPACES[0], gym.spaces.Box(-1.0, 1.0, (2,), np.float32), SMALL, 0)
    longer = make_agent("sac", gym.spaces.Box(-1.0, 1.0, (3,), np.float64), SPACES[1], SMALL, 0)
    for agent, what in ((narrow, "action"), (longer, "observation")):
        said = (
            rf"train.agent.teachers\[1\]: runs/1: the teacher's {what} space is Box.*but the student's is Box"
        )
        with pytest.raises(RunError, match=said):
            taught(student(learner(), agent), 1)


def test_teachers_have_to_be_named(tmp_path):
    path = tmp_path / "none.yaml"
    path.write_text("env: Hopper-v5\ntrain: {algorithm: distillation}\n")
    with pytest.raises(SpecError, match="teachers"):
        start(path, (), tmp_path / "run")
    assert "teachers: must be a list" in refused(tmp_path, "", error=SpecError)
    assert "did you mean" in refused(tmp_path, "a", more=", driver: studnet", error=SpecError)


def test_who_has_no_gaussian_policy_cannot_teach():
    with pytest.raises(ValueError, match="needs a Gaussian policy, which RandomAgent has not; fast_sac, sac"):
        Teacher.of(RandomAgent(SPACES[1], 0))
    with pytest.raises(RunError, match=r"train.agent.teachers\[0\]: runs/0: .*Gaussian"):
        taught(student(RandomAgent(SPACES[1], 0)), 1)


def test_a_teacher_is_made_again_from_its_state():
    own = learner(2, temperature=0.3)
    teacher = Teacher.of(own)
    again = Teacher.from_state(teacher.state_dict(), *SPACES, None)
    assert again.learner.config == SACConfig.model_validate({**own.config.model_dump(), "learning_starts": 0})
    assert all(map(torch.equal, again.label(points()), teacher.label(points())))
    # What the agent learns later does not reach the teacher.
    loop = Loop(own, Identity(), 0)
    before = teacher.label(points())
    loop.run_until(200)
    assert own.updates > 0 and all(map(torch.equal, teacher.label(points()), before))
