"""Partial training: exactly what is named learns, and all else stays as it is, bit for bit."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sim2real.agents import AGENTS, make_agent
from sim2real.agents.critics import BatchNormCritic, Critic
from sim2real.agents.networks import Actor, Normalizer
from sim2real.agents.trainable import freeze, layers, trained

from .test_sac import LEARNERS, SPACES, learned
from .toys import SMALL, transitions

OBS, ACT, H = 2, 2, 16  # of SPACES and SMALL
RULES = ["last_layer", "last_2", "last_3", "bias"]


def networks(hidden=(8, 6)):
    generator = torch.Generator().manual_seed(0)
    bounds = -torch.ones(ACT), torch.ones(ACT)
    return {
        "actor": Actor(OBS, *bounds, hidden, generator, Normalizer(OBS)),
        "critic": Critic(OBS, ACT, hidden, generator),
        "batch": BatchNormCritic(OBS, ACT, hidden, generator),
    }


def count(network):
    return sum(parameter.numel() for parameter in trained(network))


@pytest.mark.parametrize(
    ("rule", "actor", "critic", "batch"),
    [
        # (h + 1) · out of the last layer, then h · (h' + 1) of each before it; twice for twin critics.
        ("last_layer", 7 * 4, 2 * 7, 2 * 7),
        ("last_2", 7 * 4 + 9 * 6, 2 * (7 + 9 * 6), 2 * (7 + 9 * 6 + 2 * 6)),
        ("last_3", 7 * 4 + 9 * 6 + 3 * 8, 2 * (7 + 9 * 6 + 5 * 8), 2 * (7 + 11 * 6 + 7 * 8 + 2 * 4)),
        ("bias", 4 + 6 + 8, 2 * (1 + 6 + 8), 2 * (1 + 3 * 6 + 3 * 8 + 2 * 4)),
    ],
)
def test_the_number_of_trained_parameters_is_exact(rule, actor, critic, batch):
    made = networks()
    for network in made.values():
        freeze(network, rule)
    assert {name: count(network) for name, network in made.items()} == {
        "actor": actor,
        "critic": critic,
        "batch": batch,
    }


def test_all_leaves_what_was_frozen_frozen():
    actor = networks()["actor"]
    actor.body[0].requires_grad_(False)
    before = count(actor)
    freeze(actor, "all")
    assert count(actor) == before < sum(p.numel() for p in actor.parameters())


@pytest.mark.parametrize("hidden", [(), (5,), (8, 6), (8, 6, 4)])
def test_layers_hold_every_parameter_once(hidden):
    for network in networks(hidden).values():
        found = layers(network)
        assert len(found) == len(hidden) + 1
        inside = [p for layer in found for module in layer for p in module.parameters()]
        # Without a hidden layer there is none that the input's normalization belongs to.
        if hidden or not isinstance(network, BatchNormCritic):
            assert {id(p) for p in inside} == {id(p) for p in network.parameters()}
            assert len(inside) == len(list(network.parameters()))


def test_more_layers_than_there_are_is_refused():
    for network in networks().values():
        freeze(network, "last_3")
        with pytest.raises(
            ValueError, match=r"last_4: a network of this agent has only 3 layers; take last_3 or"
        ):
            freeze(network, "last_4")
    with pytest.raises(ValueError, match="has only 1 layers; take last_layer or all"):
        freeze(networks(())["actor"], "last_2")
    with pytest.raises(ValueError, match="last_4: a network of this agent has only 3 layers"):
        make_agent("sac", *SPACES, {**SMALL, "trainable": "last_4"}, 0)


@pytest.mark.parametrize("trainable", ["last", "last_0", "last_1", "biases"])
def test_unknown_rules_are_refused(trainable):
    with pytest.raises(ValidationError, match="trainable"):
        AGENTS["sac"].config.model_validate({"trainable": trainable})


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LEARNERS)
def test_only_what_is_named_moves(name, rule):
    twin = learned(learner=name).clone({"trainable": rule, "learning_starts": 0}, keep_replay=False)
    free = {
        f"{net}.{key}"
        for net in ("actor", "critic")
        for key, parameter in twin.networks[net].named_parameters()
        if parameter.requires_grad
    }
    before = twin.state_dict()
    rng = np.random.default_rng(0)
    for _ in range(12):
        obs, following = rng.uniform(5, 9, (2, 4, 2))
        action, reward = rng.uniform(-1, 1, (4, 2)).astype(np.float32), rng.uniform(0, 1, 4)
        twin.observe(transitions(obs, following, action=action, reward=reward))
    assert twin.update() == 48
    after = twin.state_dict()
    moved = {
        f"{net}.{key}"
        for net in twin.networks
        for key, value in after[net].items()
        if not torch.equal(value, before[net][key])
    }
    assert {key for key in moved if not key.startswith("target")} == free
    # A target follows exactly what its critic learns.
    if "target" in twin.networks:
        assert {key.replace("target", "critic") for key in moved if key.startswith("target")} == {
            key for key in free if key.startswith("critic")
        }


def test_the_temperature_starts_anew_with_its_optimizer():
    agent = learned(learner="sac", initial_temperature=0.3)
    assert agent.alpha != pytest.approx(0.3, rel=1e-3)
    assert agent._optimizers["alpha"].state_dict()["state"]
    agent.reset_temperature()
    assert agent.alpha == pytest.approx(0.3)
    assert not agent._optimizers["alpha"].state_dict()["state"]
    fixed = learned(learner="sac", temperature=0.2)
    fixed.reset_temperature()
    assert fixed.alpha == pytest.approx(0.2)
    # What is learned from then on is the new one.
    due = agent.update()
    for _ in range(3):
        obs = np.zeros((8, 2))
        agent.observe(transitions(obs, obs, action=np.zeros((8, 2), np.float32)))
    assert agent.update() + due == 32
    assert agent.alpha != pytest.approx(0.3, rel=1e-6)
    assert float(agent.state_dict()["log_alpha"]) == pytest.approx(np.log(agent.alpha))
