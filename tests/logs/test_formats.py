"""Every format gives the same log, and every mistake in one its own message."""

import sys

import numpy as np
import pytest

from sim2real.logs import LogError, read, write_csv
from sim2real.logs.matching import Reading
from tests.logs.samples import NAMES, lerobot, mcap, motion
from tests.real import LOGS, needs_data

CSV = "time,command.pan,position.pan\n0.00,0.1,0.10\n0.02,0.2,0.11\n0.04,0.3,0.12\n"


def same(log, other, tolerance=0.0):
    assert log.joints == other.joints
    for kind in ("time", "position", "command"):
        np.testing.assert_allclose(getattr(log, kind), getattr(other, kind), atol=tolerance, rtol=0)


def test_csv_keeps_every_bit(tmp_path):
    log = motion()
    write_csv(log, tmp_path / "motion.csv")
    (back,) = read(tmp_path / "motion.csv")
    same(back, log)
    assert (back.velocity == log.velocity).all() and back.current is None and back.name == "motion"


def test_npz_keeps_every_bit(tmp_path):
    log = motion()
    np.savez(tmp_path / "a.npz", time=log.time, joints=NAMES, position=log.position, command=log.command)
    (back,) = read(tmp_path / "a.npz")
    same(back, log)
    assert back.velocity is None


@pytest.mark.parametrize("per_file", [1, 2])
def test_a_lerobot_dataset_has_a_motion_for_each_episode(tmp_path, per_file):
    logs = [motion(), motion(n=120, lag=5), motion(n=50, lag=0)]
    back = read(lerobot(tmp_path / "set", logs, per_file=per_file))
    assert [log.name for log in back] == ["set/0", "set/1", "set/2"]
    for log, other in zip(back, logs, strict=True):
        same(log, other, 1e-6)  # it keeps float32


def test_a_lerobot_dataset_that_names_no_joints_numbers_them(tmp_path):
    (log,) = read(lerobot(tmp_path / "set", [motion()], names=None))
    assert log.joints == ("0", "1", "2")


@pytest.mark.parametrize("trajectory", [False, True])
def test_a_bag_keeps_when_states_and_commands_came(tmp_path, trajectory):
    log = motion(n=40)
    (back,) = read(mcap(tmp_path / "bag.mcap", log, trajectory=trajectory))
    # A row for each state and each command; the first state has no command yet, and begins nothing.
    np.testing.assert_allclose(np.diff(back.time[:3]), [0.005, 0.015], atol=1e-6)
    np.testing.assert_allclose(back.position[back.seen], log.position[1:], atol=1e-12)
    np.testing.assert_allclose(back.command[~back.seen], log.command[1:], atol=1e-12)
    np.testing.assert_allclose(back.command[back.seen], log.command[:-1], atol=1e-12)
    np.testing.assert_allclose(back.velocity[back.seen], log.velocity[1:], atol=1e-12)


def test_topics_that_could_be_several_are_asked_for(tmp_path):
    path = mcap(tmp_path / "bag.mcap", motion(n=5), commands="/wishes", others=["/other/joint_states"])
    with pytest.raises(
        LogError, match="several topics could be the state; say which with --topic state=TOPIC"
    ):
        read(path)
    topics = {"state": "/joint_states", "command": "/wishes"}
    assert read(path, Reading(topics=topics))[0].joints == NAMES
    with pytest.raises(LogError, match=r"no topic '/wishs' of joint states.*; did you mean '/wishes'"):
        read(path, Reading(topics=topics | {"command": "/wishs"}))


def test_a_trajectory_that_a_controller_interpolates_is_refused(tmp_path):
    path = mcap(tmp_path / "bag.mcap", motion(n=5), trajectory=True, points=3)
    with pytest.raises(LogError, match="a trajectory of 3 points is what a controller interpolates"):
        read(path)


def test_a_file_that_is_no_bag_says_so(tmp_path):
    (tmp_path / "bag.mcap").write_bytes(b"not a bag")
    with pytest.raises(LogError, match=r"bag\.mcap: "):
        read(tmp_path / "bag.mcap")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "log.csv:1: there is no column 'time'"),
        (CSV.replace("time", "tme"), "log.csv:1: there is no column 'time'; did you mean 'tme'?"),
        (
            CSV.replace("command.", "cmd."),
            "log.csv:1: no column is called 'command.JOINT'; there are: time, cmd.pan",
        ),
        (CSV.replace("position.pan", "position.pam"), "'position.pam' has no 'command.pam'; did you mean"),
        (CSV.replace("0.2,", "O.2,"), "log.csv:3: command.pan: 'O.2' is no number"),
        (CSV.replace("0.2,0.11", "0.2"), "log.csv:3: 2 cells, but the head has 3"),
        (
            CSV.replace("0.04", "0.01"),
            "log.csv: time does not increase at row 3 of the data: 0.01 after 0.02",
        ),
        (CSV.replace("0.02", "20").replace("0.04", "40"), "rows are 20 apart, and time is in seconds"),
        (CSV.partition("\n")[0], "log.csv: log has 0 rows; two are the least"),
        (CSV.replace("0.10", "").replace("0.11", ""), "fewer than two rows with a position and a command"),
    ],
)
def test_a_bad_table_says_what_and_where(tmp_path, text, says):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(LogError) as error:
        read(tmp_path / "log.csv")
    assert says in str(error.value)


def test_missing_cells_are_nothing_measured_and_commands_that_hold(tmp_path):
    (tmp_path / "log.csv").write_text(CSV.replace("0.2,0.11", ",") + "0.06,0.4,0.13\n")
    (log,) = read(tmp_path / "log.csv")
    assert log.command[:, 0].tolist() == [0.1, 0.1, 0.3, 0.4] and log.seen.tolist() == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("module", "extra"), [("pyarrow", "lerobot"), ("mcap_ros2.decoder", "mcap")])
def test_what_an_optional_format_needs_is_said(tmp_path, monkeypatch, module, extra):
    path = (
        lerobot(tmp_path / "set", [motion()])
        if extra == "lerobot"
        else mcap(tmp_path / "a.mcap", motion(n=5))
    )
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LogError, match=rf"pip install 'sim2real\[{extra}\]'"):
        read(path)


def test_npz_that_lacks_an_array_or_would_unpickle(tmp_path):
    np.savez(tmp_path / "a.npz", time=[0, 1], joint=["a"], position=[[0]], command=[[0]])
    with pytest.raises(LogError, match=r"there is no array 'joints'; did you mean 'joint'\?"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", time=np.array([{}], dtype=object))
    with pytest.raises(LogError, match=r"b\.npz: Object arrays cannot be loaded"):
        read(tmp_path / "b.npz")


def test_a_dataset_without_a_description_says_so(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text("{")
    with pytest.raises(LogError, match=r"info\.json: no description of a dataset"):
        read(tmp_path)


def test_folders_and_what_cannot_be_read(tmp_path):
    write_csv(motion(), tmp_path / "b.csv")
    write_csv(motion(), tmp_path / "a.csv")
    (tmp_path / "notes.txt").write_text("")
    assert [log.name for log in read(tmp_path)] == ["a", "b"]
    for name, says in (
        ("no.csv", "no such file"),
        ("notes.txt", "there are formats: csv, npz, mcap, lerobot"),
    ):
        with pytest.raises(LogError, match=says):
            read(tmp_path / name)
    (tmp_path / "old.db3").write_text("")
    with pytest.raises(LogError, match="`ros2 bag convert` makes an MCAP of it"):
        read(tmp_path / "old.db3")


@needs_data
def test_a_real_log_is_read():
    (log,) = read(LOGS / "chirp_sweep.csv")
    assert len(log) == 6000 and log.joints[0] == "shoulder_pan" and log.velocity is not None
    assert log.time[:2].tolist() == [0.0, 0.020096] and np.isfinite(log.position).all()
