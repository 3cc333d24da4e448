"""Parameters drawn together keep their own distributions, and are as correlated as was asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim2real.spec.correlation import Correlate, Correlation
from spec.small import bundle, complaints

TWO = (
    "{g: {type: gravity, set: [1, 5]}, d: {type: damping, select: shoulder, scale: {log_uniform: [0.5, 2]}}}"
)
N = 4000


def drawn(correlate, randomize=TWO):
    made = bundle(f"env: Arm\nrandomize: {randomize}\ncorrelate: {correlate}").program
    return made, made.quantiles(3, np.arange(N), np.zeros(N, dtype=np.int64))


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.6, 0.95])
def test_ranks_are_correlated_and_margins_stay_uniform(rho):
    _, q = drawn(f"{{c: {{terms: [g, d], correlation: {rho}}}}}")
    for column in q.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    # Spearman's rho of a Gaussian copula: 6/π asin(ρ/2).
    expected = 6 / np.pi * np.arcsin(rho / 2)
    assert abs(stats.spearmanr(*q.T).statistic - expected) < 5 / np.sqrt(N)


def test_a_covariance_of_normals_is_their_covariance():
    normals = (
        "{g: {type: gravity, add: {truncated_normal: [0, 1, -3, 3]}}, "
        "a: {type: external_force, select: upper, axes: x, add: {normal: [0, 2]}}, "
        "b: {type: external_force, select: upper, axes: y, add: {normal: [1, 0.5]}}}"
    )
    made, q = drawn("{c: {terms: [a, b], covariance: [[4, 0.6], [0.6, 0.25]]}}", normals)
    values = made.values(q)[:, 1:]
    np.testing.assert_allclose(np.cov(values.T), [[4, 0.6], [0.6, 0.25]], atol=0.2)
    np.testing.assert_allclose(values.mean(axis=0), [0, 1], atol=0.1)


def test_the_rest_is_drawn_as_without_correlation():
    more = TWO[:-1] + ", m: {type: mass, select: upper, scale: [0.5, 2]}}"
    _, together = drawn("{c: {terms: [g, d], correlation: 0.5}}", more)
    _, apart = drawn("{}", more)
    np.testing.assert_array_equal(together[:, 2], apart[:, 2])
    np.testing.assert_allclose(
        together[:, 0], apart[:, 0], rtol=1e-13
    )  # there and back through normal scores
    assert (together[:, 1] != apart[:, 1]).all()


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_any_correlation_matrix_keeps_quantiles_in_the_unit_interval(k, seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(k, k))
    covariance = factor @ factor.T + 0.1 * np.eye(k)
    std = np.sqrt(np.diag(covariance))
    correlation = Correlation(list(range(k)), covariance / np.outer(std, std))
    q = correlation.apply(np.concatenate([rng.uniform(size=(50, k)), np.zeros((1, k))]))
    assert ((q >= 0) & (q < 1)).all()


@pytest.mark.parametrize(
    "group, words",
    [
        ("{terms: [g, d]}", "exactly one of correlation, covariance"),
        ("{terms: [g], correlation: 0.5}", "list of 2 or more"),
        ("{terms: [g, g], correlation: 0.5}", "named twice"),
        ("{terms: [g, d], correlation: 1}", "positive definite"),
        ("{terms: [g, d], correlation: [[1, 0.5], [0.4, 1]]}", "symmetric"),
        ("{terms: [g, d], correlation: [[1, 0.5]]}", "2 rows of 2"),
        ("{terms: [g, d], correlation: [[1, 0.5], [0.5]]}", "2 rows of 2"),
        ("{terms: [g, d], correlation: [[2, 0.5], [0.5, 1]]}", "ones on its diagonal"),
        ("{terms: [g, e], correlation: 0.5}", "no term or parameter 'e'"),
        ("{terms: [g, d], covariance: [[1, 0], [0, 1]]}", "needs normal terms"),
        ("{terms: [g, d], corelation: 0.5}", "did you mean 'correlation'"),
        ("7", "a group is a mapping"),
    ],
)
def test_wrong_groups_are_refused(group, words):
    text = f"env: Arm\nrandomize: {TWO}\ncorrelate: {{c: {group}}}"
    assert any(words in line for line in complaints(text)), complaints(text)


def test_a_parameter_is_in_one_group_only():
    groups = "{a: {terms: [g, d], correlation: 0.5}, b: {terms: [d, g], correlation: 0.1}}"
    text = f"env: Arm\nrandomize: {TWO}\ncorrelate: {groups}"
    assert any("'d' is in 'a' already" in line for line in complaints(text))


def test_a_scalar_is_the_correlation_of_all_pairs():
    group = Correlate.model_validate({"terms": ["a", "b", "c"], "correlation": "20 %"})
    np.testing.assert_array_equal(group.matrix(), np.where(np.eye(3) == 1, 1, 0.2))
