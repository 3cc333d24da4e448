"""Every distribution is its inverse CDF: monotone, inside its support, and of the shape it names."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from randomizers import Beta, Choice, Constant, LogUniform, Normal, TruncatedNormal, Uniform
from randomizers.columns import Columns
from randomizers.distributions import BY_NAME

settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")

number = st.floats(-1e6, 1e6).map(float)
positive = st.floats(1e-6, 1e6)
quantile = st.floats(0, 1, exclude_max=True)


def pair(values):
    return st.tuples(values, values).map(sorted)


def truncated(args):
    mean, std, below, above = args
    return TruncatedNormal(mean, std, mean - below * std, mean + above * std)


ANY = st.one_of(
    number.map(Constant),
    pair(number).map(lambda p: Uniform(*p)),
    pair(positive).map(lambda p: LogUniform(*p)),
    st.tuples(number, positive).map(lambda p: Normal(*p)),
    st.tuples(number, positive, st.floats(-7, 30), st.floats(0, 30))
    .filter(lambda p: p[3] > -p[2])
    .map(truncated),
    st.tuples(st.floats(0.2, 20), st.floats(0.2, 20), pair(number)).map(lambda p: Beta(p[0], p[1], *p[2])),
    st.lists(number, min_size=1, max_size=9).map(lambda v: Choice(tuple(v))),
)


@given(ANY, st.lists(quantile, min_size=1, max_size=20))
def test_values_are_monotone_in_the_quantile_and_inside_the_support(distribution, q):
    values = distribution.ppf(np.sort([0.0, *q, 1 - 2.0**-53]))
    low, high = distribution.support
    # An inverse CDF computed in floats may step back by its rounding error.
    slack = 1e-12 * max(1.0, np.abs(values).max())
    assert (np.diff(values) >= -slack).all() and np.isfinite(values).all()
    assert (values >= low).all() and (values <= high).all()
    assert all(distribution.contains(float(value)) for value in values)


@given(ANY)
def test_equal_distributions_are_equal_and_describe_themselves(distribution):
    again = type(distribution)(**{f.name: getattr(distribution, f.name) for f in fields(distribution)})
    assert again == distribution and hash(again) == hash(distribution)
    assert distribution.describe()


SHAPES = [
    (Uniform(-1, 3), stats.uniform(-1, 4)),
    (LogUniform(0.1, 10), stats.loguniform(0.1, 10)),
    (Normal(2, 0.5), stats.norm(2, 0.5)),
    (TruncatedNormal(0, 1, -0.5, 2), stats.truncnorm(-0.5, 2)),
    (TruncatedNormal(0, 1, 5, 7), stats.truncnorm(5, 7)),
    (TruncatedNormal(0, 1, -7, -5), stats.truncnorm(-7, -5)),
    (Beta(2, 5, -1, 1), stats.beta(2, 5, -1, 2)),
]


@pytest.mark.parametrize("ours, scipys", SHAPES, ids=lambda x: getattr(x, "name", ""))
def test_the_shape_is_scipys(ours, scipys):
    q = np.linspace(0, 1, 101)[1:-1]
    np.testing.assert_allclose(ours.ppf(q), scipys.ppf(q), rtol=1e-9)


def test_a_choice_gives_each_value_an_equal_share():
    values, counts = np.unique(Choice((3.0, 1.0, 2.0)).ppf(np.arange(999) / 999), return_counts=True)
    assert values.tolist() == [1, 2, 3] and counts.tolist() == [333] * 3
    assert Choice((1.0, 3.0)).contains(3.0) and not Choice((1.0, 3.0)).contains(2.0)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Uniform(2, 1), "low 2 is above high 1"),
        (lambda: Uniform(math.nan, 1), "low nan"),
        (lambda: LogUniform(0, 1), "log_uniform needs low > 0, given 0"),
        (lambda: Normal(0, 0), "std must be > 0, given 0"),
        (lambda: Normal(0, math.nan), "std must be > 0"),
        (lambda: TruncatedNormal(0, 1, 9, 10), "more than 8 std from the mean"),
        (lambda: Beta(0, 1, 0, 1), "a must be > 0"),
        (lambda: Choice(()), "choice needs at least one value"),
    ],
)
def test_impossible_distributions_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_every_distribution_has_its_yaml_word():
    assert set(BY_NAME) == {
        "uniform",
        "log_uniform",
        "normal",
        "truncated_normal",
        "bernoulli",
        "beta",
        "choice",
        "constant",
    }
    assert all(cls.name == word for word, cls in BY_NAME.items())


@given(st.lists(ANY, max_size=6), st.integers(0, 40))
def test_columns_together_are_bit_for_bit_those_alone(distributions, n):
    repeated = [*distributions, *distributions[:2]]
    q = np.random.default_rng(n).uniform(size=(n, len(repeated)))
    values = Columns(repeated).ppf(q)
    for j, distribution in enumerate(repeated):
        np.testing.assert_array_equal(values[:, j], distribution.ppf(q[:, j]))
