"""Keyed random numbers: uniform, independent, and a function of their key alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim2real.spec import Stream


def grid(worlds=200, episodes=50):
    w, e = np.meshgrid(np.arange(worlds), np.arange(episodes), indexing="ij")
    return w.ravel(), e.ravel()


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_uniform_numbers_are_uniform_and_uncorrelated(seed):
    w, e = grid()
    u = Stream(seed, "mass").uniform(w, e, 4)
    assert u.min() >= 0 and u.max() < 1
    # 40,000 numbers: means within 5 standard errors, and a KS distance that 1 in 1,000 would exceed.
    assert abs(u.mean() - 0.5) < 5 / np.sqrt(12 * u.size)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / u.size)
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    columns = np.corrcoef(u.T) - np.eye(4)
    by_world = u[:, 0].reshape(200, 50)
    assert np.abs(columns).max() < 5 / np.sqrt(len(u))
    assert abs(np.corrcoef(by_world[:-1].ravel(), by_world[1:].ravel())[0, 1]) < 5 / np.sqrt(len(u))
    assert abs(np.corrcoef(by_world[:, :-1].ravel(), by_world[:, 1:].ravel())[0, 1]) < 5 / np.sqrt(len(u))


def test_normal_numbers_are_normal():
    x = Stream(3, "noise").normal(*grid(), 4)
    assert np.isfinite(x).all()
    assert stats.kstest(x.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(x.T) - np.eye(4)).max() < 5 / np.sqrt(len(x))


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 2**31 - 1), st.integers(0, 9))
def test_a_number_depends_on_its_key_alone(order, few, seed, at):
    stream = Stream(seed, "x")
    worlds, episodes = np.arange(12), np.arange(12) % 3
    chosen = np.array(order[:few])
    whole = stream.uniform(worlds, episodes, 5 + at)
    np.testing.assert_array_equal(stream.uniform(worlds[chosen], episodes[chosen], 5, at), whole[chosen, at:])
    normal = stream.normal(worlds, episodes, 5 + at)
    np.testing.assert_array_equal(stream.normal(worlds[chosen], episodes[chosen], 5, at), normal[chosen, at:])


def test_seed_name_world_episode_and_index_each_change_the_number():
    def first(seed=0, name="a", world=0, episode=0, at=0):
        return Stream(seed, name).uniform(np.array([world]), np.array([episode]), 1, at)[0, 0]

    numbers = [first(), first(seed=1), first(name="b"), first(world=1), first(episode=1), first(at=1)]
    assert len(set(numbers)) == len(numbers)
    assert first(world=1, episode=2) != first(world=2, episode=1)
