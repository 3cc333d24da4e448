"""Truncated quantile critics: the loss and the targets by hand, and quantiles that are learned."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sim2real.agents import make_agent
from sim2real.agents.replay import Batch
from sim2real.agents.sac_config import FastSACConfig
from sim2real.agents.tqc import quantile_loss

from .toys import SMALL

SPACES = gym.spaces.Box(-1.0, 1.0, (2,), np.float64), gym.spaces.Box(-1.0, 1.0, (2,), np.float32)


def made(**changes):
    return make_agent("fast_sac", *SPACES, {**SMALL, "n_step": 1, **changes}, 0)


def batch(n=1, discount=0.9):
    zeros = torch.zeros(n, 2)
    return Batch(
        obs=zeros, action=zeros, reward=torch.ones(n), next_obs=zeros, discount=torch.full((n,), discount)
    )


def test_the_loss_by_hand():
    values, target = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[0.5, 4.0]])
    # Of the first quantile, 0.25, the errors are 0.5 and 4; of the second, 0.75, -1.5 and 2.
    first = 0.25 * (0.5 * 0.25) + 0.25 * 3.5
    second = 0.25 * 1.0 + 0.75 * 1.5
    assert quantile_loss(values, target).tolist() == pytest.approx([(first + second) / 4])


def test_the_loss_is_least_at_the_quantiles():
    target = torch.linspace(0.0, 1000.0, 10_001)[None]
    for shift, sign in ((-50.0, -1), (0.0, 0), (50.0, 1)):
        values = (torch.tensor([[[125.0, 375.0, 625.0, 875.0]]]) + shift).requires_grad_()
        quantile_loss(values, target).sum().backward()
        slopes = 4 * values.grad[0, 0]
        # Errors are large beside the Huber loss's 1, so the slope is the share of targets passed over.
        np.testing.assert_allclose(slopes, np.full(4, sign * 0.05), atol=1e-3)


def test_targets_are_made_of_all_but_the_highest_quantiles_of_both_critics():
    agent = made(quantiles=3, dropped_quantiles=1, temperature=1e-9, gamma=0.9)
    for parameter in agent.target.parameters():
        parameter.zero_()
    agent.target.head.bias[:, 0] = torch.tensor([[5.0, 1.0, 9.0], [2.0, 7.0, 3.0]])
    expected = 1.0 + 0.9 * np.array([1.0, 2.0, 3.0, 5.0])
    np.testing.assert_allclose(agent.td_target(batch())[0], expected, rtol=1e-5)
    np.testing.assert_allclose(agent.td_target(batch(discount=0.0))[0], np.ones(4))


def test_the_entropy_is_in_every_target():
    plain, warm = (made(temperature=t) for t in (1e-9, 2.0))
    difference = warm.td_target(batch(5)) - plain.td_target(batch(5))
    assert (difference.std(1) < 1e-5).all() and (difference.abs() > 1e-3).all()


def test_the_actor_believes_the_mean_of_all_quantiles():
    agent = made(quantiles=2, dropped_quantiles=0)
    with torch.no_grad():
        for parameter in agent.critic.parameters():
            parameter.zero_()
        agent.critic.head.bias[:, 0] = torch.tensor([[1.0, 3.0], [5.0, 11.0]])
        assert agent.critic(torch.zeros(4, 2), torch.zeros(4, 2)).tolist() == [[2.0] * 4, [8.0] * 4]
        assert agent._value(torch.zeros(4, 2), torch.zeros(4, 2)).tolist() == [5.0] * 4


def test_critics_learn_how_returns_are_spread():
    """With no future and rewards drawn from a uniform distribution, what is learned are its quantiles."""
    agent = made(quantiles=4, dropped_quantiles=1, critic_hidden=(32,), critic_lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(1_500):
        drawn = batch(64, discount=0.0)
        agent._update_critic(drawn._replace(reward=30.0 * torch.rand(64, generator=generator)))
    with torch.no_grad():
        learned = agent.critic.quantiles(torch.zeros(1, 2), torch.zeros(1, 2))[:, 0]
    np.testing.assert_allclose(learned, np.tile([3.75, 11.25, 18.75, 26.25], (2, 1)), atol=1.5)


def test_not_everything_can_be_dropped():
    with pytest.raises(ValidationError, match=r"dropped_quantiles must be below quantiles, 4, .* given 4"):
        FastSACConfig(quantiles=4, dropped_quantiles=4)
