"""Adam on one vector does what PyTorch's does on many tensors."""

import torch
from torch import nn

from sim2real.agents.optimizer import FlatAdam, flatten


def test_flattened_tensors_are_views_of_the_vector():
    tensors = [torch.arange(6.0).view(2, 3), torch.tensor(7.0)]
    vector = flatten(tensors)
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 7]
    vector.neg_()
    assert tensors[0][1].tolist() == [-3, -4, -5] and tensors[1].item() == -7
    tensors[0].fill_(1.0)
    assert vector.tolist() == [1] * 6 + [-7]


def twins():
    """Two equal networks with their optimizers: ours and PyTorch's."""
    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    return one, FlatAdam(one.parameters(), 1e-2), other, torch.optim.Adam(other.parameters(), 1e-2)


def test_it_follows_adam():
    one, flat, other, adam = twins()
    data = torch.randn(30, 8, 3, generator=torch.Generator().manual_seed(1))
    for x in data:
        flat.descend(one(x).square().mean())
        adam.zero_grad()
        other(x).square().mean().backward()
        adam.step()
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_only_its_own_parameters_get_a_gradient():
    one, _, other, _ = twins()
    flat = FlatAdam(other[2].parameters(), 1e-2)
    before = [p.clone() for p in [*one.parameters(), *other[0].parameters()]]
    flat.descend(other(one[0](torch.ones(4, 3))[:, :3]).sum())
    after = [*one.parameters(), *other[0].parameters()]
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, after, strict=True))


def test_a_restored_optimizer_goes_on_alike():
    one, flat, other, _ = twins()
    flat.descend(one(torch.ones(4, 3)).sum())
    twin = FlatAdam(other.parameters(), 1.0)
    other.load_state_dict(one.state_dict())
    twin.load_state_dict(flat.state_dict())
    assert twin.state_dict()["param_groups"][0]["lr"] == 1e-2
    for network, optimizer in ((one, flat), (other, twin)):
        optimizer.set_lr(1e-3)
        optimizer.descend(network(torch.ones(4, 3)).sum())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
