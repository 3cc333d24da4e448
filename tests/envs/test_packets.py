"""Packets arrive when they should, in order, once; the receiver holds the last."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real.envs.packets import Packets

ONE = np.arange(1)
NEVER = Packets.NEVER


def line(arrivals, frame_skip=4, longest=6):
    """Send packet k = 1, 2, … in control step k − 1, and return what is held after each physics step."""
    packets, held = Packets(1, 1, longest), []
    packets.reset(ONE, np.zeros((1, 1)), np.zeros((1, 0), dtype=np.int64))
    for k, arrival in enumerate(arrivals):
        packets.send(np.full((1, 1), k + 1.0), np.array([arrival]))
        for offset in range(frame_skip):
            packets.arrive(ONE, np.array([k * frame_skip + offset]))
            held.append(packets.active[0, 0])
    return held


def test_a_packet_arrives_at_exactly_its_step():
    assert line([0, 6, 8]) == [1] * 6 + [2] * 2 + [3] * 4


def test_a_later_packet_never_overtakes_an_earlier_one():
    assert line([9, 5, 8, 12]) == [0] * 9 + [3] * 3 + [4] * 4


def test_what_is_lost_leaves_the_last():
    assert line([0, NEVER, NEVER, 12]) == [1] * 12 + [4] * 4


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 20), st.none()), min_size=1, max_size=30))
def test_any_lags_keep_the_order_and_come_no_earlier_than_asked(lags):
    arrivals = [NEVER if lag is None else 4 * k + lag for k, lag in enumerate(lags)]
    held = line(arrivals)
    assert (np.diff(held) >= 0).all()
    for step, k in enumerate(held):
        assert k == 0 or arrivals[int(k) - 1] <= step
    # A plain queue says the same: each arrives at the latest of its own and all earlier times.
    due, latest = [], 0
    for arrival in arrivals:
        latest = max(latest, arrival) if arrival < NEVER else latest
        due.append(latest if arrival < NEVER else NEVER)
    expected = [
        max([k + 1 for k, t in enumerate(due) if t <= step and 4 * k <= step], default=0)
        for step in range(len(held))
    ]
    assert held == expected


def test_a_reset_forgets_and_knows_what_was_said_before():
    packets = Packets(2, 1, 3)
    packets.reset(np.arange(2), np.zeros((2, 1)), np.zeros((2, 0), dtype=np.int64))
    packets.send(np.ones((2, 1)), np.array([5, 5]))
    packets.reset(ONE, np.full((1, 1), 9.0), np.array([[2, -2, -6]]))
    assert packets.arrive(ONE, np.array([1])).tolist() == [False]
    assert packets.arrive(ONE, np.array([2])).tolist() == [True]
    packets.arrive(np.arange(2), np.array([5, 5]))
    assert packets.active.ravel().tolist() == [9, 1]


def test_a_lag_beyond_the_memory_is_refused():
    with pytest.raises(ValueError, match="a lag of 7 control steps is longer than the 6"):
        Packets(1, 1, 6).check(7)


def test_it_continues_from_its_state():
    whole, first, second = (Packets(2, 3, 4) for _ in range(3))
    rng = np.random.default_rng(0)
    both = np.arange(2)

    def step(packets, k, values, lags):
        packets.send(values, 4 * k + lags)
        packets.arrive(both, np.full(2, 4 * k + 3))

    plan = [(k, rng.normal(size=(2, 3)), rng.integers(0, 12, 2)) for k in range(20)]
    for k, values, lags in plan:
        step(whole, k, values, lags)
        step(first if k < 11 else second, k, values, lags)
        if k == 10:
            second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(whole.active, second.active)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(*[st.one_of(st.integers(3, 14), st.none())] * 3), min_size=1, max_size=12))
def test_a_timeline_is_what_arrives_step_by_step(plan):
    whole, pieces, worlds = Packets(3, 2, 6), Packets(3, 2, 6), np.arange(3)
    for packets in (whole, pieces):
        packets.reset(worlds, np.zeros(2), np.array([[2, -1], [-1, -1], [1, 5]]))
    for k, lags in enumerate(plan):
        start = np.full(3, 4 * k)
        arrival = np.array([NEVER if lag is None else 4 * k + lag for lag in lags])
        for packets in (whole, pieces):
            packets.send(np.full((3, 2), k + 1.0), arrival)
        held, fresh = whole.timeline(worlds, start, 4)
        for step in range(4):
            np.testing.assert_array_equal(pieces.arrive(worlds, start + step), fresh[:, step])
            np.testing.assert_array_equal(pieces.active, held[:, step])
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(array, pieces.state_dict()[name])


def test_a_copy_is_on_its_own():
    packets = Packets(1, 1, 2)
    twin = copy.deepcopy(packets)
    packets.reset(ONE, np.ones(1), np.zeros((1, 0), dtype=np.int64))
    twin.timeline(ONE, np.zeros(1, dtype=np.int64), 2)
    assert packets.active == 1 and twin.active == 0
    twin.active[:] = 5
    assert twin.timeline(ONE, np.zeros(1, dtype=np.int64), 1)[0] == 5
