"""A simulated SO-101 in another process, in wall-clock time: whatever goes wrong, it ends in a safe stop.

Events and reasons are judged, never times: the machine may be slow and loaded.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from functools import cached_property

import gymnasium as gym
import numpy as np
import pytest

from sim2real.deploy import ContractError, Loop, Policy, Safety
from sim2real.deploy.contract import Action, Contract, Entry
from sim2real.deploy.remote import RemoteRobot
from sim2real.export.robot import actions_of, entries_of, joints_of, period_of
from sim2real.logs import read
from sim2real.session import CATALOG
from sim2real.simulated_robot import main
from sim2real.spec import load
from tests.deploy.policies import write

SPEC = """\
env: tests.deploy.slow:SlowReach
randomize:
  links: {type: mass, select: gripper, scale: [0.9, 1.1]}
"""
PATIENT = Safety(watchdog=20.0, stale=10_000, late=10_000)
SOON = 60.0
"""Longest wait for another process to say something [s]."""


class Peer:
    """The robot's process, and what it has said."""

    def __init__(self, spec, *options):
        command = [sys.executable, "-m", "sim2real.simulated_robot", str(spec), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @cached_property
    def port(self):
        return self.next()["port"]

    def _listen(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def next(self):
        return self.said.get(timeout=SOON)

    def robot(self, **faults):
        return Faulty(self.port, faults)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Faulty(RemoteRobot):
    """A robot that is told at its reset how to misbehave."""

    def __init__(self, port, faults):
        super().__init__("127.0.0.1", port)
        self.faults, self.on_step, self.steps = {"after": 0, **faults}, None, 0

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options=self.faults)

    def step(self, action):
        self.steps += 1
        if self.on_step is not None:
            self.on_step(self)
        return super().step(action)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("robot") / "slow.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def peers(spec):
    """Two, which start side by side: that takes longest."""
    made = Peer(spec, "--patience", "1000"), Peer(spec, "--patience", "0.5")
    yield made
    for one in made:
        one.close()


@pytest.fixture
def peer(peers):
    return peers[0]


@pytest.fixture
def fragile(peers):
    """For tests that stop its process, and then kill it."""
    return peers[1]


@pytest.fixture(scope="module")
def file(spec):
    """A policy that lifts the first joint by 0.02 rad a step, and leaves the others where they are."""
    bundle = load(spec, CATALOG)
    space = bundle.program.model.actuator_ctrlrange
    box = type("Box", (), {"low": space[:, 0], "high": space[:, 1]})
    contract = Contract(
        "by_hand", bundle.spec.env, 0, "0" * 64, period_of(bundle), joints_of(bundle.program.model),
        entries_of(bundle, 15, 0), actions_of(bundle, box),
    )  # fmt: skip
    weights = np.eye(15, 6)
    return write(spec.with_name("lift.onnx"), weights, [0.02, 0, 0, 0, 0, 0], contract)


def test_a_motion_in_real_time(peer, file, tmp_path, spec):
    robot = peer.robot()
    report = Loop(Policy(file), robot, PATIENT, tmp_path / "motion.csv").run(8, seed=1)
    robot.close()
    assert (report.reason, report.stopped, report.how) == ("done", True, "the robot's own stop")
    assert peer.next() == {"event": "held", "why": "stop", "commands": 8}
    (motion,) = read(tmp_path / "motion.csv")
    assert motion.joints[0] == "shoulder_pan" and len(motion) == 8
    # The arm follows: each command is 0.02 rad ahead of where it was, and it ends well past where it began.
    np.testing.assert_allclose(motion.command[:, 0] - motion.position[:, 0], 0.02, atol=1e-6)
    assert motion.position[-1, 0] > motion.position[0, 0] + 0.1


def test_environments_of_gymnasium_are_robots_too(file, tmp_path):
    """Those that simulate at once: the arm is where it was told to be when the next period begins."""
    env = gym.make("sim2real/SO101Reach-v0")
    report = Loop(Policy(file), env, PATIENT, tmp_path / "gym.csv").run(4, seed=0)
    env.close()
    assert (report.reason, report.how) == ("done", "told to hold where it was last measured")
    (motion,) = read(tmp_path / "gym.csv")
    np.testing.assert_allclose(motion.command[:4, 0] - motion.position[:4, 0], 0.02, atol=1e-6)
    with pytest.raises(ContractError, match="lower limits of actions"):
        Loop(Policy(file), gym.make("sim2real/Hopper-v5"))


def test_delays_end_in_a_stop(peer, file):
    robot = peer.robot(after=3, delay=6.0)
    report = Loop(Policy(file), robot, Safety(watchdog=1.5, stale=10_000, late=10_000)).run(1_000)
    robot.close()
    assert (report.reason, report.stopped) == ("hung", True)
    assert peer.next()["why"] == "stop"


def test_short_delays_are_missed_deadlines(peer, file):
    robot = peer.robot(after=2, delay=0.12)
    report = Loop(Policy(file), robot, Safety(watchdog=20.0, stale=10_000, late=2)).run(1_000)
    robot.close()
    assert (report.reason, report.stopped) == ("late", True)
    assert report.misses >= 3
    assert peer.next()["why"] == "stop"


def test_dropped_observations_repeat_the_command_and_end_in_a_stop(peer, file, tmp_path):
    robot = peer.robot(after=4, drop=1.0)
    safety = Safety(watchdog=20.0, stale=3, late=10_000)
    report = Loop(Policy(file), robot, safety, tmp_path / "dropped.csv").run(1_000)
    robot.close()
    assert (report.reason, report.stopped) == ("stale", True)
    assert peer.next()["why"] == "stop"
    (motion,) = read(tmp_path / "dropped.csv")
    assert np.isnan(motion.position[-3:]).all()
    np.testing.assert_array_equal(motion.command[-3:], motion.command[-4:-1])


def test_some_dropped_observations_are_lived_with(peer, file):
    robot = peer.robot(drop=0.5)
    report = Loop(Policy(file), robot, PATIENT).run(10)
    robot.close()
    assert (report.reason, report.stopped) == ("done", True)
    assert peer.next()["why"] == "stop"


def test_a_robot_that_is_another_is_refused(peer, file):
    policy, robot = Policy(file), peer.robot()
    policy.contract = Contract(
        *list(vars(policy.contract).values())[:5], policy.contract.joints[::-1],
        (Entry("obs[0]"),), (Action("a", 0.0, 1.0),),
    )  # fmt: skip
    with pytest.raises(ContractError, match="the joints are in another order"):
        Loop(policy, robot)
    robot.close()


def test_a_killed_loop_leaves_a_robot_that_holds_and_a_log(peer, file, tmp_path):
    log = tmp_path / "killed.csv"
    command = [
        sys.executable, "-m", "sim2real.deploy", str(file), "--connect", f":{peer.port}", "--seconds", "1000",
        "--log", str(log), "--watchdog", "20", "--stale", "1000", "--late", "1000",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 4)
    process.kill()
    process.wait()
    held = peer.next()
    assert held["why"] == "disconnected"
    (motion,) = read(log)
    # Every command that was sent is there; the last one may have been written and not sent.
    assert len(motion) - held["commands"] in (0, 1)


def test_the_command_line_stops_when_it_is_asked_to(peer, file, tmp_path):
    log = tmp_path / "asked.csv"
    command = [
        sys.executable, "-m", "sim2real.deploy", str(file), "--connect", f"127.0.0.1:{peer.port}",
        "--seconds", "1000", "--log", str(log), "--watchdog", "20", "--stale", "1000", "--late", "1000",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=SOON)
    assert process.returncode == 0
    assert "ended: interrupted (asked to by SIGTERM)" in said and "stop:  the robot's own stop" in said
    assert peer.next()["why"] == "stop"


def test_a_robot_that_freezes_ends_it_and_then_holds_by_itself(fragile, file):
    """Its process stops, as a computer that hangs; back again, it has heard no command for too long."""
    robot = fragile.robot()
    robot.on_step = lambda robot: robot.steps == 4 and os.kill(fragile.process.pid, signal.SIGSTOP)
    report = Loop(Policy(file), robot, Safety(watchdog=1.0, stale=10_000, late=10_000)).run(1_000)
    assert (report.reason, report.stopped) == ("hung", False)
    os.kill(fragile.process.pid, signal.SIGCONT)
    assert fragile.next()["event"] == "held"
    robot.close()


def test_a_killed_robot_ends_it_and_is_told(fragile, file):
    robot = fragile.robot()
    robot.on_step = lambda robot: robot.steps == 4 and (fragile.process.kill(), fragile.process.wait())
    report = Loop(Policy(file), robot, PATIENT).run(1_000)
    robot.close()
    assert (report.reason, report.stopped) == ("failed", False)
    assert "Connection" in report.how or "BrokenPipe" in report.how
    assert "NOT CONFIRMED" in str(report)


def test_mistakes_are_told_in_a_line(tmp_path):
    other = tmp_path / "s.yaml"
    other.write_text(SPEC)
    with pytest.raises(SystemExit, match="no domain is called 'hevy'"):
        main([str(other), "--domain", "hevy"])


def wait_for(condition):
    for _ in range(int(SOON / 0.05)):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it has not come to pass")
