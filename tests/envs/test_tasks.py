"""Task functions are array functions: torch tensors give what NumPy arrays give."""

import mujoco
import numpy as np
import pytest
import torch

from sim2real.envs import NATIVE, make_task, nominal_model
from sim2real.envs.make import make_vector
from sim2real.envs.task import GoalTask, State, add_view
from sim2real.envs.vector import TaskVectorEnv


def tensors(state):
    return State({name: torch.from_numpy(np.array(x)) for name, x in state._fields.items()})


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("name", NATIVE)
def test_torch_tensors_give_what_arrays_give(name, n):
    env = TaskVectorEnv(make_task(name), n, autoreset=False)
    env.reset(seed=0)
    task, action = env.task, np.random.default_rng(0).uniform(-1, 1, (n, env._actions))
    for _ in range(15):
        before = State({field: env.worlds.bind(field).copy() for field in task.remembers})
        env.step(action)
    state = env.state
    theirs, earlier, asked = tensors(state), tensors(before), torch.from_numpy(action)

    def same(array, tensor):
        assert isinstance(tensor, torch.Tensor)
        # The two libraries' sines may differ in the last bit.
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-12, atol=1e-12)

    same(task.observe(state), task.observe(theirs))
    same(task.reward(before, state, action), task.reward(earlier, theirs, asked))
    same(task.terminated(state), task.terminated(theirs))
    if isinstance(task, GoalTask):
        same(task.achieved(state), task.achieved(theirs))
        same(task.success(state), task.success(theirs))


def test_a_field_that_the_task_does_not_read_is_an_error():
    with pytest.raises(AttributeError, match="reads no field 'xpos'; add it to `reads`"):
        State({"qpos": np.zeros((1, 2))}).xpos  # noqa: B018


@pytest.mark.parametrize(
    "name, options, says",
    [
        ("Hoper-v5", {}, "unknown environment 'Hoper-v5'; did you mean 'Hopper-v5'?"),
        ("FetchPush-v4", {"reward_type": "thick"}, "reward_type is 'sparse' or 'dense', given 'thick'"),
        ("FetchPush-v4", {"sharp": 1}, "FetchPush-v4 has no option 'sharp'"),
        ("Hopper-v5", {"sharp": 1}, "Hopper-v5 has no option 'sharp'; there are: max_episode_steps"),
        ("Hopper-v5", {"max_episode_step": 9}, "did you mean 'max_episode_steps'?"),
        ("Hopper-v5", {"max_episode_steps": 0}, "must be a whole number of control steps, given 0"),
        ("Hopper-v5", {"max_episode_steps": 9.5}, "must be a whole number of control steps, given 9.5"),
    ],
)
def test_wrong_tasks_and_options_are_value_errors(name, options, says):
    with pytest.raises(ValueError) as error:
        make_task(name, options)
    assert says in str(error.value)


@pytest.mark.parametrize("name", ["Reacher-v5", "FetchReach-v4", "AdroitHandDoor-v1"])
def test_any_task_takes_gymnasiums_time_limit(name):
    env = make_vector(name, 2, max_episode_steps=3)
    env.reset(seed=0)
    idle = np.zeros(env.action_space.shape, np.float32)
    ends = [env.step(idle)[3].tolist() for _ in range(4)]
    assert ends == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    env.close()


@pytest.mark.parametrize("name", NATIVE)
def test_compiling_warns_of_nothing_and_gives_the_camera(name):
    assert make_task(name).camera in [
        nominal_model(name).camera(i).name for i in range(nominal_model(name).ncam)
    ]


def test_a_view_is_that_of_mujocos_free_camera():
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(size=[0.1, 0, 0])
    add_view(spec, (0.1, 0.2, 0.3), 2.0, 30.0, -40.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    free, scene = mujoco.MjvCamera(), mujoco.MjvScene(model, maxgeom=10)
    free.lookat[:], free.distance, free.azimuth, free.elevation = (0.1, 0.2, 0.3), 2.0, 30.0, -40.0
    fixed = mujoco.MjvCamera()
    fixed.type, fixed.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
    seen = []
    for camera in (free, fixed):
        mujoco.mjv_updateScene(
            model, data, mujoco.MjvOption(), None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene
        )
        eye = scene.camera[0]
        seen.append(np.concatenate([eye.pos, eye.forward, eye.up]))
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-6)


def run(env, actions):
    rows = []
    for action in actions:
        observation, reward, *_ = env.step(action)
        goals = observation if isinstance(observation, dict) else {"observation": observation}
        rows.append(np.concatenate([*goals.values(), reward[:, None]], 1))
    return np.array(rows)


@pytest.mark.parametrize("name", [*(name for name in NATIVE if "Dense" not in name)])
def test_a_saved_task_continues_bit_for_bit(name):
    # What the last physics step left, and no state field holds, must not be lost with the process.
    env, other = (TaskVectorEnv(make_task(name), 3, threads=1) for _ in range(2))
    env.reset(seed=5)
    other.reset(seed=1)
    low, high = env.single_action_space.low, env.single_action_space.high
    actions = np.random.default_rng(0).uniform(low, high, (24, 3, len(low)))
    run(env, actions[:9])
    saved = env.state_dict()
    ahead = run(env, actions[9:])
    other.load_state_dict(saved)
    np.testing.assert_array_equal(run(other, actions[9:]), ahead)


@pytest.mark.parametrize("name", ["Ant-v5", "Humanoid-v5", "FetchPickAndPlace-v4", "AdroitHandDoor-v1"])
def test_worlds_do_not_see_each_other(name):
    few, many = (TaskVectorEnv(make_task(name), n, threads=2) for n in (2, 9))
    few.reset(seed=3)
    many.reset(seed=3)
    low, high = few.single_action_space.low, few.single_action_space.high
    actions = np.random.default_rng(0).uniform(low, high, (30, 9, len(low)))
    np.testing.assert_array_equal(run(few, actions[:, :2]), run(many, actions)[:, :2])


@pytest.mark.parametrize("name", ["Ant-v5", "Humanoid-v5"])
def test_contact_forces_carry_the_robots_weight(name):
    env = TaskVectorEnv(make_task(name), 2, autoreset=False)
    env.reset(seed=0)
    state, still = env.state, np.zeros((2, env._actions))
    assert not env.task.forces(state).any()
    pushed = []
    for _ in range(300):
        env.step(still)
        pushed.append(np.array(env.task.forces(state)[:, 1:, 5].sum(1)))
    model = env.program.model
    np.testing.assert_allclose(np.mean(pushed[200:], 0), 9.81 * model.body_mass.sum(), rtol=0.03)


@pytest.mark.parametrize("value", [np.nan, 1e150])
@pytest.mark.parametrize("name", ["Ant-v5", "Humanoid-v5", "FetchPickAndPlace-v4"])
def test_a_world_that_fails_spoils_no_other(name, value):
    good, bad = (TaskVectorEnv(make_task(name), 3, threads=1) for _ in range(2))
    good.reset(seed=0)
    bad.reset(seed=0)
    low, high = good.single_action_space.low, good.single_action_space.high
    actions = np.random.default_rng(0).uniform(low, high, (8, 3, len(low)))
    np.testing.assert_array_equal(run(bad, actions[:4]), run(good, actions[:4]))
    bad.worlds.bind("qvel")[1, 0] = value
    spoilt = run(bad, actions[4:])
    np.testing.assert_array_equal(spoilt[:, [0, 2]], run(good, actions[4:])[:, [0, 2]])
    assert np.isfinite(spoilt).all() and len(bad.failures) == 1


def test_ants_late_observation_is_the_whole_one_of_its_physics_step(tmp_path):
    # Half a control step old, contact forces included, as a plain MuJoCo would have them then.
    spec = tmp_path / "late.yaml"
    spec.write_text("env: Ant-v5\nrandomize:\n  late: {type: observation_latency, set: 20 ms}\n")
    env = make_vector("Ant-v5", 2, spec, autoreset=False)
    env.reset(seed=0)
    model, touched = env.program.model, 0
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.worlds.bind("qpos")[1], env.worlds.bind("qvel")[1]
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 2, 8)):
        seen = env.step(action)[0][1]
        data.ctrl[:] = action[1]
        mujoco.mj_step(model, data, nstep=3)
        mujoco.mj_rnePostConstraint(model, data)
        forces = np.clip(data.cfrc_ext[1:], -1, 1).ravel()
        touched += forces.any()
        np.testing.assert_allclose(seen, np.concatenate([data.qpos[2:], data.qvel, forces]), atol=1e-9)
        mujoco.mj_step(model, data, nstep=2)
    assert touched > 10
