"""Random numbers are functions of their key and of nothing else."""

import numpy as np
import pytest

from sim2real.spec import Stream
from sim2real.spec.draws import uniform_columns

N = 200_000
WORLDS, EPISODES = np.arange(N) % 500, np.arange(N) // 500
PINNED = [[0.16381094104108063, 0.22010784636024205], [0.06232229817128654, 0.6100664463230906]]
PINNED_NORMAL = [[0.7703157022512676]]
PINNED_ON = [
    [-0.41917132871834933, 0.879451087258946, -0.8845148931130284],
    [0.341700830294466, 0.4724494221003973, -1.1305511962433665],
]


def test_numbers_are_the_same_for_ever():
    # A change here changes every run that anybody has made.
    numbers = Stream(0, "term:torso_mass").uniform(np.array([0, 1]), np.array([0, 7]), 2)
    assert numbers.tolist() == PINNED
    assert Stream(3, "x").normal(np.array([2]), np.array([5]), 1).tolist() == PINNED_NORMAL

    numbers = Stream(7, "term:noise:signal").normal(np.array([0, 3]), np.array([1, 2]), 3, np.array([0, 9]))
    assert numbers.tolist() == PINNED_ON


def test_normal_numbers_are_box_mullers_of_the_uniform_ones():
    worlds, episodes, at = np.arange(5), np.arange(5) * 3, np.arange(5) * 7
    u = Stream(2, "z").uniform(worlds, episodes, 8, 2 * at)
    expected = np.sqrt(-2.0 * np.log1p(-u[:, ::2])) * np.cos(2.0 * np.pi * u[:, 1::2])
    np.testing.assert_array_equal(Stream(2, "z").normal(worlds, episodes, 4, at), expected)


def test_columns_of_many_streams_are_those_of_each():
    worlds, episodes = np.arange(9), np.arange(9) % 4
    drawn = uniform_columns(5, ("a", "b", "b", "b"), np.array([0, 0, 1, 2]), worlds, episodes)
    one, other = (Stream(5, name).uniform(worlds, episodes, size) for name, size in (("a", 1), ("b", 3)))
    np.testing.assert_array_equal(drawn, np.concatenate([one, other], axis=1))
    assert uniform_columns(5, (), np.zeros(0, dtype=np.int64), worlds, episodes).shape == (9, 0)


def test_a_number_does_not_depend_on_the_others_asked_for():
    whole = Stream(1, "a").uniform(WORLDS[:50], EPISODES[:50], 6)
    assert (Stream(1, "a").uniform(WORLDS[:50], EPISODES[:50], 2, at=3) == whole[:, 3:5]).all()
    assert (Stream(1, "a").uniform(WORLDS[10:20], EPISODES[10:20], 6) == whole[10:20]).all()
    normals = Stream(1, "a").normal(WORLDS[:50], EPISODES[:50], 6)
    assert (Stream(1, "a").normal(WORLDS[:50], EPISODES[:50], 2, at=3) == normals[:, 3:5]).all()


@pytest.mark.parametrize("other", [Stream(2, "a"), Stream(1, "b"), Stream(11, "a")])
def test_seed_and_name_matter(other):
    mine = Stream(1, "a").uniform(WORLDS[:100], EPISODES[:100], 3)
    assert not (other.uniform(WORLDS[:100], EPISODES[:100], 3) == mine).any()


def test_uniform_numbers_are_uniform():
    u = Stream(5, "u").uniform(WORLDS, EPISODES, 1)[:, 0]
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.bincount((u * 20).astype(int), minlength=20)
    chi2 = ((counts - N / 20) ** 2 / (N / 20)).sum()
    assert chi2 < 43.8  # 99.9 % of chi-square with 19 degrees of freedom
    assert len(np.unique(u)) == N


@pytest.mark.parametrize("axis", ["worlds", "episodes", "index"])
def test_neighbours_are_uncorrelated(axis):
    stream, zeros, along = Stream(5, "u"), np.zeros(N, np.int64), np.arange(N)
    if axis == "index":
        u = stream.uniform(zeros[:1], zeros[:1], N)[0]
    else:
        u = stream.uniform(*((along, zeros) if axis == "worlds" else (zeros, along)), 1)[:, 0]
    for lag in (1, 2, 16):
        # Five standard deviations of a sample correlation of independent numbers.
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 5 / np.sqrt(N)


def test_normal_numbers_are_normal():
    x = Stream(5, "n").normal(WORLDS, EPISODES, 1)[:, 0]
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 5 / np.sqrt(N)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / N)
    for sigma, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        assert abs((abs(x) < sigma).mean() - share) < 5 * np.sqrt(share * (1 - share) / N)


def test_no_worlds_and_no_numbers():
    none = np.empty(0, np.int64)
    assert Stream(0, "a").uniform(none, none, 3).shape == (0, 3)
    assert Stream(0, "a").uniform(np.arange(2), np.arange(2), 0).shape == (2, 0)
