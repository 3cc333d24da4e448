"""Advantages of trials, against sums by hand; and policies that know how likely they were."""

import math

import pytest
import torch

from sim2real.agents.networks import Normalizer
from sim2real.agents.on_policy import Rollout, advantages, link
from sim2real.agents.policies import Choice, SquashedGaussian

GAMMA, LAM = 0.9, 0.8


def rollout(steps, terminated=(), truncated=(), started=(), unusable=()):
    """One world whose observation is the time, and what follows it 100 more."""
    time = torch.arange(steps + 1.0)[:, None, None]

    def where(moments):
        return torch.tensor([[t in moments] for t in range(steps + 1)])

    ended = where((*terminated, *truncated))
    reward = torch.arange(1.0, steps + 2)[:, None]
    flags = where(terminated), ended, where(started), ~where(unusable)
    return Rollout(time, time, time[..., 0], reward, time + 100.0, *flags)


def gains(own, fresh=(), across=True):
    steps = len(own.obs) - 1
    begun = torch.tensor([[t in fresh] for t in range(steps + 1)])
    linked = link(own, begun, across)
    values, following = own.obs[:-1, :, 0] / 10, linked.obs[..., 0] / 10
    return linked, advantages(own, linked, values, following, GAMMA, LAM)[:, 0].tolist()


def by_hand(terms):
    """Sums errors (r, what follows or None, value), each next one gamma lambda times less."""
    found, carried = [], 0.0
    for reward, following, value in reversed(terms):
        error = reward + GAMMA * (0.0 if following is None else following / 10) - value / 10
        carried = error + GAMMA * LAM * carried
        found.append(carried)
    return found[::-1]


def test_an_episode_that_goes_on_is_bootstrapped_after_its_last_step():
    assert gains(rollout(3))[1] == pytest.approx(by_hand([(1, 100, 0), (2, 101, 1), (3, 102, 2)]))


def test_a_terminated_trial_has_no_future_and_the_next_one_is_nothing_to_it():
    _, found = gains(rollout(4, terminated=(1,), started=(2,)), fresh=(2,))
    assert found[:2] == pytest.approx(by_hand([(1, 100, 0), (2, None, 1)]))
    assert found[2:] == pytest.approx(by_hand([(3, 102, 2), (4, 103, 3)]))


def test_a_truncated_trial_is_bootstrapped_from_its_last_observation():
    _, found = gains(rollout(4, truncated=(1,), started=(2,)), fresh=(2,))
    assert found[:2] == pytest.approx(by_hand([(1, 100, 0), (2, 101, 1)]))


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_an_episode_leads_to_the_next_of_its_trial(end):
    linked, found = gains(rollout(4, **{end: (1,)}, started=(2,)))
    assert linked.obs[1, 0, 0] == 2.0  # what the next one began with, not the last observation
    assert found == pytest.approx(by_hand([(1, 100, 0), (2, 2, 1), (3, 102, 2), (4, 103, 3)]))
    alone = gains(rollout(4, **{end: (1,)}, started=(2,)), across=False)[1]
    following = None if end == "terminated" else 101
    assert alone[:2] == pytest.approx(by_hand([(1, 100, 0), (2, following, 1)]))


def test_the_last_steps_next_episode_is_known_by_the_step_that_follows():
    linked, found = gains(rollout(2, terminated=(1,), started=(2,)))
    assert linked.obs[1, 0, 0] == 2.0
    assert found == pytest.approx(by_hand([(1, 100, 0), (2, 2, 1)]))


def test_a_step_that_only_resets_is_skipped_and_a_dropped_one_cuts():
    _, found = gains(rollout(4, terminated=(1,), started=(3,), unusable=(2,)))
    assert found[:2] == pytest.approx(by_hand([(1, 100, 0), (2, 3, 1), (4, 103, 3)])[:2])
    _, cut = gains(rollout(4, started=(3,), unusable=(2,)))
    assert cut[:2] == pytest.approx(by_hand([(1, 100, 0), (2, 101, 1)]))


def made(kind, actions=3):
    low, high = -torch.ones(actions), 2.0 * torch.ones(actions)
    return kind(4, low, high, (8,), torch.Generator().manual_seed(0), Normalizer(4))


def test_likelihoods_of_a_gaussian_are_those_of_torch():
    own, features = made(SquashedGaussian), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    drawn = own.draw(features, torch.Generator().manual_seed(2))
    mean, log_std = own.gaussian(features)
    normal = torch.distributions.Normal(mean, log_std.exp())
    squashed = torch.distributions.TransformedDistribution(
        normal, torch.distributions.transforms.TanhTransform()
    )
    log_prob, entropy = own.likelihood(features, drawn)
    assert torch.allclose(log_prob, squashed.log_prob(torch.tanh(drawn)).sum(-1), atol=1e-3)
    assert torch.allclose(entropy, normal.entropy().sum(-1), atol=1e-5)
    assert torch.equal(own.action(own.best(features)), torch.tanh(mean))


def test_a_choice_is_one_entry_as_often_as_its_probability():
    own, features = made(Choice), torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    drawn = own.draw(features.expand(20_000, -1), torch.Generator().manual_seed(2))
    assert (drawn.sum(-1) == 1).all()
    chances = own.logits(features).exp()[0]
    assert torch.allclose(drawn.mean(0), chances, atol=0.02)
    log_prob, entropy = own.likelihood(features.expand(3, -1), torch.eye(3))
    assert torch.allclose(log_prob.exp(), chances, atol=1e-6)
    assert entropy[0].item() == pytest.approx(-sum(p * math.log(p) for p in chances.tolist()), rel=1e-5)
    assert own.best(features).argmax() == chances.argmax()
    assert own.to_bounds(own.action(torch.eye(3)))[0].tolist() == [2, -1, -1]
