"""Losses in closed form, the memory of labelled states, and the sizes of students."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from sim2real.agents.networks import Normalizer
from sim2real.transfer.sizes import parameters, policy_parameters, widths_for
from sim2real.transfer.student import (
    LOSSES,
    Gaussian,
    Memory,
    Student,
    StudentConfig,
    gaussian_kl,
    gaussian_nll,
    squared_error,
)
from tests.transfer.pupils import SPACES, learner


def gaussians(seed, n=50, actions=3):
    generator = torch.Generator().manual_seed(seed)
    return Gaussian(*torch.randn(2, n, actions, generator=generator, dtype=torch.float64))


def distribution(gaussian):
    return Independent(Normal(gaussian.mean, gaussian.log_std.exp()), 1)


def test_kl_is_that_of_the_distributions():
    teacher, student = gaussians(0), gaussians(1)
    wanted = kl_divergence(distribution(teacher), distribution(student))
    torch.testing.assert_close(gaussian_kl(teacher, student), wanted, rtol=1e-12, atol=0)
    assert gaussian_kl(teacher, teacher).abs().max() < 1e-14


def test_nll_is_minus_the_log_density_of_the_mean():
    teacher, student = gaussians(0), gaussians(1)
    wanted = -distribution(student).log_prob(teacher.mean)
    torch.testing.assert_close(gaussian_nll(teacher, student), wanted, rtol=1e-12, atol=0)


def test_squared_error_is_of_the_means():
    teacher, student = gaussians(0), gaussians(1)
    wanted = torch.linalg.vector_norm(teacher.mean - student.mean, dim=-1) ** 2
    torch.testing.assert_close(squared_error(teacher, student), wanted)
    assert set(LOSSES) == {"kl", "nll", "mse"}


@pytest.mark.parametrize("temperature", [0.01, 1.0, 3.0])
def test_tempering_raises_the_density_to_a_power(temperature):
    gaussian = gaussians(0)
    at = gaussians(1).mean, gaussians(2).mean
    plain, tempered = distribution(gaussian), distribution(gaussian.tempered(temperature))
    # Normalization falls out of a difference of log-densities.
    wanted = (plain.log_prob(at[0]) - plain.log_prob(at[1])) / temperature
    torch.testing.assert_close(tempered.log_prob(at[0]) - tempered.log_prob(at[1]), wanted)


def labelled(first, n):
    column = torch.arange(first, first + n, dtype=torch.float32)[:, None]
    return column, Gaussian(column + 0.25, column + 0.5)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (10,), (25,), (7, 0, 8, 9), (1,) * 23])
def test_memory_keeps_the_newest(sizes):
    memory, seen = Memory(1, 1, 10), 0
    for n in sizes:
        memory.store(*labelled(seen, n))
        seen += n
    obs, label = memory.sample(500, torch.Generator().manual_seed(0))
    assert sorted(set(obs.flatten().tolist())) == list(range(max(0, seen - 10), seen))
    assert torch.equal(label.mean, obs + 0.25) and torch.equal(label.log_std, obs + 0.5)


def test_memory_is_relabelled_and_restored():
    memory = Memory(1, 1, 10)
    memory.store(*labelled(0, 17))
    memory.relabel(lambda obs: Gaussian(-obs, 2 * obs))
    twin = Memory(1, 1, 10)
    twin.load_state_dict(memory.state_dict())
    for one in (memory, twin):
        one.store(*labelled(17, 3))
    drawn = [one.sample(300, torch.Generator().manual_seed(0)) for one in (memory, twin)]
    (obs, label), (again, copied) = drawn
    assert torch.equal(obs, again) and all(map(torch.equal, label, copied))
    old = obs < 17
    assert torch.equal(label.mean, torch.where(old, -obs, obs + 0.25))


def test_pooled_statistics_are_those_of_all_data():
    data = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    parts, whole = [Normalizer(2) for _ in range(3)], Normalizer(2)
    for part, rows in zip(parts, (data[0], data[1], data[2][:7]), strict=True):
        part.update(rows)
        whole.update(rows)
    student = Student(2, SPACES[1], StudentConfig(), torch.Generator().manual_seed(0))
    student.adopt([*parts, Normalizer(2)])
    own = student.actor.normalizer
    assert own.count == whole.count == 87
    torch.testing.assert_close(own.mean, whole.mean)
    torch.testing.assert_close(own.var, whole.var)


def test_without_statistics_of_teachers_the_students_own_begin_at_nothing():
    student = Student(2, SPACES[1], StudentConfig(), torch.Generator().manual_seed(0))
    student.adopt([Normalizer(2)])
    own = student.actor.normalizer
    assert own.count == 0 and own.var.tolist() == [1.0, 1.0]


# Sizes of observation (FetchReach's without the achieved goal) and action; parameters of a teacher of
# 256 x 256; widths for the shares.
SIZES = {
    "Hopper": (11, 3, 70_406, (123, 61, 60, 44)),
    "HalfCheetah": (17, 6, 73_484, (121, 58, 56, 41)),
    "InvertedDoublePendulum-v5": (9, 1, 68_866, (125, 63, 62, 46)),
    "Reacher": (10, 2, 69_636, (124, 62, 61, 45)),
    "Pusher": (23, 7, 75_534, (119, 56, 54, 39)),
    "Ant-v5": (105, 8, 97_040, (106, 41, 40, 26)),
    "FetchReach": (13, 4, 71_432, (123, 60, 58, 43)),
}


@pytest.mark.parametrize("name", SIZES)
def test_widths_are_those_of_the_table(name):
    features, actions, count, widths = SIZES[name]
    assert policy_parameters(features, actions, (256, 256)) == count
    shares = (0.25, 0.07, 1 / 15, 0.04)
    assert tuple(widths_for(share, features, actions)[0] for share in shares) == widths


def test_no_other_width_is_nearer():
    wanted = 0.1 * policy_parameters(11, 3, (300, 200))
    width = widths_for(0.1, 11, 3, (300, 200))
    off = {w: abs(policy_parameters(11, 3, (w, w)) - wanted) for w in range(1, 300)}
    assert width == (min(off, key=lambda w: off[w]),) * 2
    assert widths_for(1e-9, 11, 3) == (1, 1)


@pytest.mark.parametrize("share", [0.0, -1.0, math.nan])
def test_a_share_is_above_zero(share):
    with pytest.raises(ValueError, match="above 0"):
        widths_for(share, 3, 1)


def test_parameters_counts_the_policy_alone():
    agent = learner(actor_hidden=(5, 7))
    assert parameters(agent) == policy_parameters(2, 2, (5, 7)) == 2 * 5 + 5 + 5 * 7 + 7 + 7 * 4 + 4
