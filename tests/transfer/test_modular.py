"""Modular policies: who sees what, whose module is used and trained, and exact resumption."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from sim2real.agents import make_agent
from sim2real.agents.trainable import layers
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.zeroshot import worlds
from sim2real.progress import Progress
from sim2real.session import CATALOG, fresh_agent, reload, trained_agent, training_env
from sim2real.spec import SpecError, load_text
from sim2real.train import start, train
from sim2real.transfer.modular import _own
from sim2real.transfer.registry import METHODS
from tests.continuing import assert_same, curves, interrupted, parameters

SPEC = """
envs:
  a_reach: {env: PlanarArm-v0, options: {robot: even}, robot: even, task: reach}
  a_avoid: {env: PlanarArm-v0, options: {robot: even, task: avoid}, robot: even, task: avoid}
  b_reach: {env: PlanarArm-v0, options: {robot: triple}, robot: triple, task: reach}
  b_avoid: {env: PlanarArm-v0, options: {robot: triple, task: avoid}, robot: triple, task: avoid,
    held_out: true}
train:
  algorithm: modular
  steps: 480
  num_envs: 6
  baseline: false
  checkpoint_every: 240
  agent: {learning_starts: 60, actor_hidden: [16], task_hidden: [16], critic_hidden: [16, 16], batch_size: 32}
evaluate: {episodes: 2, shots: [0, 1]}
"""
TASK, ROBOT = slice(0, 6), slice(6, 15)


def begun(folder, text=SPEC):
    path = folder / "arms.yaml"
    path.write_text(text)
    return start(path, (), folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = begun(tmp_path_factory.mktemp("modular"))
    train(made, Progress.silent())
    return made


@pytest.fixture(scope="module")
def agent(run):
    return trained_agent(run)[0]


@pytest.fixture(scope="module")
def shown(run):
    """What worlds of all four members show, two of each."""
    each = [worlds(part, 2, None, 1).reset(seed=0)[0] for part in reload(run).members.values()]
    return {key: np.concatenate([one[key] for one in each]) for key in each[0]}


def features(agent, shown):
    return agent.actor.normalizer(agent.layout.flatten(shown))


def test_which_columns_are_whose(agent):
    columns = agent.actor.columns
    assert (columns.task, columns.robot) == (TASK, ROBOT)
    assert (columns.which_task, columns.which_robot) == (slice(15, 17), slice(17, 19))


def test_each_row_is_done_by_its_own_modules(agent, shown):
    """What the batch gives is what a loop over worlds, tasks and robots gives, layer by layer."""
    actor, seen = agent.actor, features(agent, shown)

    def run(layers, x, member):
        for layer in layers:
            x = layer(x) if isinstance(layer, nn.ReLU) else x @ layer.weight[member] + layer.bias[member, 0]
        return x

    for row, world in zip(actor.outputs(seen), seen, strict=True):
        task, robot = world[15:17].argmax(), world[17:19].argmax()
        told = torch.tanh(run(actor.body[:3], world[TASK], task))
        inputs = torch.cat((told, world[ROBOT]))
        assert torch.allclose(row, run([*actor.body[3:], actor.head], inputs, robot), atol=1e-5)


def test_what_passes_the_interface_knows_nothing_of_the_robot(agent, shown):
    seen = features(agent, shown)
    other = seen.clone()
    other[:, ROBOT] = torch.randn(len(seen), 9)
    other[:, 17:19] = other[:, 17:19].flip(1)
    assert torch.equal(agent.actor.told(seen), agent.actor.told(other))
    assert agent.actor.told(seen).shape == (8, 4) and agent.actor.told(seen).abs().max() <= 1


def test_robots_know_of_the_task_only_what_passes(agent, shown):
    """With another task and another scene but the same told, actions are the same to the bit."""
    actor, seen = agent.actor, features(agent, shown)
    before = actor.outputs(seen)
    told, other = actor.told(seen), seen.clone()
    other[:, TASK], other[:, 15:17] = torch.randn(8, 6), other[:, 15:17].flip(1)
    actor.told = lambda features: told
    try:
        assert torch.equal(actor.outputs(other), before)
    finally:
        del actor.told


def test_only_the_modules_in_use_learn(agent, shown):
    """The gradient of one pair's actions is nothing in the modules of all others."""
    actor = agent.clone().actor
    one = features(agent, {key: value[2:4] for key, value in shown.items()})  # even avoids
    actor.outputs(one).sum().backward()
    for index, layer in enumerate([*actor.body, actor.head]):
        if hasattr(layer, "weight"):
            mine, others = (1, 0) if index < 3 else (0, 1)
            assert layer.weight.grad[mine].abs().sum() > 0 and not layer.weight.grad[others].any()


def test_what_is_dropped_while_it_learns(agent, shown):
    actor, seen = agent.actor, features(agent, shown)
    heard = []
    hook = actor.body[3].register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0][:, :4]))
    actor._dropout = 0.5
    try:
        with actor.dropping(torch.Generator().manual_seed(0)):
            for _ in range(400):
                actor.outputs(seen)
        actor.outputs(seen)
    finally:
        hook.remove()
        actor._dropout = agent.config.interface_dropout
    *dropped, kept = heard
    told, dropped = actor.told(seen), torch.stack(dropped)
    assert torch.equal(kept, told)
    gone = dropped == 0
    # Four sigma of a mean over 12,800 coins is 0.018.
    assert abs(gone.float().mean() - 0.5) < 0.018
    assert torch.allclose(dropped[~gone], (2 * told).expand_as(dropped)[~gone])


def test_selection_by_hand():
    everyones = torch.arange(12.0).view(3, 2, 2)
    # One-hots as they are after normalization: the largest is the one that is on.
    which = torch.tensor([[-0.7, -0.7, 1.4], [1.4, -0.7, -0.7]])
    assert torch.equal(_own(everyones, which), torch.tensor([[8.0, 9.0], [2.0, 3.0]]))
    assert torch.equal(_own(everyones[:1], torch.zeros(2, 0)), everyones[0])


def test_one_robot_has_one_module():
    text = SPEC.replace("robot: triple", "robot: even").replace(",\n    held_out: true", "")
    text = text.replace("num_envs: 6", "num_envs: 4")
    bundle = load_text(text, "one.yaml", CATALOG)
    env = training_env(bundle, "policy")
    made = fresh_agent(bundle, env)
    assert made.actor.head.weight.shape[0] == 1 and made.actor.body[0].weight.shape[0] == 2
    assert made.act(env.reset(seed=0)[0]).shape == (4, 3)


def test_layers_are_counted_from_the_robots_head(agent):
    found = layers(agent.actor)
    assert len(found) == 4 and found[-1] == [agent.actor.head]
    adapted = agent.clone({"trainable": "last_2"}, keep_replay=False)
    learns = [p.requires_grad for p in adapted.actor.body.parameters()]
    assert learns == [False] * 4 + [True] * 2


def test_an_interrupted_run_goes_on_bit_for_bit(run, tmp_path):
    other = begun(tmp_path)
    interrupted(other, 300)
    train(other, Progress.silent())
    assert_same(parameters(run), parameters(other))
    assert curves(run) == curves(other)


def test_a_pair_that_was_never_trained_is_evaluated_and_adapted(run):
    result = evaluate(run, Request(), Progress.silent())
    shots = result["targets"]["b_avoid/nominal"]["shots"]
    assert set(shots) == {"0", "1"} and shots["1"]["target_steps_used"] == 40
    assert result["members"]["b_avoid"]["held_out"] and len(result["source"]["shots"]["0"]["episodes"]) == 6


@pytest.mark.parametrize("mode", ["progressive", "residual"])
def test_nothing_is_built_upon_modules(run, mode):
    with pytest.raises(ValueError, match="no column and no residual is known for modules"):
        evaluate(run, Request(finetune=mode), Progress.silent())


POINTS = "envs: {a: {env: PointLine-v0}, b: {env: PointGoals-v0}}\n"


@pytest.mark.parametrize(
    ("envs", "says"),
    [
        ("env: PlanarArm-v0\n", r"train\.algorithm: modular is for several tasks and robots"),
        (POINTS, r"envs\.b\.env: modular must know which observations are the robot's, and PointGoals-v0"),
        (
            SPEC.partition("train:")[0].replace(
                "robot: triple, task: reach}", "robot: triple, held_out: true}"
            ),
            r"envs\.b_avoid: is held out, and so is all else with the robot triple",
        ),
    ],
    ids=["no set", "no proprioception", "no module"],
)
def test_what_it_misses_is_said_with_its_place(envs, says):
    with pytest.raises(SpecError, match=says):
        load_text(f"{envs}train: {{algorithm: modular}}", "arms.yaml", CATALOG)


def test_its_worlds_must_show_what_it_sees():
    box = gym.spaces.Box(-1, 1, (3,))
    with pytest.raises(ValueError, match="worlds of a set"):
        METHODS["modular"].make(box, box, METHODS["modular"].config(), 0, None, None)
    assert make_agent("fast_sac", box, box, {}, 0)
