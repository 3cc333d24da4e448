"""The cross-entropy method: it finds what is best, for each world as if it were alone."""

import torch

from sim2real.agents.planning import cross_entropy, keyed_noise

GOALS = torch.rand(5, 3, 2, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8


def plan(goals, elites=8):
    """Plans are worth the less, the farther they are from a goal of each world `(n, horizon, act)`."""
    noise = keyed_noise(goals.flatten(1), 8, 32, *goals.shape[1:]).movedim(0, 1)
    return cross_entropy(lambda plans: -(plans - goals[:, None]).square().flatten(2).sum(-1), noise, elites)


def test_it_finds_the_best_plan_and_grows_sure_of_it():
    mean, std = plan(GOALS)
    assert (mean - GOALS).abs().max() < 0.15 and (mean - GOALS).abs().mean() < 0.03 and std.max() < 0.1


def test_plans_stay_within_the_bounds():
    mean = plan(GOALS * 10.0).mean
    assert mean.abs().max() <= 1.0 and (mean.sign() == GOALS.sign()).all()


def test_a_worlds_plan_does_not_depend_on_the_others():
    alone = [plan(GOALS[i : i + 1]).mean for i in range(5)]
    assert torch.equal(plan(GOALS).mean, torch.cat(alone))


def test_chance_favours_no_direction():
    """Where going left is worth as much as going right, the mean stays in the middle."""
    noise = torch.randn(1, 1, 8, 1, 1, generator=torch.Generator().manual_seed(3))
    assert cross_entropy(lambda plans: -plans.square().flatten(2).sum(-1), noise, 4).mean.abs() < 1e-6


def test_one_fit_by_hand():
    """Of the candidates 1, 0.5, -1 and -0.5 two are best near 1; a tenth of what was before is kept."""
    drawn = torch.tensor([2.0, 1.0]).view(1, 1, 2, 1, 1)
    mean, std = cross_entropy(lambda plans: plans.flatten(2).sum(-1), drawn, 2)
    assert torch.allclose(mean, torch.tensor(0.9 * 0.75))
    assert torch.allclose(std, torch.tensor(0.9 * 0.25 + 0.1 * 0.5))


def test_noise_is_keyed_by_what_is_in_a_row():
    rows = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]])
    first, same, other = keyed_noise(rows, 4, 3)
    assert torch.equal(first, same) and not torch.equal(first, other) and first.shape == (4, 3)
    assert torch.equal(keyed_noise(rows[2:], 4, 3)[0], other)
