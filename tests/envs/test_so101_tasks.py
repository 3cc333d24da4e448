"""The SO-101's tasks: equal to a plain loop of `mj_step`, bit for bit, and scored by hand."""

import mujoco
import numpy as np
import pytest
from scipy.optimize import least_squares

from sim2real.envs.make import make_vector
from sim2real.envs.registry import make_task, nominal_model
from sim2real.envs.task import Random, State
from sim2real.envs.tasks.so101_push import FAR, LIMITS, LONG, NEAR, SIDE
from sim2real.evaluation.statistics import summarize
from sim2real.export.robot import actions_of, entries_of
from sim2real.rollout import Rollout
from sim2real.session import CATALOG
from sim2real.spec import load_text

NAMES = ("SO101Reach-v0", "SO101Track-v0", "SO101Push-v0")
SLEW = {"SO101Reach-v0": 0.03, "SO101Track-v0": 0.03, "SO101Push-v0": 0.012}
WORLDS, STEPS = 4, 60


def plain(env, world):
    """A model and data in the state in which a world begins, without any of our worlds."""
    model = env.program.model
    data = mujoco.MjData(model)
    for name in ("qpos", "qvel", "ctrl", "mocap_pos", "userdata"):
        getattr(data, name)[:] = env.worlds.bind(name)[world]
    mujoco.mj_forward(model, data)
    return model, data


def actions(env, seed=0):
    """Such as move the arm about, the gripper down to the table too."""
    space = env.single_action_space
    draw = np.random.default_rng(seed).uniform(space.low, space.high, (STEPS // 10, WORLDS, 6))
    return np.repeat(draw, 10, axis=0).astype(np.float32)


def path(parameters, time):
    """Where the point of a tracking episode is, in one world, written out by hand."""
    spherical = []
    for middle, a1, a2, f1, f2, p1, p2 in parameters.reshape(3, 7):
        sines = a1 * np.sin(2 * np.pi * f1 * time + p1) + a2 * np.sin(2 * np.pi * f2 * time + p2)
        spherical.append(middle + sines)
    turn, distance, elevation = spherical
    out = 0.0304 + distance * np.cos(elevation)
    return np.array([0.0388 + out * np.cos(turn), out * np.sin(turn), 0.1166 + distance * np.sin(elevation)])


def sought(name, data, off, apart):
    """What is rewarded, by hand."""
    speed = (data.qvel[:6] ** 2).sum()
    if name == "SO101Push-v0":
        return 1 - np.tanh(off / 0.06) - off - 0.5 * apart - 0.003 * speed
    return 0.5 * (1 - np.tanh(off / 0.03)) - off - 0.003 * speed


def shown(name, data):
    """What is observed of a world, and what is to become small, by hand."""
    tip, joints = data.site("gripperframe").xpos, [data.qpos[:6], data.qvel[:6]]
    if name == "SO101Push-v0":
        cube, turned = data.qpos[6:9], np.zeros(9)
        mujoco.mju_quat2Mat(turned, data.qpos[9:13])
        goal = data.mocap_pos[0, :2]
        return (
            [*joints, cube, turned[[0, 3]], goal, tip - cube],
            np.linalg.norm(cube[:2] - goal),
            np.linalg.norm(tip - cube),
        )
    if name == "SO101Track-v0":
        where = [path(data.userdata[12:], data.time + later) for later in (0.0, 0.1)]
        return [*joints, *where], np.linalg.norm(tip - where[0]), 0.0
    return [*joints, data.mocap_pos[0]], np.linalg.norm(tip - data.mocap_pos[0]), 0.0


@pytest.mark.parametrize("name", NAMES)
def test_worlds_equal_a_plain_loop_bit_for_bit(name):
    env = make_vector(name, WORLDS, seed=3, threads=1)
    env.reset(seed=3)
    alone = [plain(env, world) for world in range(WORLDS)]
    velocities = [[np.zeros(6), np.zeros(6), np.zeros(6)] for _ in range(WORLDS)]
    for action in actions(env):
        observation, reward, _, _, infos = env.step(action)
        for world, (model, data) in enumerate(alone):
            data.ctrl[:] = np.clip(action[world], data.ctrl - SLEW[name], data.ctrl + SLEW[name])
            mujoco.mj_step(model, data, 10)
            np.testing.assert_array_equal(env.worlds.bind("qpos")[world], data.qpos)
            np.testing.assert_array_equal(env.worlds.bind("qvel")[world], data.qvel)
            seen, off, apart = shown(name, data)
            np.testing.assert_allclose(observation[world], np.concatenate(seen), rtol=0, atol=1e-12)
            assert reward[world] == pytest.approx(sought(name, data, off, apart), abs=1e-12)
            assert infos["is_success"][world] == (off < 0.02)
            past = velocities[world]
            past.append(data.qvel[:6].copy())
            jerk = (past[-1] - 2 * past[-2] + past[-3]) / 0.02**2
            assert infos["jerk"][world] == pytest.approx(np.sqrt((jerk**2).mean()), rel=1e-9)
            measured = "tracking_error" if name == "SO101Track-v0" else "distance"
            assert infos[measured][world] == pytest.approx(off, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_from_a_saved_state_jerk_included(name):
    first, second = (make_vector(name, 2, seed=1, threads=1) for _ in range(2))
    for env in (first, second):
        env.reset(seed=1)
    moves = actions(first)[:, :2]
    for action in moves[:15]:
        first.step(action)
    second.load_state_dict(first.state_dict())
    for action in moves[15:30]:
        one, other = first.step(action), second.step(action)
        for a, b in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert (one[4]["jerk"] == other[4]["jerk"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_ends_with_its_measures_and_the_next_begins_without(name):
    env = make_vector(name, 2, seed=1, threads=1, max_episode_steps=5)
    env.reset(seed=1)
    for action in actions(env)[:5, :2]:
        *_, truncated, infos = env.step(action)
    assert truncated.all()
    assert (infos["final_info"]["jerk"] == infos["jerk"]).all() and infos["jerk"].all()
    assert not env.worlds.bind("userdata")[:, :12].any()
    np.testing.assert_array_equal(env.worlds.bind("ctrl"), env.worlds.bind("qpos")[:, :6])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_observed_and_asked_for_has_names_and_units(name):
    bundle = load_text(f"env: {name}\n", "spec.yaml", CATALOG)
    task = make_task(name)
    found = entries_of(bundle, task.observation_size, 0)
    assert [entry.joint for entry in found[:6]] == [bundle.program.model.joint(i).name for i in range(6)]
    assert [entry.field for entry in found[:12]] == ["qpos"] * 6 + ["qvel"] * 6
    assert len({entry.name for entry in found}) == task.observation_size
    assert not any(entry.name.startswith("obs[") for entry in found)
    asked = actions_of(bundle, task.spaces(bundle.program.model)[1])
    assert [one.rate for one in asked] == pytest.approx([SLEW[name] / 0.02] * 6)


def starts(name, count=300):
    task = make_task(name)
    model = task.compile()
    return task, model, task.reset_state(Random(0, np.arange(count), np.zeros(count, np.int64)))


def test_every_path_stays_within_reach_and_above_the_table():
    start = starts("SO101Track-v0", 100)[2]
    times = np.linspace(0, 5, 26)
    points = np.array([[path(own[12:], time) for time in times] for own in start["userdata"]])
    assert points[..., 2].min() > 0.04
    out = np.hypot(points[..., 0] - 0.0388, points[..., 1]) - 0.0304
    distance = np.hypot(out, points[..., 2] - 0.1166)
    assert distance.min() > 0.22 and distance.max() < 0.33  # as the goals of reaching, which are proven to be
    pace = np.linalg.norm(np.diff(points, axis=1), axis=2) / np.diff(times)
    assert np.median(pace) > 0.02 and pace.max() < 0.4  # [m/s]; 1.5 rad/s of the pan alone are 0.5 m/s


def test_pushing_begins_clear_of_all_but_the_table_and_its_goals_are_within_reach():
    _, model, start = starts("SO101Push-v0")
    data, cube, table = mujoco.MjData(model), model.geom("cube").id, model.geom("table").id
    for qpos in start["qpos"]:
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        touching = {frozenset(contact.geom.tolist()) for contact in data.contact}
        assert touching <= {frozenset((cube, table))}
    low, high = model.actuator_ctrlrange.T
    np.testing.assert_array_equal(np.stack([low, high], 1), list(LIMITS.values()))
    assert ((start["ctrl"] > low) & (start["ctrl"] < high)).all()
    reach = np.hypot(start["mocap_pos"][:, 0, 0] - 0.0388, start["mocap_pos"][:, 0, 1])
    assert reach.max() < FAR + LONG and reach.min() > NEAR
    tip = model.site("gripperframe").id

    def miss(angles):
        data.qpos[:6] = [0.0, *angles, 0.0, 0.0]
        mujoco.mj_kinematics(model, data)
        return data.site_xpos[tip] - [0.0388 + FAR + LONG - SIDE / 2, 0.0, SIDE / 2]

    found = least_squares(miss, [0.5, -0.3, 1.5], bounds=(low[1:4], high[1:4]))
    assert np.linalg.norm(miss(found.x)) < 1e-3  # behind the cube at the farthest goal


def test_an_arm_that_moves_out_pushes_the_cube_and_does_not_go_through_it():
    env = make_vector("SO101Push-v0", 1, seed=0, threads=1)
    env.reset(seed=0)
    model, data = plain(env, 0)
    turn = -np.arctan2(data.qpos[7], data.qpos[6] - 0.0388)
    before = data.qpos[6:9].copy()
    for pose in ([turn, -0.45, 0.9, 1.2, 0, 0], [turn, 0.6, -0.5, 1.6, 0, 0]):
        for _ in range(75):
            data.ctrl[:] = np.clip(pose, data.ctrl - 0.03, data.ctrl + 0.03)
            mujoco.mj_step(model, data, 10)
            assert all(contact.dist > -0.005 for contact in data.contact)
    moved = np.linalg.norm(data.qpos[6:8] - before[:2])
    outward = np.hypot(*(data.qpos[6:8] - [0.0388, 0])) - np.hypot(*(before[:2] - [0.0388, 0]))
    assert moved > 0.02 and outward > 0.015


def test_the_cube_is_as_its_mass_and_sides_say():
    model = nominal_model("SO101Push-v0")
    cube = model.body("cube")
    assert cube.mass[0] == pytest.approx(0.03)
    np.testing.assert_allclose(cube.inertia, 0.03 * 0.03**2 / 6, rtol=1e-9)  # of a solid cube: m a² / 6


@pytest.mark.parametrize("off, success", [(0.021, False), (0.019, True)])
def test_a_push_arrives_within_two_centimetres(off, success):
    task = make_task("SO101Push-v0")
    task.compile()
    qpos = np.zeros((1, 13))
    qpos[0, 6:9] = [0.25, off, 0.015]
    state = State({"qpos": qpos, "mocap_pos": np.array([[[0.25, 0.0, 0.0]]])})
    assert task.success(state)[0] == success


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_tells_the_mean_of_what_is_measured(name):
    env = make_vector(name, 3, seed=1, threads=1, max_episode_steps=6)
    moves = actions(env)[:, :3]
    rollout = Rollout(env, seed=1)
    for action in moves[:6]:
        rollout.advance(action)
    again = make_vector(name, 3, seed=1, threads=1, max_episode_steps=6)
    again.reset(seed=1)
    infos = [again.step(action)[4] for action in moves[:6]]
    summary = summarize(rollout.episodes(), 0)
    assert set(summary["measures"]) == set(env.measured) > {"jerk"}
    for what, mean in summary["measures"].items():
        assert mean == pytest.approx(np.mean([info[what] for info in infos]))
    halves = [summarize(one, 0)["measures"] for one in rollout.episodes().split(3)]
    assert np.mean([half["jerk"] for half in halves]) == pytest.approx(summary["measures"]["jerk"])
