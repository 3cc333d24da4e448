"""Sums of soft Q-functions do what all their parts want, without a step in any environment."""

import numpy as np
import pytest
import torch

from sim2real.agents import Composed, Loop, SoftQ, SoftQConfig

from .test_soft_q import made
from .toys import SMALL, Identity, transitions

ONE_STEP = {
    "actor_hidden": (32, 32),
    "critic_hidden": (64, 64),
    "actor_lr": 3e-3,
    "critic_lr": 3e-3,
    "temperature": 0.02,
    "learning_starts": 400,
    "updates_per_step": 0.25,
    "value_samples": 1,
    "particles": 16,
    "updated_particles": 16,
}
"""Settings for episodes of one step, after which no value counts."""


class Half(Identity):
    """Rewards one of the action's entries for being near what is seen."""

    def __init__(self, entry):
        super().__init__()
        self.entry = entry

    def step(self, actions):
        seen = self.obs
        obs, _, *rest = super().step(actions)
        return obs, -np.square(actions - seen)[:, self.entry], *rest


@pytest.fixture(scope="module")
def halves():
    """Two agents that each care for one entry of the action."""
    agents = []
    for entry in (0, 1):
        env = Half(entry)
        config = SoftQConfig.model_validate({**SMALL, **ONE_STEP})
        agent = SoftQ(env.single_observation_space, env.single_action_space, config, entry)
        Loop(agent, env, entry).run_until(1400)
        agents.append(agent)
    return agents


def errors(agent):
    obs = np.random.default_rng(1).uniform(-0.9, 0.9, (300, 2))
    return np.abs(agent.act(obs) - obs).mean(0)


def test_the_sum_of_two_tasks_does_both_without_a_step(halves):
    before = [half.state_dict() for half in halves]
    both = Composed(halves, seed=1)
    untrained = errors(both)
    both.learn_sampler(250)
    for half, was in zip(halves, before, strict=True):
        assert torch.equal(half.critic.head.weight, was["critic"]["head.weight"])
        assert torch.equal(half.state_dict()["generator"], was["generator"])
    assert (errors(halves[0]) < [0.2, np.inf]).all() and errors(halves[0])[1] > 0.4
    assert (errors(halves[1]) < [np.inf, 0.2]).all() and errors(halves[1])[0] > 0.4
    assert (errors(both) < 0.2).all() and (untrained > 0.4).all()
    assert both.steps == 0 and both.replay is None


def test_a_sum_is_that_of_values_at_raw_observations(halves):
    both = Composed(halves, [0.5, 2.0])
    obs, rng = torch.rand(30, 2) - 0.5, np.random.default_rng(0)
    action = torch.tensor(rng.uniform(-1, 1, (30, 2)), dtype=torch.float32)
    parts = [half.critic(half.actor.normalizer(obs), action)[0] for half in halves]
    total = both.critic(both.actor.normalizer(obs), action)[0]
    torch.testing.assert_close(total, 0.5 * parts[0] + 2.0 * parts[1], rtol=1e-4, atol=1e-4)


def test_a_sum_can_be_copied_and_go_on_to_learn(halves):
    both = Composed(halves)
    both.learn_sampler(3)
    for changes in ({}, {"trainable": "last_layer"}):
        twin = both.clone({**changes, "learning_starts": 0, "updates_per_step": 1.0})
        obs = np.random.default_rng(0).uniform(-1, 1, (16, 2))
        np.testing.assert_array_equal(both.act(obs, True), twin.act(obs, True))
        before = twin.state_dict()
        step = transitions(obs, obs, action=np.zeros((16, 2), np.float32), reward=np.ones(16))
        twin.observe(step)
        assert twin.update() == 16
        moved = {k for k, v in twin.critic.state_dict().items() if not torch.equal(v, before["critic"][k])}
        assert moved and all(("head" in key) or not changes for key in moved)
        assert not any("normalizer" in key for key in moved)


def test_what_cannot_be_composed_is_refused(halves):
    with pytest.raises(ValueError, match="give at least one"):
        Composed([])
    with pytest.raises(ValueError, match="2 agents need as many weights"):
        Composed(halves, [1.0])
    with pytest.raises(ValueError, match="Agent 1 has the observation_space"):
        Composed([halves[0], made(2)])
    forgetful = halves[1].clone(keep_replay=False)
    with pytest.raises(ValueError, match="Agent 1 remembers nothing"):
        Composed([halves[0], forgetful])
