"""The SO-101: our model moves as the public one, goals are within reach, and the reward by hand.

What is compared with the public model needs the data of `tests/real.py`.
"""

import mujoco
import numpy as np
import pytest
from scipy.optimize import least_squares

from sim2real.envs.registry import make_task
from sim2real.envs.task import Random, State
from sim2real.envs.tasks.so101 import FAR, HIGH, HUB, LOW, NEAR, OFFSET, TURN
from tests.real import PUBLIC, needs_data

NAME = "SO101Reach-v0"


@pytest.fixture(scope="module")
def task():
    made = make_task(NAME)
    made.model = made.compile()
    return made


@pytest.fixture(scope="module")
def public(task):
    model = mujoco.MjModel.from_xml_path(str(PUBLIC))
    # What differs on purpose: our arm does not touch itself, and damping of servos is integrated implicitly.
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    model.opt.integrator = task.model.opt.integrator
    return model


def arm(model):
    data = mujoco.MjData(model)
    return data, data.site("gripperframe")


@needs_data
def test_the_gripper_is_where_that_of_the_public_model_is(task, public):
    (ours, here), (theirs, there) = arm(task.model), arm(public)
    for angles in np.random.default_rng(0).uniform(*public.jnt_range.T, (50, 6)):
        for model, data in ((task.model, ours), (public, theirs)):
            data.qpos[:] = angles
            mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(here.xpos, there.xpos, atol=1e-7)  # [m]; published to 9 digits
        np.testing.assert_allclose(here.xmat, there.xmat, atol=1e-6)


@needs_data
def test_it_moves_as_the_public_model_under_the_same_commands(task, public):
    (ours, _), (theirs, _) = arm(task.model), arm(public)
    time = np.arange(500) * 0.02
    commands = 0.6 * np.sin(2 * np.pi * np.outer(time, [0.3, 0.5, 0.7, 0.9, 1.1, 1.3])) + [0, 0, 0, 0, 0, 0.7]
    moved = np.zeros(6)
    for command in commands:
        for model, data in ((task.model, ours), (public, theirs)):
            data.ctrl[:] = command
            mujoco.mj_step(model, data, 10)
        np.testing.assert_allclose(
            ours.qpos, theirs.qpos, atol=2e-5
        )  # [rad], a hundredth of an encoder's count
        moved = np.maximum(moved, abs(ours.qpos))
    assert (moved > 0.3).all()


@needs_data
def test_it_weighs_what_the_public_model_weighs(task, public):
    for body in range(1, public.nbody):
        name = public.body(body).name.removesuffix("_so101_v1")
        assert task.model.body(name).mass == public.body(body).mass
        assert (task.model.body(name).inertia == public.body(body).inertia).all()


@pytest.mark.parametrize("turn", [-TURN, 0.0, TURN])
@pytest.mark.parametrize("elevation", [LOW, 0.3, HIGH])
@pytest.mark.parametrize("distance", [NEAR, FAR])
def test_goals_are_within_reach_and_above_the_table(task, turn, elevation, distance):
    out = OFFSET + distance * np.cos(elevation)
    goal = [HUB[0] + out * np.cos(turn), out * np.sin(turn), HUB[1] + distance * np.sin(elevation)]
    data, gripper = arm(task.model)

    def miss(angles):
        data.qpos[:] = angles
        mujoco.mj_kinematics(task.model, data)
        return gripper.xpos - goal

    low, high = task.model.jnt_range.T
    starts = ([0, 0, 0, 0, 0, 0.4], [-turn, -0.5, 0.8, 0.5, 0, 0.4], [-turn, 0.2, -0.5, 0.8, 0, 0.4])
    found = min((least_squares(miss, start, bounds=(low, high)) for start in starts), key=lambda x: x.cost)
    assert np.linalg.norm(miss(found.x)) < 1e-4 and goal[2] > 0.02


def test_goals_are_drawn_there(task):
    start = task.reset_state(Random(0, np.arange(200), np.zeros(200, dtype=np.int64)))
    goal = start["mocap_pos"][:, 0]
    out = np.hypot(goal[:, 0] - HUB[0], goal[:, 1]) - OFFSET
    distance = np.hypot(out, goal[:, 2] - HUB[1])
    assert NEAR <= distance.min() < NEAR + 0.01 and FAR - 0.01 < distance.max() <= FAR
    low, high = task.model.jnt_range.T
    assert ((start["qpos"] > low) & (start["qpos"] < high)).all() and not start["qvel"].any()


@pytest.mark.parametrize("off, success", [(0.3, False), (0.03, False), (0.01, True)])
def test_reward_and_success_by_hand(task, off, success):
    sites = np.zeros((1, task.model.nsite, 3))
    sites[0, task.gripper] = [0.2, 0.1, 0.1]
    goal = np.array([[[0.2, 0.1, 0.1 + off]]])
    state = State({"site_xpos": sites, "mocap_pos": goal, "qvel": np.full((1, 6), 2.0)})
    by_hand = -off + 0.5 * (1 - np.tanh(off / 0.03)) - 0.003 * 6 * 4.0
    assert task.reward(state, state, np.zeros((1, 6)))[0] == pytest.approx(by_hand)
    assert task.success(state)[0] == success


def test_what_the_encoders_read_is_in_the_observation(task):
    state = State({"qpos": np.arange(6.0)[None], "qvel": np.ones((1, 6)), "mocap_pos": np.zeros((1, 1, 3))})
    assert (task.observe(state)[:, task.encoders] == state.qpos).all()


def test_a_table_is_felt_where_it_is_said_to_be():
    lowest = []
    for options in ({}, {"table": -0.05}):
        model = make_task(NAME, options).compile()
        data = mujoco.MjData(model)
        data.ctrl[:] = [0, 0.6, 0.9, 0.3, 0, 0.4]  # reaching down in front of its foot
        mujoco.mj_step(model, data, 1500)
        jaw = model.geom("gripper_jaw")
        down = np.abs(data.geom("gripper_jaw").xmat.reshape(3, 3)[2] * jaw.size).sum()
        lowest.append(data.geom("gripper_jaw").xpos[2] - down)
    assert lowest[0] < -0.1
    assert lowest[1] == pytest.approx(-0.05, abs=0.01)
    with pytest.raises(ValueError, match="table is a height"):
        make_task(NAME, {"table": "low"})
