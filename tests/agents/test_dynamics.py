"""The ensemble: what it predicts is Gaussian, on a scale of its own, and what is imagined obeys it."""

import math

import pytest
import torch

from sim2real.agents.dynamics import Dynamics, unit_of
from sim2real.agents.networks import Normalizer
from sim2real.agents.optimizer import FlatAdam

MEMBERS = 3


def made(obs=2, actions=1, hidden=(16,), context=0):
    generator = torch.Generator().manual_seed(0)
    return Dynamics(obs, actions, context, hidden, MEMBERS, generator, Normalizer(obs + 1))


def world(n, generator):
    """Changes of 0.5 a and of noise with a deviation of 0.2 |a|; reward 3 a; it ends where a > 0.5."""
    action = 2.0 * torch.rand(n, 1, generator=generator) - 1.0
    loud = 0.2 * action.abs() * torch.randn(n, 1, generator=generator)
    truth = torch.cat((0.5 * action, loud, 3.0 * action), 1)
    return torch.cat((torch.zeros(n, 2), action), 1), truth, (action[:, 0] > 0.5).float()


@pytest.fixture(scope="module")
def learned():
    generator, model = torch.Generator().manual_seed(1), made()
    model.scale.update(world(5_000, generator)[1])
    adam = FlatAdam(model.parameters(), 2e-2)
    for _ in range(350):
        rows = (one.unflatten(0, (MEMBERS, -1)) for one in world(MEMBERS * 96, generator))
        adam.descend(model.loss(*rows)[0])
    return model


@torch.no_grad()
def test_it_learns_means_variances_reward_and_end(learned):
    actions = torch.tensor([-0.8, 0.2, 0.8])
    inputs = torch.cat((torch.zeros(3, 2), actions[:, None]), 1)
    mean, log_var, end = learned(inputs)
    assert mean.shape == log_var.shape == (MEMBERS, 3, 3) and end.shape == (MEMBERS, 3)
    deviation = torch.exp(0.5 * log_var) * learned.scale.var.sqrt().float()
    assert torch.allclose(deviation[..., 1], (0.2 * actions.abs()).expand(MEMBERS, -1), atol=0.06)
    step = learned.imagine(inputs.expand(MEMBERS, -1, -1), torch.ones(2))
    assert torch.allclose(step.state[..., 0], (0.5 * actions).expand(MEMBERS, -1), atol=0.08)
    assert torch.allclose(step.reward, (3.0 * actions).expand(MEMBERS, -1), atol=0.2)
    assert (step.survival[:, :2] > 0.9).all() and (step.survival[:, 2] < 0.1).all()


@torch.no_grad()
def test_an_imagined_step_by_hand():
    """With a head of zeros a forecast is the mean change, and noise moves it by the bounded deviation."""
    model = made()
    for parameter in model.head.parameters():
        parameter.zero_()
    model.scale.update(torch.tensor([[1.0, 2.0, 3.0], [3.0, 6.0, 5.0]]))  # means 2, 4, 4; deviations 1, 2, 1
    unit, noise = torch.tensor([4.0, 0.5]), torch.tensor([0.0, 1.0, -1.0]).expand(MEMBERS, 1, 3)
    step = model.imagine(torch.zeros(MEMBERS, 1, 3), unit, noise)
    deviation = math.exp(0.5 * float(model(torch.zeros(1, 3)).log_var[0, 0, 0]))
    assert torch.allclose(step.state, torch.tensor([2.0 / 4.0, (4.0 + 2.0 * deviation) / 0.5]))
    assert torch.allclose(step.reward, torch.tensor(4.0 - deviation))
    assert torch.allclose(step.survival, torch.tensor(0.5))


def test_log_variances_keep_between_their_bounds():
    model = made()
    for bias in (-1e3, 1e3):
        torch.nn.init.constant_(model.head.bias, bias)
        _, log_var, _ = model(torch.zeros(1, 3))
        assert (log_var >= model.log_var_min - 1e-3).all() and (log_var <= model.log_var_max + 1e-3).all()


@torch.no_grad()
def test_errors_by_hand():
    model = made()
    for parameter in model.head.parameters():
        parameter.zero_()
    nll, squared = model.errors(torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 2.0]]))
    log_var = model(torch.zeros(1, 3)).log_var[0, 0, 0]
    assert torch.allclose(squared[0, 0], torch.tensor([0.0, 1.0, 4.0]))
    expected = 0.5 * (squared * torch.exp(-log_var) + log_var + math.log(2 * math.pi))
    assert torch.allclose(nll, expected)


def test_members_learn_from_their_own_rows_only():
    model = made()
    rows = [one.unflatten(0, (MEMBERS, -1)) for one in world(MEMBERS * 8, torch.Generator().manual_seed(3))]
    model.scale.update(rows[1][0])
    weight = model.head.weight
    (before,) = torch.autograd.grad(model.loss(*rows)[0], weight)
    rows[1] = rows[1].clone()
    rows[1][2] += 1.0
    (after,) = torch.autograd.grad(model.loss(*rows)[0], weight)
    assert torch.equal(before[:2], after[:2]) and not torch.equal(before[2], after[2])


def test_a_unit_is_the_deviation_and_never_nothing():
    normalizer = Normalizer(2)
    normalizer.update(torch.tensor([[0.0, 7.0], [4.0, 7.0]]))
    assert torch.allclose(unit_of(normalizer), torch.tensor([2.0, 1e-4]))
