"""The loop, on robots of this process: what is sent, what is logged, and how every motion ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from sim2real.deploy import ContractError, Loop, Policy, Safety, run
from sim2real.deploy.contract import Action, difference
from sim2real.deploy.guard import Guard
from sim2real.deploy.watchdog import HungError, Watchdog
from sim2real.logs import read
from tests.deploy.policies import CONTRACT, JOINTS, Stopping, Toy, constant, with_history, write

PATIENT = Safety(watchdog=20.0, late=10_000)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A policy that asks for 1 and −1."""
    return Policy(constant(tmp_path_factory.mktemp("policies") / "still.onnx", 1.0, -1.0))


def held(robot, report, position):
    assert report.stopped
    np.testing.assert_allclose(robot.sent[-1], position, atol=1e-6)


def test_it_imports_neither_torch_nor_a_simulator():
    code = (
        "import sys, sim2real.deploy.remote, sim2real.deploy.__main__\n"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'scipy', 'pydantic', 'typer', 'randomizers'}\n"
        "print(heavy & {name.split('.')[0] for name in sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


def test_it_drives_where_there_is_nothing_else(still, tmp_path):
    path = constant(tmp_path / "p.onnx", 0.5, 0.5)
    code = (
        "import sys\n"
        "for name in ('torch', 'mujoco', 'gymnasium', 'pydantic', 'onnx'): sys.modules[name] = None\n"
        "import numpy as np, sim2real.deploy as deploy\n"
        "class Robot:\n"
        "    def reset(self, *, seed=None): return np.zeros(3), {'sequence': 0}\n"
        "    def step(self, action): return np.zeros(3), 0.0, True, False, {'sequence': 1}\n"
        f"print(deploy.run({str(path)!r}, Robot(), 1.0, safety=deploy.Safety(watchdog=20)).reason)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "terminated"


def test_a_motion_is_sent_logged_and_ends_where_it_is(still, tmp_path):
    robot, log = Toy(), tmp_path / "motion.csv"
    report = Loop(still, robot, replace(PATIENT, rate=4.0), log).run(6)
    assert (report.reason, report.steps) == ("done", 6)
    # From where it was found, 4 rad/s · 0.05 s a step; then it stays where it was measured before the last.
    expected = [[0.1 + 0.2 * k, -0.2 - 0.2 * k] for k in range(1, 5)] + [[1.0, -1.0]]
    np.testing.assert_allclose(robot.sent[:5], np.clip(expected, -1.0, 1.0), atol=1e-6)
    held(robot, report, robot.sent[4])
    (motion,) = read(log)
    assert motion.joints == JOINTS
    np.testing.assert_allclose(motion.command, robot.sent, atol=1e-6)
    np.testing.assert_allclose(motion.position[0], [0.1, -0.2])
    np.testing.assert_allclose(motion.position[1:6], robot.sent[:5], atol=1e-6)
    assert np.isnan(motion.position[6]).all()
    assert "observation.goal" in log.read_text().splitlines()[0]
    assert report.rate == 4 and "limits" in str(report)
    with pytest.raises(FileExistsError):
        Loop(still, robot, PATIENT, log).run(1)


def test_periods_are_counted_from_the_beginning(still):
    """However long a period's work takes, deadlines do not drift; those that pass altogether are left out."""
    slow = Toy(lambda robot: time.sleep(0.12) if robot.count == 2 else None)
    report = Loop(still, slow, PATIENT).run(8)
    assert report.misses >= 1
    # 0.12 s of work in the second period: at least one is left out, so that 8 actions take 8 periods or more.
    assert report.seconds >= 8 * 0.05 - 1e-3
    assert report.jitter.most >= 0.04


def test_history_is_what_was_seen_and_done(tmp_path):
    contract = with_history(2)
    weights = np.zeros((3 + 10, 2))
    weights[3 + 5 + 0, 0] = 1.0  # of the last pair, the first measured position
    weights[3 + 5 + 3, 1] = 2.0  # and what was done then, over its limits of ±2
    policy = Policy(write(tmp_path / "p.onnx", weights, [0.5, 0.25], contract))
    robot = Toy()
    Loop(policy, robot, PATIENT).run(3)
    first = [0.5, 0.25]  # nothing is remembered yet
    second = [0.1 + 0.5, 0.5 + 0.25]
    third = [first[0] + 0.5, second[0] + 0.25]
    np.testing.assert_allclose(robot.sent[:3], [first, second, third], atol=1e-6)


def test_history_is_what_was_asked_for_where_training_limits_the_rate(tmp_path):
    """Worlds approach targets at that rate too, unseen; a rate of one's own is news."""
    made = with_history(1)
    contract = replace(made, action=tuple(replace(one, rate=1.0) for one in made.action))
    weights = np.zeros((3 + 5, 2))
    weights[3 + 3, 1] = 2.0  # the action remembers what was done last, over its limits of ±2
    policy = Policy(write(tmp_path / "p.onnx", weights, [0.5, 0.0], contract))
    for rate, told in ((None, 0.5), (0.8, 0.1 + 0.8 * 0.05)):
        robot = Toy()
        loop = Loop(policy, robot, replace(PATIENT, rate=rate))
        loop.run(1)
        np.testing.assert_allclose(robot.sent[0][0], 0.1 + min(rate or 1.0, 1.0) * 0.05, atol=1e-6)
        np.testing.assert_allclose(policy.inputs(np.zeros(3))["history"][0, 3], told / 2, atol=1e-6)


def test_limits():
    guard = Guard(replace(CONTRACT, period=0.1), [1.0, 10.0], [-0.5, -9.0], 1.2)
    np.testing.assert_allclose(guard.low, [-0.5, -1.5])  # one's own, and the joint's range
    done, _ = guard(np.array([5.0, -5.0]), np.array([1.0, -1.0]))
    np.testing.assert_allclose(done, [1.1, -1.5])
    assert guard.changed == {"limits": 1, "rate": 1}
    done, _ = guard(np.array([5.0, 0.0]), np.array([2.0, 0.0]))  # found outside
    np.testing.assert_allclose(done, [1.9, 0.0])
    np.testing.assert_allclose(guard(np.array([0.0, 0.0]), None), 0.0)
    slow = replace(CONTRACT, period=0.1, action=tuple(replace(one, rate=0.5) for one in CONTRACT.action))
    for rate, step in ((None, 0.05), (1.0, 0.05), (0.2, 0.02)):  # what it was trained with, or one's own
        done, told = Guard(slow, rate)(np.array([1.0, 1.0]), np.zeros(2))
        np.testing.assert_allclose(done, step)
        np.testing.assert_allclose(told, min(1.0, np.inf if rate is None else 0.1 * rate))
    for wrong in ({"rate": [1.0, 2.0, 3.0]}, {"low": 3.0}, {"rate": 0.0}):
        with pytest.raises(ContractError):
            Guard(CONTRACT, **wrong)


def test_a_call_that_does_not_return_ends_it(still):
    begun = threading.Event()
    robot = Stopping(lambda robot: robot.count == 2 and begun.wait(30))
    report = Loop(still, robot, replace(PATIENT, watchdog=0.5)).run(50)
    begun.set()
    assert (report.reason, report.stopped, robot.stopped) == ("hung", True, 1)
    assert "step has not returned after 0.5 s" in report.says


def test_a_stop_that_fails_is_told(still):
    robot = Toy(lambda robot: (_ for _ in ()).throw(OSError("cable")))
    report = Loop(still, robot, PATIENT).run(5)
    assert (report.reason, report.stopped) == ("failed", False)
    assert "OSError: cable" in report.says and "NOT CONFIRMED" in str(report)


def test_its_own_stop_failing_leaves_holding(still):
    robot = Stopping()
    robot.stop = lambda: 1 / 0
    report = Loop(still, robot, PATIENT).run(2)
    held(robot, report, robot.sent[0])
    assert "ZeroDivisionError" in report.how


@pytest.mark.parametrize("numbered", [True, False])
def test_old_observations_end_it(still, numbered):
    def freeze(robot):
        if robot.count > 3:
            robot.count, robot.position = 3, frozen.setdefault("at", robot.position)

    frozen = {}
    robot = Toy(freeze, numbered)
    report = Loop(still, robot, replace(PATIENT, stale=2, rate=1.0)).run(50)
    assert (report.reason, report.stale) == ("stale", 3)
    # While nothing new was seen, the last command was repeated.
    np.testing.assert_array_equal(robot.sent[-3], robot.sent[-2])


def test_numbers_that_are_none_end_it(still, tmp_path):
    def lose(robot):
        robot.position[1] = np.nan if robot.count == 2 else robot.position[1]

    robot = Toy(lose)
    report = Loop(still, robot, PATIENT).run(50)
    assert (report.reason, report.says) == ("not finite", "observed position.elbow")
    held(robot, report, robot.sent[0])
    lost = Policy(constant(tmp_path / "nan.onnx", 0.0, np.nan))
    robot = Toy()
    report = Loop(lost, robot, PATIENT).run(50)
    assert (report.reason, report.says) == ("not finite", "the policy's action for elbow_servo")
    held(robot, report, [0.1, -0.2])


def test_missed_deadlines_end_it(still):
    robot = Toy(lambda robot: time.sleep(0.06))
    report = Loop(still, robot, replace(PATIENT, late=3)).run(50)
    assert (report.reason, report.misses, report.stopped) == ("late", 4, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(still, number):
    before = signal.getsignal(number)
    robot = Toy(lambda robot: robot.count == 2 and os.kill(os.getpid(), number))
    report = Loop(still, robot, PATIENT).run(1_000)
    assert (report.reason, report.says, report.stopped) == ("interrupted", f"asked to by {number.name}", True)
    assert signal.getsignal(number) is before


def test_another_thread_may_end_it(still):
    loop = Loop(still, Toy(lambda robot: robot.count == 2 and loop.stop()), PATIENT)
    done = []
    thread = threading.Thread(target=lambda: done.append(loop.run(1_000)))
    thread.start()
    thread.join(60)
    assert done[0].reason == "interrupted"


def test_what_the_robot_ends(still):
    robot = Toy()
    robot.step = lambda action: (*robot.seen()[:1], 0.0, False, True, {})
    report = Loop(still, robot, PATIENT).run(5)
    assert (report.reason, report.steps) == ("truncated", 1)


def test_a_reset_that_fails_sends_nothing(still):
    robot = Toy()
    robot.reset = lambda seed: 1 / 0
    report = Loop(still, robot, PATIENT).run(5)
    assert (report.reason, report.stopped, robot.sent) == ("failed", False, [])


def test_a_full_disk_ends_it_safely(still, monkeypatch, tmp_path):
    robot, wrote = Toy(), []
    loop = Loop(still, robot, PATIENT, tmp_path / "log.csv")

    def full(file, data):
        wrote.append(data)
        if len(wrote) > 3:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr("sim2real.deploy.recorder.os.write", full)
    report = loop.run(50)
    assert (report.reason, report.stopped) == ("failed", True)
    assert len(robot.sent) == 3  # two that were logged, and the hold


def test_robots_that_do_not_fit_are_refused(still):
    robot = Toy()
    robot.description = {"joints": ["waist", "wrist"]}
    with pytest.raises(ContractError, match="the robot has no elbow; the policy knows no wrist"):
        Loop(still, robot)
    robot.description = {"period": 0.02}
    with pytest.raises(ContractError, match="control period"):
        run(still, robot, 1.0)
    robot.description = None
    robot.seen = lambda: (np.zeros(4), {})
    report = Loop(still, robot, PATIENT).run(5)
    assert (report.reason, robot.sent) == ("failed", [])
    assert "shows 4 numbers, but the policy wants 3" in report.says


def test_difference():
    assert difference(CONTRACT, {}) == ""
    assert (
        difference(CONTRACT, {"ranges": [[-1.5, 1.5]] * 2, "actions": ["waist_servo", "elbow_servo"]}) == ""
    )
    assert "another order" in difference(CONTRACT, {"joints": JOINTS[::-1]})
    assert "ranges" in difference(CONTRACT, {"ranges": [[-1.5, 1.5], [-1.5, None]]})
    assert (
        difference(CONTRACT, {"low": [-2.0, -3.0], "high": [2.5, 2.0]}) == ""
    )  # takes more than is asked for
    lower = "lower limits of actions of the policy: [-2, -2], of the robot: [-2, -1]"
    assert difference(CONTRACT, {"low": [-2.0, -1.0]}) == lower
    assert "upper limits" in difference(CONTRACT, {"high": [2.0, 2.0, 2.0]})
    torques = replace(CONTRACT, action=tuple(replace(one, kind="control") for one in CONTRACT.action))
    assert "lower limits" in difference(torques, {"low": [-2.0, -3.0]})
    assert "more than once" in difference(CONTRACT, {"joints": ["waist", "elbow", "elbow"]})


def test_torques_are_let_go(tmp_path):
    """What is no position is 0 in the safe stop, or as near as may be; it is logged as an action."""
    motors = (Action("a", -1.0, 1.0), Action("b", 0.5, 1.0))
    contract = replace(CONTRACT, action=motors)
    robot = Toy()
    report = Loop(
        Policy(constant(tmp_path / "p.onnx", 0.9, 0.9, contract=contract)), robot, PATIENT, tmp_path / "l.csv"
    ).run(2)
    held(robot, report, [0.0, 0.5])
    assert (tmp_path / "l.csv").read_text().startswith("time,observation.position.waist,")


def test_watchdog():
    dog, go = Watchdog(0.2), threading.Event()
    assert dog.call(lambda x: x + 1, 1) == 2
    with pytest.raises(HungError, match="wait has not returned"):
        dog.call(go.wait)
    assert dog.call(len, "abc") == 3
    with pytest.raises(KeyError):
        dog.call({}.__getitem__, "a")
    go.set()
    dog.close()
