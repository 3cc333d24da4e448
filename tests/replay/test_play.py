"""Replay is plain `mj_step` under the logged commands; signals are delayed and distorted as in training."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from sim2real.envs.domains import fixed
from sim2real.envs.registry import make_task
from sim2real.envs.tasks.so101 import SO101Reach
from sim2real.envs.vector import TaskVectorEnv
from sim2real.logs import LogError, Reading, cut, matched, read
from sim2real.replay import Player, robot_of
from sim2real.replay.play import left_out
from sim2real.replay.sag import sags
from tests.plant import program_on
from tests.real import LOGS, PUBLIC, needs_data
from tests.replay.arm import JOINTS, NAME, asked, domain, logged, program


def stepped(model, log, skip=10):
    """Positions in each row, by `mj_step` alone."""
    data = mujoco.MjData(model)
    data.qpos[: model.nu] = log.position[0]
    mujoco.mj_forward(model, data)
    found = [data.qpos[: model.nu].copy()]
    for command in log.command[:-1]:
        data.ctrl[:] = command
        mujoco.mj_step(model, data, skip)
        found.append(data.qpos[: model.nu].copy())
    return np.array(found)


def test_it_is_plain_mj_step_bit_for_bit():
    made, log = program(), asked()
    np.testing.assert_array_equal(
        Player(made, made.nominal, threads=1).play(log)[0], stepped(made.model, log)
    )


def test_servos_have_been_asked_for_the_first_command_before():
    log = asked()
    log = replace(log, command=np.repeat(log.command[:1] + 0.1, len(log), axis=0))
    slow = {"type": "servo", "select": ".*", "share": True, "acceleration": 0.1}
    made, bare = program(slow=slow), program()
    lazy = domain(made, slow=0.1)
    # A set point that is there already has no way to go, however slowly it would.
    np.testing.assert_array_equal(
        Player(made, lazy, threads=1).play(log)[0], Player(bare, bare.nominal, threads=1).play(log)[0]
    )
    moving = replace(log, command=log.command + 0.2 * log.time[:, None])
    kept = replace(moving, velocity=np.full((len(log), 6), 0.2))
    there, late = (Player(made, lazy, threads=1).play(one)[0] for one in (kept, moving))
    assert (late[-1] < there[-1] - 0.05).all()  # one that moves already goes on


def test_worlds_are_in_their_own_domains():
    made, log = program(gains={"type": "kp", "select": ".*", "scale": [0.01, 2.0], "share": True}), asked()
    both = Player(made, np.array([[1.0], [0.02]]), threads=2).play(log)
    model = made.model.__copy__()
    model.actuator_gainprm[:, 0] *= 0.02
    model.actuator_biasprm[:, 1] *= 0.02
    np.testing.assert_array_equal(both[0], stepped(made.model, log))
    np.testing.assert_allclose(both[1], stepped(model, log), atol=1e-12)
    assert np.abs(both[0] - both[1]).max() > 0.01


def test_long_logs_are_simulated_in_parts_without_a_seam(monkeypatch):
    made, log = program(), asked(90)
    whole = Player(made, made.nominal, threads=1).play(log)
    monkeypatch.setattr("sim2real.replay.play._NUMBERS", 300)
    np.testing.assert_array_equal(Player(made, made.nominal, threads=1).play(log), whole)


def test_a_late_command_is_one_that_was_sent_later():
    made, log = program(delay={"type": "action_latency", "set": [0, 0.1]}), asked()
    late = Player(made, domain(made, delay=0.04), threads=1).play(log)[0]
    sent_later = replace(log, command=log.command[np.maximum(np.arange(len(log)) - 2, 0)])
    np.testing.assert_array_equal(late, stepped(made.model, sent_later))


def test_an_old_position_is_one_that_was_read_earlier():
    made, log = program(age={"type": "observation_latency", "set": [0, 0.1]}), asked()
    old = Player(made, domain(made, age=0.04), threads=1).play(log)[0]
    fresh = stepped(made.model, log)
    np.testing.assert_array_equal(old, fresh[np.maximum(np.arange(len(log)) - 2, 0)])


def test_latencies_between_physics_steps_count_where_that_is_wanted():
    delays = {
        "sent": {"type": "action_latency", "set": [0, 0.1]},
        "seen": {"type": "observation_latency", "set": [0, 0.1]},
    }
    made, log = program(**delays), asked()
    # All that begins at rest is as late in what is seen as in what was sent.
    model = made.model.__copy__()
    model.opt.gravity[:] = 0
    made = made.rebound(model)
    v = np.array([[0.02, 0.0], [0.022, 0.0], [0.0205, 0.0], [0.02, 0.0005], [0.0215, 0.0]])
    whole, next_, part, aged, early = Player(made, v, threads=1, smooth=True).play(log)
    np.testing.assert_array_equal([whole, next_], Player(made, v[:2], threads=1).play(log))
    np.testing.assert_allclose(part, 0.75 * whole + 0.25 * next_, atol=1e-12)
    np.testing.assert_allclose(part, aged, atol=1e-12)
    np.testing.assert_allclose(early, 0.25 * whole + 0.75 * next_, atol=1e-12)


def test_rows_between_physics_steps_lie_on_straight_lines():
    made, log = program(), asked()
    fine = stepped(made.model, replace(log, command=np.repeat(log.command, 10, axis=0)), 1)
    odd = replace(log, time=log.time + np.where(np.arange(len(log)) % 2, 0.0005, 0.0))
    found = Player(made, made.nominal, threads=1).play(odd)[0]
    np.testing.assert_allclose(found[3], 0.75 * fine[30] + 0.25 * fine[31], atol=1e-12)


def test_signals_are_those_of_the_environment(monkeypatch):
    """Everything that can happen on the way, at once: the environment's own steps give the same positions."""
    monkeypatch.setattr(SO101Reach, "slew", None)  # a log holds what was sent, after any such limit
    terms = {
        "play": {"type": "backlash", "set": [0, 0.1], "channels": ["0:3"]},
        "shaky": {"type": "action_noise", "set": [0, 0.1]},
        "delay": {"type": "action_latency", "set": [0, 0.05]},
        "jitter": {"type": "action_jitter", "set": [0, 0.05]},
        "lost": {"type": "action_loss", "set": [0, 0.5]},
        "age": {"type": "observation_latency", "set": [0, 0.02]},
        "late": {"type": "observation_jitter", "set": [0, 0.05]},
        "unseen": {"type": "observation_dropout", "set": [0, 0.5]},
        "noise": {"type": "observation_noise", "set": [0, 0.1], "channels": ["0:6"]},
        "bias": {"type": "observation_bias", "set": [0, 0.1]},
    }
    made, log = program(**terms), asked()
    given = {"play": 0.05, "shaky": 0.02, "delay": 0.026, "jitter": 0.03, "lost": 0.2}
    v = domain(made, **given, age=0.006, late=0.03, unseen=0.2, noise=0.01, bias=0.02)
    task = make_task(NAME)
    env = TaskVectorEnv(task, 1, made.rebound(task.compile()), fixed(v), seed=3, threads=1, autoreset=False)
    start = task.reset_state
    task.reset_state = lambda random: start(random) | {"qpos": np.zeros((len(random), 6))}
    seen = [env.reset(seed=3)[0][0, :6]] + [env.step(command[None])[0][0, :6] for command in log.command[:-1]]
    player = Player(made, v, task.encoders, 15, seed=3, threads=1)
    np.testing.assert_allclose(player.play(log)[0], seen, atol=1e-12)


def test_an_unstable_world_has_no_positions():
    made = program(pull={"type": "gravity", "set": [9.0, 1e15]})
    found = Player(made, np.array([[9.81], [1e14]]), threads=1).play(asked())
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_forces_and_time_steps_are_left_out_and_reported():
    made = program(
        shove={"type": "push", "select": "gripper", "set": [0, 5], "every": 1.0},
        clock={"type": "timestep", "set": [0.001, 0.002]},
    )
    assert left_out(made, made.nominal) == []
    assert [f.where for f in left_out(made, domain(made, shove=3.0, clock=0.001))] == ["shove", "clock"]


def test_a_log_of_some_joints_leaves_the_others_at_rest():
    made, log = program(), asked()
    part = replace(log, joints=JOINTS[:2], position=log.position[:, :2], command=log.command[:, :2])
    still = replace(log, command=log.command * [1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(
        Player(made, made.nominal, threads=1).play(part)[0], stepped(made.model, still)[:, :2]
    )


def test_channels_of_a_log_of_some_joints_are_those_of_the_environment():
    made = program(coarse={"type": "quantization", "set": [0, 1.0], "channels": [3]})
    log, v = asked(), domain(made, coarse=0.25)
    part = replace(log, joints=JOINTS[2:4], position=log.position[:, 2:4], command=log.command[:, 2:4])
    fine = Player(made, made.nominal, slice(0, 6), 15, threads=1).play(part)[0]
    seen = Player(made, v, slice(0, 6), 15, threads=1).play(part)[0]
    np.testing.assert_array_equal(seen, np.stack([fine[:, 0], np.rint(fine[:, 1] / 0.25) * 0.25], axis=1))


def test_a_joint_without_a_servo_takes_no_commands():
    log = replace(asked(), joints=("thigh_joint",), position=np.zeros((60, 1)), command=np.zeros((60, 1)))
    made = program_on("Hopper-v5")
    with pytest.raises(LogError, match="no position servo of the model drives thigh_joint"):
        Player(made, made.nominal, threads=1).play(log)


def test_gears_and_ranges_of_a_model():
    model = mujoco.MjModel.from_xml_string("""
    <mujoco><worldbody><body><joint name="turn" range="-1 2" limited="true"/><geom size="1"/>
      <body><joint name="slide" type="slide"/><geom size="1"/></body></body></worldbody>
      <actuator><motor joint="turn"/><position joint="turn" gear="3" kp="5"/></actuator></mujoco>""")
    robot = robot_of(model)
    assert robot.joints.names == ("turn", "slide") and robot.joints.hinge.tolist() == [True, False]
    assert robot.servo.tolist() == [1, -1] and robot.gear[0] == 3 and robot.joints.high[1] == np.inf
    log = replace(asked(2), joints=("turn",), position=np.zeros((2, 1)), command=np.array([[0.1], [0.2]]))
    np.testing.assert_allclose(robot.controls(log), [[0, 0.3], [0, 0.6]])


@pytest.mark.parametrize("turned", [(), ("shoulder_lift",), ("elbow_flex", "shoulder_lift")])
def test_a_joint_that_sags_upwards_may_count_the_other_way_round(turned):
    made = program(gains={"type": "kp", "select": ".*", "scale": [0.01, 2.0], "share": True})
    held = replace(asked(200), command=np.tile([0.1, -0.2, 0.5, 0.1, 0.0, 0.5], (200, 1)))
    log = logged(made, [0.018], replace(held, position=held.command))
    mirrored = matched(log, robot_of(made.model).joints, Reading(reverse=turned))
    found = list(sags(made.model, robot_of(made.model), mirrored))
    assert {finding.where for finding in found} == {f"motion: {name}" for name in turned}
    assert all(finding.sure == "possible" and "against gravity" in finding.says for finding in found)


@needs_data
def test_a_real_motion_is_replayed_as_by_the_public_model():
    made = program()
    model = mujoco.MjModel.from_xml_path(str(PUBLIC))
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    model.opt.integrator = made.model.opt.integrator
    player = Player(made, made.nominal, threads=1)
    log = cut(matched(read(LOGS / "multisine.csv")[0], player.robot.joints), 5, 9)
    grid = replace(log, time=0.02 * np.arange(len(log)), velocity=None)  # so that rows fall on physics steps
    np.testing.assert_allclose(player.play(grid)[0], stepped(model, grid), atol=2e-5)  # see test_so101


@needs_data
def test_a_real_joint_turned_round_is_found_by_its_sag():
    made = program()
    robot, (raw,) = robot_of(made.model), read(LOGS / "coupled_joints.csv")
    for turned, where in (((), []), (("shoulder_lift",), ["coupled_joints: shoulder_lift"])):
        log = matched(raw, robot.joints, Reading(reverse=turned))
        assert [finding.where for finding in sags(made.model, robot, log)] == where
