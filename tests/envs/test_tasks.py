"""Task functions are array functions: torch tensors give what NumPy arrays give."""

import mujoco
import numpy as np
import pytest
import torch

from sim2real.envs import NATIVE, make_task, nominal_model
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
        ("Hopper-v5", {"sharp": 1}, "Hopper-v5"),
    ],
)
def test_wrong_tasks_and_options_are_value_errors(name, options, says):
    with pytest.raises(ValueError) as error:
        make_task(name, options)
    assert says in str(error.value)


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
