"""Statistics against numbers worked out by hand, and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sim2real.evaluation.statistics import Episodes, iqm, iqm_interval, summarize, worst_decile


def test_the_interquartile_mean_is_the_mean_of_the_middle_half():
    assert iqm(np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -90.0])) == np.mean([2, 3, 4, 5])
    assert iqm(np.array([1.0, 2.0, 9.0])) == 4.0  # a quarter of three is no whole value to cut


def test_the_worst_decile_is_the_mean_of_the_worst_tenth():
    assert worst_decile(np.arange(20.0)) == 0.5
    assert worst_decile(np.array([5.0, 3.0, 4.0])) == 3.0


@given(arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e6, 1e6)))
def test_the_interval_holds_the_estimate(values):
    low, high = iqm_interval(values)
    assert low <= float(iqm(values)) <= high
    assert values.min() - 1e-6 <= low
    assert high <= values.max() + 1e-6


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    inside = [low <= 0 <= high for low, high in (iqm_interval(random.normal(size=40)) for _ in range(120))]
    assert 0.86 <= np.mean(inside) <= 1.0


def test_equal_episodes_have_an_interval_of_no_width():
    assert iqm_interval(np.full(5, 2.0)) == (2.0, 2.0)


@pytest.mark.parametrize("success", [None, np.array([True, False, True, True])])
def test_a_summary_says_all(success):
    returns = np.array([1.0, 2.0, 3.0, 4.0])
    failed = np.array([False, True, False, False])
    summary = summarize(Episodes(returns, success, failed, np.ones(4, dtype=int)), 250)
    assert summary["episodes"] == [1.0, 2.0, 3.0, 4.0]
    assert summary["mean"] == summary["iqm"] == 2.5
    assert summary["worst_decile"] == 1.0
    assert summary["success_rate"] == (None if success is None else 0.75)
    assert summary["failed_episodes"] == 1
    assert summary["target_steps_used"] == 250
