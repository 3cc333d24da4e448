"""Gaussians clipped to [-1, 1]: their probabilities, their gradient, and which parameters may move."""

import pytest
import torch

from sim2real.agents.clipped_gaussian import ClippedGaussian


def policies(hidden=(8,), count=3, std=0.7):
    policy = ClippedGaussian(2, hidden, 1)
    drawn = [policy.initial(torch.Generator().manual_seed(seed), std) for seed in range(count)]
    return policy, torch.stack(drawn).double()


def test_probabilities_sum_to_one_over_the_inside_and_both_ends():
    policy, theta = policies(std=0.9)
    obs = torch.randn(3, 1, 2, dtype=torch.double)
    inside = torch.linspace(-1, 1, 20_001, dtype=torch.double)[1:-1]
    density = policy.log_prob(
        theta, obs.expand(3, len(inside), 2), inside[None, :, None].expand(3, -1, 1)
    ).exp()
    ends = policy.log_prob(theta, obs.expand(3, 2, 2), torch.tensor([[-1.0], [1.0]]).expand(3, 2, 1)).exp()
    assert (ends > 0.01).all()
    torch.testing.assert_close(
        density[:, 1:-1].mean(1) * 2 + ends.sum(1), torch.ones(3).double(), atol=1e-3, rtol=0
    )


def test_samples_are_as_often_at_the_ends_as_their_probability_says():
    policy, theta = policies(std=0.9)
    obs = torch.randn(3, 1, 2, dtype=torch.double).expand(3, 20_000, 2)
    drawn = policy.sample(theta, obs, torch.Generator().manual_seed(0))
    for end in (-1.0, 1.0):
        at = torch.full((3, 1, 1), end, dtype=torch.double)
        chance = policy.log_prob(theta, obs[:, :1], at).exp()[:, 0]
        torch.testing.assert_close((drawn == end).double().mean((1, 2)), chance, atol=0.015, rtol=0)
    assert drawn.abs().max() == 1.0


def test_the_score_has_mean_zero():
    """So a baseline biases nothing: the gradient of log-probability averages to zero under the policy."""
    policy, theta = policies(count=1, std=0.9)
    theta = theta.requires_grad_()
    obs = torch.tensor([0.5, -1.0]).double().expand(1, 200_000, 2)
    drawn = policy.sample(theta, obs, torch.Generator().manual_seed(1)).detach()
    (score,) = torch.autograd.grad(policy.log_prob(theta, obs, drawn).mean(), theta)
    assert score.abs().max() < 0.01


def test_it_can_be_differentiated_twice_at_the_ends_too():
    policy, theta = policies(count=1)
    obs = torch.randn(1, 4, 2, dtype=torch.double)
    action = torch.tensor([-1.0, 1.0, 0.3, 1.0]).double().view(1, 4, 1)
    assert torch.autograd.gradgradcheck(
        lambda own: policy.log_prob(own, obs, action), theta.detach().requires_grad_()
    )


def test_each_policy_acts_by_its_own_parameters():
    policy, theta = policies()
    obs = torch.randn(3, 5, 2, dtype=torch.double)
    together = policy.greedy(theta, obs)
    for k in range(3):
        torch.testing.assert_close(together[k], policy.greedy(theta[k : k + 1], obs[k : k + 1])[0])
    weight, bias = policy.parameters(theta[:1])[0][0]
    (last, end), hidden = policy.parameters(theta[:1])[0][1], torch.tanh(obs[:1] @ weight + bias)
    torch.testing.assert_close(policy.gaussian(theta[:1], obs[:1])[0], hidden @ last + end)


@pytest.mark.parametrize(
    ("part", "free"),
    [("all", 2 * 8 + 8 + 8 + 1 + 1), ("last_layer", 8 + 1 + 1), ("last_2", 34), ("bias", 8 + 1 + 1)],
)
def test_what_may_move(part, free):
    policy, _ = policies()
    found = policy.trainable(part)
    assert policy.size == 34 and found.sum() == free and found[-1] == 1
    assert bool(found[0]) == (part in ("all", "last_2"))


def test_more_layers_than_there_are_are_refused():
    with pytest.raises(ValueError, match="last_3: the policy of this agent has only 2 layers"):
        policies()[0].trainable("last_3")
