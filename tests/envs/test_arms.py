"""The family of planar arms: geometry, rewards and ends by hand, alike shapes, and what may be randomized."""

import mujoco
import numpy as np
import pytest

from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import make_task
from sim2real.envs.task import State
from sim2real.envs.tasks.arms import ARMS, TASKS
from sim2real.envs.vector import TaskVectorEnv
from sim2real.session import CATALOG
from sim2real.spec import SpecError, load_text

NAME = "PlanarArm-v0"
PAIRS = [(robot, task) for robot in ARMS for task in TASKS]


def made(robot="even", task="reach"):
    one = make_task(NAME, {"robot": robot, "task": task})
    return one, one.compile()


def placed(one, tip, red=(0.5, 0.0), blue=(-0.5, 0.0)):
    """A state with the tip and the discs at given places."""
    sites = np.zeros((1, one.tip + 1, 3))
    sites[0, one.tip, :2] = tip
    discs = np.zeros((1, 2, 3))
    discs[0, 0, :2], discs[0, 1, :2] = red, blue
    return State({"site_xpos": sites, "mocap_pos": discs})


@pytest.mark.parametrize("robot", ARMS)
def test_the_tip_is_where_links_lead(robot):
    one, model = made(robot)
    data = mujoco.MjData(model)
    angles = np.array([0.3, -1.1, 0.7])[: one.joints]
    data.qpos[:] = angles
    mujoco.mj_forward(model, data)
    turned, lengths = np.cumsum(angles), np.array(ARMS[robot].lengths)
    expected = [lengths @ np.cos(turned), lengths @ np.sin(turned)]
    assert np.allclose(data.site_xpos[one.tip, :2], expected) and sum(lengths) == pytest.approx(1.0)


@pytest.mark.parametrize("robot", ARMS)
def test_motors_turn_the_way_and_as_fast_as_they_are_built(robot):
    """At rest, inertia times acceleration is the torque of the gears; damping is what slows a joint down."""
    one, model = made(robot)
    data = mujoco.MjData(model)
    gears, damping = np.array(ARMS[robot].gears), ARMS[robot].damping
    data.ctrl[:] = 1.0
    mujoco.mj_forward(model, data)
    torque = np.zeros(model.nv)
    mujoco.mj_mulM(model, data, torque, data.qacc)
    assert np.allclose(torque, gears)
    data.ctrl[:] = 0.0
    data.qvel[:] = 1.0
    mujoco.mj_forward(model, data)
    assert np.allclose(data.qfrc_passive, -damping) and one.joints == len(gears)


@pytest.mark.parametrize(
    ("task", "tip", "reward", "success"),
    [
        ("reach", (0.5, 0.3), -0.3, False),
        ("reach", (0.5, 0.05), -0.05, True),
        ("avoid", (-0.5, 0.05), -0.05, True),
        ("avoid", (-0.5, 0.4), -0.4, False),
        ("avoid", (0.5, 0.0), -1.0 - 2.0, False),
        ("avoid", (0.4, 0.0), -0.9 - 1.0, False),
        ("mirror", (0.5, 0.0), -1.0, False),
        ("mirror", (-0.5, 0.05), -0.05, True),
        ("retreat", (0.5, 0.0), -2.0, False),
        ("retreat", (-0.95, 0.0), -0.55, True),
        ("retreat", (-0.8, 0.0), -0.7, False),
    ],
)
def test_rewards_and_success_by_hand(task, tip, reward, success):
    one, _ = made("even", task)
    state = placed(one, tip)
    none = np.zeros((1, 3))
    assert one.reward(state, state, none) == pytest.approx(reward)
    assert one.success(state)[0] == success
    # Two joints that there are cost; one that there is not does nothing.
    assert one.reward(state, state, np.array([[1.0, 1.0, 1.0]])) == pytest.approx(reward - 0.04)


@pytest.mark.parametrize(("robot", "task"), PAIRS)
def test_all_pairs_have_one_shape(robot, task):
    one, model = made(robot, task)
    first = made()[0].spaces(made()[1])
    assert one.spaces(model) == first
    env = TaskVectorEnv(make_task(NAME, {"robot": robot, "task": task}), 4, threads=1)
    shown, _ = env.reset(seed=0)
    assert shown.shape == (4, 15) and env.single_observation_space.contains(shown[0])
    cosines, sines, speeds = np.split(shown[:, 6:], 3, axis=1)
    there = one.joints
    assert np.allclose(cosines[:, :there] ** 2 + sines[:, :there] ** 2, 1.0)
    assert not np.concatenate([part[:, there:] for part in (cosines, sines, speeds)], 1).any()
    lasted = 0
    for action in np.random.default_rng(0).uniform(-1, 1, (40, 4, 3)):
        _, _, terminated, truncated, infos = env.step(action)
        lasted += 1
        assert not terminated.any()
    assert truncated.all() and lasted == 40 and "is_success" in infos["final_info"]


def test_a_joint_that_is_missing_cannot_be_asked():
    runs = []
    for third in (-1.0, 1.0):
        env = TaskVectorEnv(make_task(NAME, {"robot": "uneven"}), 2, threads=1)
        env.reset(seed=0)
        runs.append([env.step(np.tile([0.5, -0.3, third], (2, 1)))[:2] for _ in range(5)])
    for (seen, reward), (also, rewarded) in zip(*runs, strict=True):
        assert np.array_equal(seen, also) and np.array_equal(reward, rewarded)


def test_every_robot_and_task_meets_the_same_scenes():
    scenes = []
    for robot, task in PAIRS:
        env = TaskVectorEnv(make_task(NAME, {"robot": robot, "task": task}), 50, threads=1)
        scenes.append(env.reset(seed=3)[0][:, 2:6])
    assert all(np.array_equal(scene, scenes[0]) for scene in scenes)
    red, blue = scenes[0][:, :2], scenes[0][:, 2:]
    for disc in (red, blue):
        far = np.linalg.norm(disc, axis=1)
        assert far.min() >= 0.4 and far.max() <= 0.9
    apart = (red * blue).sum(1) / (np.linalg.norm(red, axis=1) * np.linalg.norm(blue, axis=1))
    assert apart.max() <= np.cos(np.pi / 3) + 1e-9


def test_what_may_vary():
    """Links, joints, motors and signals do, whatever the robot; a link that only one has, in that one."""
    terms = """
randomize:
  weight: {type: mass, select: link2, scale: [0.5, 2]}
  damping: {type: damping, select: ".*", scale: [0.5, 2], share: true}
  motors: {type: motor_strength, select: ".*", scale: [0.5, 1.5], share: true}
  delay: {type: action_latency, set: [0 ms, 40 ms]}
  noise: {type: observation_noise, set: 0.01}
"""
    for robot in ARMS:
        bundle = load_text(f"env: {NAME}\nenv_options: {{robot: {robot}}}\n{terms}", "arm.yaml", CATALOG)
        program, nominal = bundle.program, bundle.program.nominal
        runs = {}
        for name in ("", "motors", "damping", "weight"):
            v = nominal.copy()
            if name:
                v[program.columns(name)] = 0.5
            env = make_worlds(NAME, {"robot": robot}, program, 1, fixed(v), 0, 1)
            env.reset(seed=0)
            runs[name] = [env.step(np.ones((1, 3)))[0] for _ in range(5)][-1][0]
        moved = [np.abs(runs[name][6:] - runs[""][6:]).max() for name in runs if name]
        assert min(moved) > 1e-3
    text = f"env: {NAME}\nrandomize: {{weight: {{type: mass, select: link3, scale: [0.5, 2]}}}}"
    with pytest.raises(SpecError, match="'link3' matches no body"):
        load_text(text, "arm.yaml", CATALOG)


def test_a_set_says_which_members_cannot_take_a_term():
    text = f"""
envs:
  two: {{env: {NAME}}}
  three: {{env: {NAME}, options: {{robot: triple}}}}
randomize: {{weight: {{type: mass, select: link3, scale: [0.5, 2]}}}}
"""
    with pytest.raises(SpecError, match=r"'link3' matches no body; .*\(in two\)"):
        load_text(text, "arms.yaml", CATALOG)


@pytest.mark.parametrize(
    ("options", "says"), [({"robot": "evn"}, "did you mean 'even'"), ({"task": 3}, "task")]
)
def test_unknown_ones_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        make_task(NAME, options)
