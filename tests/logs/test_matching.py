"""Logs brought into a model's terms, and what is wrong with them: found where it is, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.logs import LogError, Reading, check, commands_at, cut, matched, positions_at, read, resample
from sim2real.logs.matching import Joints
from tests.logs.samples import JOINTS, NAMES, motion, with_column
from tests.real import LOGS, needs_data


def found(log, what, reading=None):
    return [finding for finding in check(matched(log, JOINTS, reading), JOINTS) if finding.what == what]


def test_joints_come_in_the_models_order_by_the_models_names():
    log = motion()
    mixed = replace(
        log,
        joints=("j", "pan"),
        position=log.position[:, [2, 0]],
        command=log.command[:, [2, 0]],
        velocity=None,
    )
    back = matched(mixed, JOINTS, Reading(rename={"j": "jaw"}))
    assert back.joints == ("pan", "jaw")
    assert (back.position == log.position[:, [0, 2]]).all() and (back.command == log.command[:, [0, 2]]).all()


def test_every_wrong_name_is_told_at_once():
    reading = Reading(units={"lft": "deg", "": "grad"}, reverse=("pna",), rename={"jow": "jaw"})
    with pytest.raises(LogError) as error:
        matched(replace(motion(), joints=("pan", "lift", "yaw")), JOINTS, reading)
    for says in (
        "cannot rename 'jow', which it does not name; there are: pan, lift, yaw",
        "the model has no joint 'yaw'; did you mean 'jaw'? (--rename yaw=JOINT says which it is)",
        "cannot reverse 'pna', which it does not name; did you mean 'pan'?",
        "a unit is given for 'lft', which it does not name; did you mean 'lift'?",
        "there is no unit 'grad'; did you mean 'rad'?",
    ):
        assert says in str(error.value)


def test_degrees_and_shares_of_a_range_become_radians():
    log = motion()
    degrees = replace(log, position=np.degrees(log.position), command=np.degrees(log.command))
    degrees = replace(degrees, velocity=np.degrees(log.velocity))
    width, middle = JOINTS.high - JOINTS.low, (JOINTS.high + JOINTS.low) / 2
    shares = replace(log, position=200 * (log.position - middle) / width, velocity=200 * log.velocity / width)
    shares = replace(shares, command=200 * (log.command - middle) / width)
    shares = with_column(
        with_column(shares, "position", "jaw", lambda x: x / 2 + 50), "command", "jaw", lambda x: x / 2 + 50
    )
    shares = with_column(shares, "velocity", "jaw", lambda x: x / 2)
    for told, units in ((degrees, {"": "deg"}), (shares, {"": "m100_100", "jaw": "0_100"})):
        back = matched(told, JOINTS, Reading(units=units))
        for kind in ("position", "command", "velocity"):
            np.testing.assert_allclose(getattr(back, kind), getattr(log, kind), atol=1e-12)


def test_a_share_of_a_range_needs_one():
    endless = Joints(NAMES, np.array([-np.inf] * 3), np.array([np.inf] * 3), np.array([True] * 3))
    with pytest.raises(
        LogError, match="'pan' has no range in the model that a share of it could be taken of"
    ):
        matched(motion(), endless, Reading(units={"": "m100_100"}))


def test_a_good_log_has_nothing_wrong():
    assert check(motion(), JOINTS) == []


@pytest.mark.parametrize("lag", [0, 5, 12])
def test_a_late_or_weak_joint_is_no_reversed_one(lag):
    log = motion(lag=lag)
    assert check(with_column(log, "position", "pan", lambda x: 0.4 * x), JOINTS) == []


def test_joints_that_do_not_move_and_velocities_that_are_not_there_say_nothing():
    log = motion()
    still = with_column(log, "position", "pan", lambda x: 0 * x)
    log = with_column(still, "velocity", "lift", lambda x: x * np.nan)
    assert check(with_column(log, "velocity", "jaw", lambda x: np.where(x > 0, x, np.nan)), JOINTS) == []


def test_gaps_are_counted_and_placed():
    log = motion()
    keep = np.ones(len(log), dtype=bool)
    keep[50:60] = keep[120] = False
    (gap,) = found(log.rows(keep), "gap")
    assert (
        "2 of 188 steps in time" in gap.says
        and "longest 220 ms at 0.98 s" in gap.says
        and gap.sure == "certain"
    )
    unseen = log.position.copy()
    unseen[50:60] = np.nan
    assert "1 of 189 steps" in found(replace(log, position=unseen), "gap")[0].says


def test_degrees_read_as_radians_are_found_and_cured():
    log = motion()
    degrees = replace(log, position=np.degrees(log.position), command=np.degrees(log.command), velocity=None)
    seen = found(degrees, "unit")
    assert [finding.where for finding in seen] == ["motion: position", "motion: command"]
    assert (
        "jaw goes to 68.75 rad, where the model ends at 1.8 rad" in seen[0].says and seen[0].sure == "certain"
    )
    assert "--units position=UNIT" in seen[0].todo and "m100_100" in seen[0].todo
    assert found(degrees, "unit", Reading(units={"": "deg"})) == []


def test_commands_in_degrees_beside_positions_in_radians():
    # So small a motion that even its degrees are within the range.
    small = with_column(motion(), "position", "pan", lambda x: 0.05 * x)
    log = with_column(small, "command", "pan", lambda x: np.degrees(0.05 * x))
    log = with_column(log, "velocity", "pan", lambda x: 0.05 * x)
    (finding,) = found(log, "unit")
    assert finding.where == "motion: command.pan" and "57.3 times as much as position" in finding.says
    assert found(log, "unit", Reading(units={"command.pan": "deg"})) == []


@pytest.mark.parametrize("kind", ["command", "position"])
def test_a_joint_against_its_command_is_found_and_cured(kind):
    log = with_column(replace(motion(), velocity=None), kind, "lift", lambda x: -x)
    (finding,) = found(log, "reversed")
    assert finding.where == "motion: lift" and f"--reverse {kind}.lift" in finding.todo
    assert found(log, "reversed", Reading(reverse=(f"{kind}.lift",))) == []


def test_a_joint_that_counts_the_other_way_round_leaves_its_range():
    log = replace(motion(), velocity=None)
    turned = with_column(with_column(log, "position", "jaw", lambda x: -x), "command", "jaw", lambda x: -x)
    (finding,) = found(turned, "reversed")
    assert "turned round it is inside" in finding.says and finding.sure == "possible"
    back = matched(turned, JOINTS, Reading(reverse=("jaw",)))
    assert (back.position == log.position).all() and (back.command == log.command).all()


def test_velocities_of_the_wrong_sign():
    log = with_column(motion(), "velocity", "pan", lambda x: -x)
    (finding,) = found(log, "reversed")
    assert finding.where == "motion: velocity.pan"
    assert found(log, "reversed", Reading(reverse=("velocity.pan",))) == []


def test_a_zero_that_is_off_leaves_the_range():
    (finding,) = found(with_column(motion(), "position", "lift", lambda x: x + 1.5), "range")
    assert finding.where == "motion: lift" and "beyond the model's range" in finding.says


def test_commands_hold_and_positions_are_interpolated():
    log = motion(n=3, period=0.1, lag=0)
    at = np.array([-1.0, 0.0, 0.05, 0.1, 0.15, 9.0])
    assert (commands_at(log, at) == log.command[[0, 0, 0, 1, 1, 2]]).all()
    middle = (log.position[1:] + log.position[:-1]) / 2
    expected = [log.position[0], log.position[0], middle[0], log.position[1], middle[1], log.position[2]]
    np.testing.assert_allclose(positions_at(log, at), expected)


def test_resampling_passes_over_what_was_not_measured():
    log = motion(n=5, period=0.1)
    log.position[2] = np.nan
    finer = resample(log, 0.05)
    np.testing.assert_allclose(finer.time, 0.05 * np.arange(9))
    np.testing.assert_allclose(finer.position[4], (log.position[1] + log.position[3]) / 2)
    np.testing.assert_allclose(finer.command[::2], log.command)


def test_cutting_counts_from_the_first_row():
    log = motion(n=100)
    part = cut(replace(log, time=log.time + 7.0), 0.5, 1.0)
    assert part.time[0] == pytest.approx(7.5) and part.time[-1] == pytest.approx(8.0)
    with pytest.raises(LogError, match=r"no rows from 5 to 6 s; it is 1.98 s"):
        cut(log, 5, 6)


@needs_data
def test_nothing_is_wrong_with_the_real_logs():
    low, high = np.radians([[-110, -100, -96.83, -95, -157.2, -10], [110, 100, 96.83, 95, 162.8, 100]])
    for name in ("multisine", "circular_motion", "step_response", "hold_under_gravity"):
        (log,) = read(LOGS / f"{name}.csv")
        joints = Joints(log.joints, low, high, np.ones(6, dtype=bool))
        assert check(matched(log, joints), joints) == []
