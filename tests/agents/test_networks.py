"""The networks against independent implementations of the same mathematics."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from sim2real.agents.critics import BatchNormCritic, Critic
from sim2real.agents.networks import Actor, Normalizer, PlainLayerNorm, StackedLinear, squashed_log_prob


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def actor(normalizer=None, low=(-1.0, 0.0), high=(1.0, 5.0)):
    bounds = torch.tensor(low), torch.tensor(high)
    return Actor(4, *bounds, (8, 8), generator(), normalizer or Normalizer(4))


def test_normalizer_equals_numpy_over_uneven_batches():
    data = np.random.default_rng(0).normal([3, 1e4, 3, 3], 50.0, (1000, 4))
    normalizer = Normalizer(4)
    for chunk in np.split(data, [1, 3, 3, 200, 640]):
        normalizer.update(torch.from_numpy(chunk))
    np.testing.assert_allclose(normalizer.mean, data.mean(0), rtol=1e-12)
    np.testing.assert_allclose(normalizer.var, data.var(0), rtol=1e-9)
    assert normalizer.count == 1000
    expected = np.clip((data - data.mean(0)) / data.std(0), -10, 10)
    # Float32 carries 7 digits, of which the offset of 1e4 over a deviation of 50 costs three.
    got = normalizer(torch.tensor(data, dtype=torch.float32))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_normalizer_is_the_identity_before_data_and_clips():
    normalizer = Normalizer(2)
    obs = torch.tensor([[0.5, -3.0], [11.0, -1e9]])
    assert torch.equal(normalizer(obs), torch.tensor([[0.5, -3.0], [10.0, -10.0]]))


def test_normalizer_moves_only_by_update_and_never_when_frozen():
    normalizer = Normalizer(2)
    normalizer.update(torch.randn(10, 2, generator=generator()))
    before = {k: v.clone() for k, v in normalizer.state_dict().items()}
    normalizer.train()(torch.ones(5, 2))
    normalizer.frozen = True
    normalizer.update(torch.ones(5, 2))
    assert all(torch.equal(before[k], v) for k, v in normalizer.state_dict().items())


def test_normalizer_survives_a_constant_entry():
    normalizer = Normalizer(1)
    normalizer.update(torch.full((50, 1), 7.0))
    assert torch.equal(normalizer(torch.full((1, 1), 7.0)), torch.zeros(1, 1))


def test_log_prob_equals_torch_distributions():
    mean = torch.randn(64, 3, generator=generator(), dtype=torch.float64)
    log_std = torch.randn(64, 3, generator=generator(1), dtype=torch.float64) - 1.0
    noise = torch.randn(64, 3, generator=generator(2), dtype=torch.float64)
    raw = mean + log_std.exp() * noise
    reference = TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform(cache_size=1))
    expected = Independent(reference, 1).log_prob(reference.transforms[0](raw))
    torch.testing.assert_close(squashed_log_prob(raw, noise, log_std), expected)


def test_log_prob_is_finite_and_right_where_tanh_saturates():
    raw = torch.tensor([[40.0], [-40.0]])
    got = squashed_log_prob(raw, torch.zeros(2, 1), torch.zeros(2, 1))
    # 1 - tanh(u)^2 tends to 4 exp(-2 |u|).
    expected = -0.5 * np.log(2 * np.pi) - (np.log(4.0) - 80.0)
    np.testing.assert_allclose(got, [expected, expected], rtol=1e-6)


def test_log_prob_integrates_to_one():
    log_std, mean = torch.tensor(-0.3), torch.tensor(0.4)
    action = torch.linspace(-1 + 1e-6, 1 - 1e-6, 200_001, dtype=torch.float64)
    raw = torch.atanh(action)
    noise = (raw - mean) / log_std.exp()
    log_prob = squashed_log_prob(raw[:, None], noise[:, None], log_std.expand_as(raw)[:, None])
    assert torch.trapezoid(log_prob.exp(), action) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("layernorm", [False, True])
def test_stacked_critic_equals_separate_networks(layernorm):
    critic = Critic(4, 2, (8, 6), generator(), layernorm=layernorm)
    obs, action = torch.randn(5, 4, generator=generator()), torch.rand(5, 2, generator=generator())
    stacked = critic(obs, action)
    assert stacked.shape == (2, 5)
    for member in range(2):
        x = torch.cat((obs, action), -1)
        for layer in [*critic.body, critic.head]:
            if isinstance(layer, StackedLinear):
                x = nn.functional.linear(x, layer.weight[member].T, layer.bias[member, 0])
            elif isinstance(layer, PlainLayerNorm):
                x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
            else:
                x = x.relu()
        torch.testing.assert_close(stacked[member], x[:, 0])
    assert not torch.equal(stacked[0], stacked[1])


@pytest.mark.parametrize("batch", [True, False])
def test_batch_norm_critic_equals_pytorchs_own_layers(batch):
    critic = BatchNormCritic(4, 2, (8, 6), generator(), momentum=0.1)
    obs, action = torch.randn(50, 4, generator=generator()), torch.rand(50, 2, generator=generator())
    critic(obs * 2 + 1, action, batch=True)  # moves the running statistics away from 0 and 1
    references = []
    for member in range(2):
        layers = []
        for i, norm in enumerate(critic.norms[member]):
            own = nn.BatchNorm1d(norm.weight.shape[0], momentum=0.1).train(batch)
            own.running_mean.copy_(norm.mean), own.running_var.copy_(norm.var)
            layers += [own, nn.ReLU()] if i else [own]
            layers += [critic.body[member][i]] if i < 2 else [critic.head[member]]
        references.append(nn.Sequential(*layers))
    values = critic(obs, action, batch)
    for member, reference in enumerate(references):
        torch.testing.assert_close(values[member], reference(torch.cat((obs, action), -1))[:, 0])
        layers = [layer for layer in reference if isinstance(layer, nn.BatchNorm1d)]
        for norm, own in zip(critic.norms[member], layers, strict=True):
            torch.testing.assert_close(norm.mean, own.running_mean)
            torch.testing.assert_close(norm.var, own.running_var)
    assert not torch.equal(values[0], values[1])


def test_actions_stay_inside_the_bounds_and_scale_back():
    policy = actor()
    policy.head.bias.data.fill_(50.0)
    action = policy(torch.randn(100, 4, generator=generator()))
    assert (action >= policy.low).all() and (action <= policy.high).all()
    torch.testing.assert_close(action[0], policy.high)
    unit = 2 * torch.rand(100, 2, generator=generator()) - 1
    torch.testing.assert_close(policy.from_bounds(policy.to_bounds(unit)), unit)


def test_sampling_uses_the_normalizer_statistics_once():
    normalizer = Normalizer(4)
    normalizer.update(torch.randn(100, 4, generator=generator()) * 3 + 2)
    policy, obs = actor(normalizer), torch.randn(6, 4, generator=generator(3))
    mean, _ = policy.gaussian(normalizer(obs))
    torch.testing.assert_close(policy(obs), policy.to_bounds(torch.tanh(mean)))


def test_the_normalizer_travels_with_the_policy():
    normalizer = Normalizer(4)
    normalizer.update(torch.randn(100, 4, generator=generator()) * 3 + 2)
    restored = actor()
    restored.load_state_dict(actor(normalizer).state_dict())
    assert torch.equal(restored.normalizer.mean, normalizer.mean)


def test_initial_weights_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    actor(), Critic(4, 2, (8,), generator())
    assert torch.equal(torch.get_rng_state(), before)
