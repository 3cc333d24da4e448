"""When values are drawn: schedules as pure functions of key and time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from randomizers import Schedule, lookup
from sim2real.spec import Stream
from sim2real.spec.drift import quantiles_at
from spec.small import program

KINDS = ["reset", "run", "every", "walk", "ramp", "sine"]
WORLDS, EPISODES = np.arange(500), np.arange(500) % 7


def at(kind, time, seconds=2.0, worlds=WORLDS, episodes=EPISODES, size=3):
    schedule = Schedule(kind, seconds if kind not in ("reset", "run") else 0.0)
    times = np.broadcast_to(np.asarray(time, dtype=float), worlds.shape)
    return quantiles_at(schedule, Stream(0, "x"), worlds, episodes, size, times)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.floats(0, 1e4), st.floats(1e-3, 1e3))
def test_quantiles_never_leave_the_unit_interval(kind, time, seconds):
    q = at(kind, time, seconds, WORLDS[:20], EPISODES[:20])
    assert ((q >= 0) & (q < 1)).all()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.floats(0, 100), st.permutations(range(8)))
def test_a_draw_depends_on_its_key_alone(kind, time, order):
    order = np.array(order)
    whole = at(kind, time)
    np.testing.assert_array_equal(at(kind, time, worlds=order, episodes=EPISODES[order]), whole[order])


@pytest.mark.parametrize("kind", ["every", "walk", "ramp"])
def test_at_its_beginning_every_drift_is_the_draw_of_the_reset(kind):
    np.testing.assert_allclose(at(kind, 0.0), at("reset", 0.0), atol=1e-15)


def test_a_run_has_one_draw_for_each_world():
    np.testing.assert_array_equal(at("run", 0.0), at("run", 9.0, episodes=EPISODES + 3))
    assert len(np.unique(at("run", 0.0))) == 1500


def test_every_draws_anew_when_its_time_has_passed_and_not_before():
    np.testing.assert_array_equal(at("every", 0.0), at("every", 1.999))
    first, second, third = (at("every", t) for t in (0.0, 2.0, 4.0))
    assert (first != second).all() and (second != third).all()
    assert stats.kstest(third.ravel(), "uniform").pvalue > 1e-3


def test_a_ramp_is_straight_and_then_stays():
    low, middle, high = (at("ramp", t) for t in (0.0, 1.0, 2.0))
    np.testing.assert_allclose(middle, (low + high) / 2, atol=1e-15)
    np.testing.assert_array_equal(at("ramp", 50.0), high)
    assert (low != high).all()


def test_a_sine_swings_over_the_whole_range_in_its_period():
    path = np.array([at("sine", t)[:, 0] for t in np.linspace(0, 2, 201)])
    assert (path.min(axis=0) < 1e-3).all() and (path.max(axis=0) > 1 - 1e-3).all()
    np.testing.assert_allclose(path[0], path[-1], atol=1e-12)


def test_a_walk_has_the_spread_of_brownian_motion_and_no_jumps():
    # Before it is folded at the ends: steps over a time t have the standard deviation sqrt(t / seconds).
    start = at("walk", 0.0)
    inside = (start > 0.4) & (start < 0.6)
    for share in (1e-4, 1e-3, 4e-3):
        moved = (at("walk", 2.0 * share) - start)[inside]
        assert abs(moved.std() / np.sqrt(share) - 1) < 0.2
    near, far = at("walk", 1.0), at("walk", 1.0 + 1e-6)
    assert np.abs(far - near).max() < 0.01
    late = at("walk", 40.0).ravel()
    assert stats.kstest(late, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    "when, words",
    [
        ("never", "must be one of"),
        ("rest", "did you mean 'reset'"),
        ("walk", "needs a time, as {walk: 2 s}"),
        ({"evry": "2 s"}, "did you mean 'every'"),
        ({"every": 0}, "above 0 s"),
        ({"every": "2 kg"}, "in s is wanted"),
        ({"every": 1, "walk": 2}, "one of"),
        (3, "must be reset, run"),
        ([], "must be reset, run"),
    ],
)
def test_a_wrong_schedule_is_refused_in_plain_words(when, words):
    with pytest.raises(ValidationError) as error:
        lookup("gravity").model_validate({"type": "gravity", "scale": 2, "when": when})
    assert words in str(error.value)


def test_a_program_draws_by_its_terms_schedules():
    both = program(
        "{a: {type: gravity, set: [1, 2], when: {ramp: 1 s}}, "
        "b: {type: damping, select: shoulder, scale: [1, 2], when: run}}"
    ).program
    assert both.drifts and not program("{b: {type: gravity, set: [1, 2], when: run}}").program.drifts
    ids = np.arange(4)
    early, late = (both.quantiles(0, ids, ids, np.full(4, t)) for t in (0.0, 0.5))
    assert (early[:, 0] != late[:, 0]).all() and (early[:, 1] == late[:, 1]).all()
    np.testing.assert_array_equal(both.quantiles(0, ids, ids), early)
