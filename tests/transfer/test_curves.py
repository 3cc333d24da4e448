"""Transfer metrics in closed form."""

import pytest

from sim2real.transfer.curves import Curve, area, area_ratio, gains, retained, shots_to, threshold_of

SHOTS = (0, 1, 5, 20)


def test_a_straight_line_has_the_area_of_its_trapezium():
    line = Curve(SHOTS, tuple(3.0 + 2.0 * k for k in SHOTS))
    assert area(line) == pytest.approx(3 * 20 + 20**2)
    assert area(line, floor=3.0) == pytest.approx(20**2)
    assert area(Curve((7,), (5.0,))) == 0.0


def test_gains_of_two_lines():
    adapted = Curve(SHOTS, (40.0, 60.0, 90.0, 90.0))
    scratch = Curve(SHOTS, (0.0, 0.0, 0.0, 80.0))
    found = gains(adapted, scratch, reference=100.0)
    assert found.jump_start == 40
    assert found.threshold == pytest.approx(80.0)
    assert (found.shots_to_threshold, found.scratch_shots_to_threshold) == (5, 20)
    assert found.asymptote == 90
    assert found.area_ratio == pytest.approx((50 + 4 * 75 + 15 * 90) / (15 * 40))


def test_nothing_changes_when_returns_and_floor_shift_together():
    adapted, scratch = Curve(SHOTS, (1.0, 2.0, 3.0, 5.0)), Curve(SHOTS, (0.0, 1.0, 2.0, 4.0))

    def lower(curve):
        return Curve(curve.shots, tuple(value - 50 for value in curve.returns))

    high, low = gains(adapted, scratch, 6.0), gains(lower(adapted), lower(scratch), -44.0, -50.0)
    assert low.jump_start == pytest.approx(high.jump_start)
    assert low.area_ratio == pytest.approx(high.area_ratio)
    assert low.shots_to_threshold == high.shots_to_threshold == 20
    assert low.threshold == pytest.approx(high.threshold - 50)
    assert retained(-45, -47, -50) == pytest.approx(retained(5, 3)) == pytest.approx(0.6)


def test_equal_curves_gain_nothing():
    curve = Curve(SHOTS, (1.0, 2.0, 3.0, 4.0))
    found = gains(curve, curve, 4.0)
    assert (found.jump_start, found.area_ratio) == (0.0, 1.0)
    assert found.shots_to_threshold == found.scratch_shots_to_threshold


def test_what_is_not_reached_or_has_no_area_is_none():
    flat = Curve(SHOTS, (1.0, 1.0, 1.0, 1.0))
    assert shots_to(flat, 1.5) is None
    assert shots_to(flat, 1.0) == 0
    assert area_ratio(flat, flat, floor=1.0) is None
    assert area_ratio(flat, flat, floor=2.0) is None


def test_a_curve_is_read_from_an_evaluation_in_the_order_of_shots():
    shots = {"20": {"iqm": 9.0, "mean": 8.0}, "0": {"iqm": 1.0, "mean": 2.0}, "5": {"iqm": 4.0, "mean": 5.0}}
    assert Curve.read(shots) == Curve((0, 5, 20), (1.0, 4.0, 9.0))
    assert Curve.read(shots, "mean").returns == (2.0, 5.0, 8.0)


def test_what_means_nothing_is_refused():
    with pytest.raises(ValueError, match="a return for each shot, but 1 for 2"):
        Curve((0, 1), (1.0,))
    with pytest.raises(ValueError, match="a return for each shot, but 0 for 0"):
        Curve((), ())
    with pytest.raises(ValueError, match=r"must rise, given \[0, 0\]"):
        Curve((0, 0), (1.0, 1.0))
    with pytest.raises(ValueError, match=r"other shots: \[0\] and \[1\]"):
        gains(Curve((0,), (1.0,)), Curve((1,), (1.0,)), 2.0)
    with pytest.raises(ValueError, match="reference, -4, must be above the floor, 0"):
        threshold_of(-4.0)
    with pytest.raises(ValueError, match="before, 0, must be above the floor, 0"):
        retained(0.0, 1.0)
