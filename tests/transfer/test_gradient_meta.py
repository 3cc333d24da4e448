"""MAML and Reptile: gradients through gradients by numbers, and that all of it goes on bit for bit."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from sim2real.agents import Loop
from sim2real.agents.episodes import Batch
from sim2real.envs.domains import fixed
from sim2real.envs.wants import Wants
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.zeroshot import worlds
from sim2real.progress import Progress
from sim2real.runs import open_run
from sim2real.session import CATALOG, fresh_agent, reload, trained_agent, training_env
from sim2real.spec import SpecError, load, load_text
from sim2real.train import start, train
from sim2real.transfer.finetune import begin
from sim2real.transfer.maml import MAML, MAMLConfig
from sim2real.transfer.registry import wants_of
from sim2real.transfer.reptile import Reptile, ReptileConfig
from tests.continuing import assert_same, interrupted

SPEC = """
env: PointNavigation-v0
randomize:
  goal: {{type: joint_offset, select: "x|y", add: [-0.5, 0.5]}}
targets:
  corner: {{goal.x: 0.6, goal.y: 0.6}}
train:
  algorithm: {algorithm}
  steps: 2_500
  num_envs: {worlds}
  baseline: false
  agent: {{episodes: 3, hidden: [8], {own}}}
evaluate: {{episodes: 2, shots: [0, 2, 3, 6]{more}}}
"""
OWN = {"maml": "inner_steps: 1", "reptile": "inner_steps: 2"}
UNIT = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


def text(algorithm, worlds=6, own="", more=""):
    own = ", ".join(filter(None, (OWN[algorithm], own)))
    return SPEC.format(algorithm=algorithm, worlds=worlds, own=own, more=more)


def begun(folder, algorithm):
    path = folder / "run.yaml"
    path.write_text(text(algorithm))
    return start(path, (), folder / "run")


@pytest.fixture(scope="module", params=OWN)
def run(request, tmp_path_factory):
    """A finished run of each method."""
    made = begun(tmp_path_factory.mktemp(request.param), request.param)
    train(made, Progress.silent())
    return made


def method(run):
    return reload(run).spec.train.algorithm


def state(agent):
    """Everything that the agent's future depends on, as tensors."""
    saved, found = agent.state_dict(), []

    def walk(value):
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                walk(value[key])
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one)
        elif value is not None:
            found.append(torch.as_tensor(value))

    walk({key: own for key, own in saved.items() if key != "curves"})
    return found


def small(kind=MAML, config=MAMLConfig, **settings):
    """An agent in double precision, whose policy is linear."""
    given = {"episodes": 2, "hidden": (4,), "normalize_observations": False, **settings}
    agent = kind(gym.spaces.Box(-9, 9, (2,)), UNIT, config.model_validate(given), 0)
    agent.theta = agent.theta.detach().double().requires_grad_()
    return agent


def batch(agent, acted, tasks=3, rows=40, seed=0):
    """What policies (k, p) that acted might have seen."""
    random = torch.Generator().manual_seed(seed)
    obs = torch.randn(tasks, rows, 2, generator=random, dtype=torch.double)
    action = agent.policy.sample(acted, obs, random)
    advantage = torch.randn(tasks, rows, generator=random, dtype=torch.double)
    weight = (torch.rand(tasks, rows, generator=random) < 0.8).double()
    return Batch(obs, action, advantage, weight, agent.policy.log_prob(acted, obs, action).detach())


def trial(agent, rounds=2, tasks=3):
    """The batches of a trial, each of the policies that acted in it."""
    acted, found = agent.theta.detach().expand(tasks, -1), []
    for number in range(rounds):
        found.append(batch(agent, acted, tasks, seed=number))
        acted = agent.inner_step(acted, found[-1], number).detach()
    return found


def slopes(agent, batches, tasks=3, step=1e-5):
    """The derivative (p,) of the loss by differences."""
    found, start = [], agent.theta.detach().clone()
    for i in range(len(start)):
        ends = []
        for sign in (1.0, -1.0):
            moved = start.clone()
            moved[i] += sign * step
            agent.theta = moved.requires_grad_()
            ends.append(agent.loss(batches, tasks).item())
        found.append((ends[0] - ends[1]) / (2 * step))
    agent.theta = start.requires_grad_()
    return torch.tensor(found, dtype=torch.double)


def gradient(agent, batches, tasks=3):
    return torch.autograd.grad(agent.loss(batches, tasks), agent.theta)[0]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_meta_gradient_is_that_of_the_adapted_policies_objective(steps):
    """By differences: parameters move, inner steps are taken anew from there, the objective is asked."""
    agent = small(inner_steps=steps, inner_lr=0.5, clip=0.9)
    batches = trial(agent, steps + 1)
    torch.testing.assert_close(gradient(agent, batches), slopes(agent, batches), atol=1e-7, rtol=1e-4)


def test_the_first_order_gradient_is_that_at_the_adapted_parameters():
    full, first = small(inner_lr=0.5, clip=0.9), small(inner_lr=0.5, clip=0.9, first_order=True)
    batches = trial(full)
    adapted = full.inner_step(full.theta.detach().expand(3, -1), batches[0], 0).detach().requires_grad_()
    ratio = full.ratio(adapted, batches[1])
    gain = batches[1].mean(ratio * batches[1].advantage).mean()
    (there,) = torch.autograd.grad(-gain, adapted)
    torch.testing.assert_close(gradient(first, batches), there.sum(0))
    assert not torch.allclose(gradient(full, batches), there.sum(0), rtol=1e-2)


def test_an_inner_step_is_reinforce_and_each_task_takes_its_own():
    agent = small(inner_lr=0.3)
    start = agent.theta.detach().expand(3, -1)
    seen = batch(agent, start)
    stepped = agent.inner_step(start, seen, 0)
    for k in range(3):
        own = start[k : k + 1].clone().requires_grad_()
        score = agent.policy.log_prob(own, seen.obs[k : k + 1], seen.action[k : k + 1])[0]
        (climb,) = torch.autograd.grad(
            (seen.weight[k] * seen.advantage[k] * score).sum() / seen.weight[k].sum(), own
        )
        torch.testing.assert_close(stepped[k], (own + 0.3 * climb)[0])
    assert not torch.equal(stepped[0], stepped[1])


def test_later_inner_steps_may_be_shorter():
    agent = small(inner_lr=0.4, later_inner_lr=0.1)
    start = agent.theta.detach().expand(3, -1)
    seen = batch(agent, start)
    first, later = (agent.inner_step(start, seen, number) - start for number in (0, 2))
    torch.testing.assert_close(first, 4.0 * later)


def test_what_may_not_move_does_not():
    agent = small(trainable="last_layer")
    start = agent.theta.detach().expand(3, -1)
    moved = (agent.inner_step(start, batch(agent, start), 0) != start).any(0)
    assert torch.equal(moved, agent.policy.trainable("last_layer") > 0)


def test_reptile_goes_towards_the_mean_of_what_tasks_made_of_it():
    agent = Reptile(gym.spaces.Box(-9, 9, (2,)), UNIT, ReptileConfig(episodes=2, hidden=(4,)), 0)
    start = agent.theta.detach().clone()
    acted = start.expand(3, -1) + 0.01 * torch.randn(3, len(start))
    seen = Batch(*(column.float() for column in batch(agent, acted.double())))
    wanted = agent.inner_step(acted, seen, 1).detach().mean(0) - start
    agent._meta_step([seen, seen], acted)
    went = agent.theta.detach() - start
    # The first step of Adam is as long in every parameter: only its signs are the direction's.
    clear = wanted.abs() > 1e-6
    assert torch.equal(went.sign()[clear], wanted.sign()[clear]) and clear.float().mean() > 0.9


class Signs(VectorEnv):
    """One step an episode: an action is worth itself, or in other worlds of the trial minus itself."""

    def __init__(self, together, groups, episodes):
        self.num_envs, self.together, self.groups, self.number = together * groups, together, groups, -1
        self.episodes = episodes
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED, "in_step": True}
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float64)
        self.single_action_space = UNIT

    def reset(self, *, seed=None, options=None):
        self.number += 1
        return np.zeros((self.num_envs, 1)), {}

    def step(self, actions):
        group = np.arange(self.num_envs) // self.together + self.number // self.episodes
        done = np.ones(self.num_envs, bool)
        sign = 1.0 - 2.0 * (group % 2)
        return np.zeros((self.num_envs, 1)), sign * actions[:, 0], done, ~done, {}


def learned(updates=40, **settings):
    """What a learner of signs earns after its inner steps; before them it is nothing, by symmetry."""
    given = {"episodes": 20, "hidden": (), "meta_lr": 0.03, "initial_std": 0.5, "inner_lr": 0.5, **settings}
    config = MAMLConfig.model_validate(given)
    env = Signs(20, 6, config.rounds)
    agent = MAML(env.single_observation_space, env.single_action_space, config, 0)
    loop = Loop(agent, env, 0)
    while agent.updates < updates:
        loop.step()
        if agent.updates == updates - 20:
            agent.metrics()
    return agent.metrics()["return_after"]


def test_one_step_tells_the_sign():
    assert learned() > 0.3


def test_without_inner_steps_there_is_nothing_that_both_signs_want():
    assert abs(learned(inner_steps=0)) < 0.15


def test_resuming_is_as_if_never_interrupted_in_any_round(run, tmp_path):
    """It stops in the first round, in the midst of the second, and in another trial."""
    stopped = begun(tmp_path, method(run))
    for stop in (300, 900, 1500):
        interrupted(stopped, stop)
        saved = torch.load(stopped.policy.checkpoint, weights_only=True)["loop"]["agent"]["trial"]
        assert len(saved["recorder"]["rows"]) or saved["tasks"] is not None
    train(stopped, Progress.silent())
    first, second = (trained_agent(one)[0] for one in (open_run(stopped.path), run))
    assert_same(state(first), state(second))
    assert first.updates > 1


def test_a_copy_goes_on_alike_and_shares_nothing(run):
    agent = trained_agent(run)[0]
    twin, before = agent.clone(), copy.deepcopy(agent.state_dict())
    assert_same(state(agent), state(twin))
    with torch.no_grad():
        twin.theta += 1.0
    twin.act(np.zeros((6, 2)))
    assert torch.equal(agent.theta, before["theta"])
    assert torch.equal(agent.state_dict()["generator"], before["generator"])


def test_a_target_moves_the_policy_after_each_batch_of_episodes_and_not_before(run):
    bundle, agent = reload(run), trained_agent(run)[0]
    env = worlds(bundle, 1, fixed(bundle.targets["corner"].v), threads=1)
    found = []
    for k, one, used in adapt(agent, env, (0, 2, 3, 5, 6), bundle.spec.evaluate, 7):
        assert one.steps == used == 100 * k  # the corner is not reached by chance
        found.append(one.theta.detach().clone())
    same = [torch.equal(a, b) for a, b in zip(found[1:], found[:-1], strict=True)]
    assert same == [True, False, True, False]
    assert torch.equal(found[0], agent.theta)


def test_many_worlds_of_one_target_are_as_many_episodes_at_once(run):
    bundle, agent = reload(run), trained_agent(run)[0]
    env = worlds(bundle, 3, fixed(bundle.targets["corner"].v), threads=1)
    steps = [(k, one.inner_steps) for k, one, _ in adapt(agent, env, (0, 3, 6), bundle.spec.evaluate, 7)]
    assert steps == [(0, 0), (3, 1), (6, 2)]


def test_it_is_evaluated_like_any_other(run):
    result = evaluate(run, Request(), Progress.silent())
    shots = result["targets"]["corner"]["shots"]
    assert set(shots) == {"0", "2", "3", "6"}
    assert shots["0"]["episodes"] == shots["2"]["episodes"] != shots["3"]["episodes"]


def test_part_of_a_policy_can_adapt_but_nothing_can_grow_on_it(run):
    bundle, agent = reload(run), trained_agent(run)[0]
    settings = bundle.spec.evaluate
    part = begin(agent, settings.model_copy(update={"finetune": "bias"}), 0)
    assert torch.equal(part._moved, agent.policy.trainable("bias")) and part.config.deployed
    for wrong in ({"finetune": "progressive"}, {"finetune": "scratch"}, {"warm_episodes": 1}):
        with pytest.raises(ValueError, match="adapts by inner steps"):
            begin(agent, settings.model_copy(update=wrong), 0)


def test_what_it_wants_of_its_worlds():
    assert wants_of("maml", {"episodes": 5, "inner_steps": 2}) == Wants(episodes=3, together=5, in_step=True)
    assert wants_of("reptile", {}) == Wants(episodes=3, together=20, in_step=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"worlds": 7}, "train.num_envs: maml wants worlds in groups of 3, given 7; take 9"),
        ({"own": "curriculum: 1"}, "train.agent"),
        ({"own": "first_ordr: true"}, "first_order"),
    ],
)
def test_wrong_settings_are_said_with_their_place(change, says):
    with pytest.raises(SpecError) as error:
        load_text(text("maml", **change), "spec.yaml", CATALOG)
    assert says in str(error.value)


def test_trials_go_neither_with_a_curriculum_nor_with_worlds_that_are_not_ours():
    taught = text("maml").replace(
        "  baseline: false", "  baseline: false\n  curriculum: {type: adr, low: -40, high: -20}"
    )
    with pytest.raises(SpecError, match="curricula draw one an episode"):
        load_text(taught, "spec.yaml", CATALOG)


@pytest.mark.slow
def test_one_step_on_a_goal_is_worth_half_of_what_standing_still_costs():
    """50 changes of the meta-policy of the committed spec: a minute and a half of a processor."""
    bundle = load("assets/specs/meta/maml.yaml", CATALOG)
    env = training_env(bundle, "policy")
    agent = fresh_agent(bundle, env)
    loop = Loop(agent, env, 0)
    while agent.updates < 50:
        loop.step()
        if agent.updates == 40:
            agent.metrics()
    found = agent.metrics()
    assert found["return_before"] < -34 and found["return_after"] > -18
