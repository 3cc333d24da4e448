"""N worlds fail alone, continue bit for bit, and compute no more than they are asked."""

import copy

import mujoco
import numpy as np
import plant
import pytest

from randomizers import Randomizer
from randomizers.base import Parameter
from randomizers.distributions import Uniform
from sim2real.spec import Program
from sim2real.worlds import RenderingUnavailableError, Studio, Worlds
from sim2real.worlds import worlds as worlds_module

TASKS = ["Hopper-v5", "FetchPush-v4"]
each_task = pytest.mark.parametrize("task", TASKS)


def random_program(task):
    target = "object0" if "Fetch" in task else "torso|foot"
    return plant.program_on(
        task,
        mass={"type": "mass", "select": target, "scale": [0.5, 2]},
        gravity={"type": "gravity", "scale": [0.8, 1.2]},
        looks={"type": "visuals", "colors": 0.3, "lights": 0.3},
    )


def drawn(program, n):
    return program.values(program.quantiles(0, np.arange(n), np.zeros(n, dtype=np.int64)))


def run(worlds, name, steps, spoil=None):
    """Roll out; at step 10 `spoil` may break something. Returns (steps, n, nq + nv)."""
    qpos, qvel, ctrl, mocap = plant.start_and_controls(name, worlds.num_worlds, steps)
    plant.put(worlds, qpos, qvel)
    path = []
    for k in range(steps):
        if k == 10 and spoil is not None:
            spoil(worlds)
        path.append(plant.advance(worlds, ctrl[k], mocap[k]))
    return np.array(path)


def nan_in_qpos(worlds):
    worlds.bind("qpos")[2, 1] = np.nan


def huge_speed(worlds):
    worlds.bind("qvel")[2] = 1e12


def nan_force(worlds):
    worlds.bind("qfrc_applied")[2] = np.nan


@pytest.mark.parametrize("spoil", [nan_in_qpos, huge_speed, nan_force])
@each_task
def test_a_world_that_breaks_is_marked_and_the_others_do_not_notice(
    task, spoil, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    program = random_program(task)
    values = drawn(program, 4)
    good = run(plant.worlds_in(program, values), task, 40)
    worlds = plant.worlds_in(program, values, threads=2)
    broken = run(worlds, task, 40, spoil)
    assert worlds.failed.tolist() == [False, False, True, False]
    others = [0, 1, 3]
    np.testing.assert_array_equal(broken[:, others], good[:, others])
    # MuJoCo has reset the broken world by itself, so its state alone would look healthy.
    assert spoil is nan_in_qpos or np.isfinite(broken[-1, 2]).all()
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr().err == ""


@each_task
def test_a_reset_heals_a_failed_world(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 4))
    run(worlds, task, 15, nan_in_qpos)
    worlds.set_domains(np.array([2]), worlds.values[2:3].copy())
    worlds.reset(np.array([2]))
    assert not worlds.failed.any()
    again = run(worlds, task, 20)
    np.testing.assert_array_equal(again, run(plant.worlds_in(program, drawn(program, 4)), task, 20))


def test_an_unstable_domain_fails_by_mujocos_own_warning():
    # Nothing is injected: a huge gravity makes the state too large, MuJoCo warns and silently resets it.
    program = plant.program_on("InvertedDoublePendulum-v5", g={"type": "gravity", "scale": [1, 1e9]})
    worlds = plant.worlds_in(program, np.array([[1.0], [1e9], [1.0]]))
    worlds.reset(np.arange(3))
    worlds.bind("qpos")[:, 1] = 0.3
    for _ in range(50):
        worlds.step(1)
    assert worlds.failed.tolist() == [False, True, False]
    assert np.isfinite(worlds.bind("qpos")).all()


class Offset(Randomizer):
    """Moves a centre of mass that MuJoCo compiled as fixed, which it refuses at run time."""

    writes = ("body_ipos",)

    def parameters(self, model):
        return {"": Parameter(Uniform(0, 0.1), 0.0)}

    def apply(self, values, nominal, fields):
        fields["body_ipos"][:, 1] += values


SIMPLE = """<mujoco><worldbody><body><freejoint/><geom size=".1"/></body></worldbody></mujoco>"""


def test_a_domain_that_mujoco_refuses_fails_every_episode_in_it():
    program = Program(mujoco.MjModel.from_xml_string(SIMPLE), {"offset": Offset(type="x")})
    worlds = plant.worlds_in(program, np.array([[0.0], [0.1], [0.0]]))
    worlds.reset(np.arange(3))
    worlds.step(1)
    assert worlds.failed.tolist() == [False, True, False]
    worlds.set_domains(np.array([1]), np.zeros((1, 1)))
    worlds.reset(np.array([1]))
    worlds.step(1)
    assert not worlds.failed.any()


@each_task
def test_saved_worlds_continue_bit_for_bit(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 3))
    *_, ctrl, mocap = plant.start_and_controls(task, 3, 60)
    run(worlds, task, 25)
    saved = worlds.state_dict()
    looks = plant.field(worlds.model(1), "geom_rgba").copy()
    ahead = [plant.advance(worlds, u, place) for u, place in zip(ctrl, mocap, strict=True)]
    other = Worlds(program, 3, 2)
    other.load_state_dict(saved)
    np.testing.assert_array_equal(
        [plant.advance(other, u, place) for u, place in zip(ctrl, mocap, strict=True)], ahead
    )
    np.testing.assert_array_equal(plant.field(other.model(1), "geom_rgba"), looks)
    assert other.batch.state.tobytes() == worlds.batch.state.tobytes()


def test_a_saved_state_holds_all_that_mujoco_integrates():
    worlds = Worlds(random_program("FetchPush-v4"), 1)
    saved = worlds.state_dict()["state"]
    assert sum(array.size for array in saved.values()) == worlds.batch.state.size
    names = {f.removeprefix("mjSTATE_").lower() for f in mujoco.mjtState.__members__}
    assert "plastic" in names and "plastic" in saved


def test_saved_worlds_of_another_shape_are_refused():
    saved = Worlds(random_program("Hopper-v5"), 2).state_dict()
    with pytest.raises(ValueError, match="saved worlds have"):
        Worlds(random_program("Hopper-v5"), 3).load_state_dict(saved)
    with pytest.raises(ValueError, match="saved worlds have qpos"):
        Worlds(random_program("FetchPush-v4"), 2).load_state_dict(saved)


@each_task
def test_a_failure_is_saved_too(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 4))
    run(worlds, task, 12, huge_speed)
    other = Worlds(program, 4)
    other.load_state_dict(worlds.state_dict())
    np.testing.assert_array_equal(other.failed, worlds.failed)


@each_task
def test_positions_only_leaves_the_warm_start_alone(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 2))
    run(worlds, task, 30)
    xpos, state = worlds.bind("xpos"), worlds.batch.state.copy()
    worlds.forward(positions_only=True)
    assert worlds.batch.state.tobytes() == state.tobytes()
    model, data = worlds.model(1), worlds.data(1)
    mujoco.mj_forward(model, data)
    np.testing.assert_array_equal(xpos[1], data.xpos)
    np.testing.assert_array_equal(worlds.bind("qacc_warmstart")[1], data.qacc_warmstart)


@each_task
def test_places_do_not_depend_on_constraints_and_leave_options_alone(task):
    worlds = plant.worlds_in(random_program(task), drawn(random_program(task), 3))
    run(worlds, task, 30)
    bound = {name: worlds.bind(name) for name in ("xpos", "site_xmat", "cdof", "subtree_com", "cvel")}
    worlds.forward()
    everything = {name: array.copy() for name, array in bound.items()}
    worlds.forward(positions_only=True)
    for name, array in bound.items():
        np.testing.assert_array_equal(array, everything[name])
    assert worlds.model(0).opt.disableflags == worlds.program.model.opt.disableflags
    state = worlds.batch.state.copy()
    worlds.step(3)
    again = plant.worlds_in(worlds.program, worlds.values)
    again.batch.state[:] = state
    again.step(3)
    np.testing.assert_array_equal(worlds.batch.state, again.batch.state)


@each_task
def test_played_controls_are_steps_under_each(task):
    program, n, m = random_program(task), 3, 6
    stepped, played = (plant.worlds_in(program, drawn(program, n), threads=t) for t in (1, 2))
    names = ("qpos", "xpos")
    for worlds in (stepped, played):
        worlds.bind("xpos")
        run(worlds, task, 5)
    controls = np.random.default_rng(0).uniform(-1, 1, (n, m, stepped.bind("ctrl").shape[1]))
    found = played.play(controls, np.arange(n), names)
    for k in range(m):
        stepped.bind("ctrl")[:] = controls[:, k]
        stepped.step(1)
        for name in names:
            np.testing.assert_array_equal(found[name][:, k], stepped.bind(name))
    assert played.batch.state.tobytes() == stepped.batch.state.tobytes()
    np.testing.assert_array_equal(played.bind("xpos"), stepped.bind("xpos"))


def test_a_world_that_breaks_while_it_plays_is_marked():
    program = random_program("Hopper-v5")
    worlds = plant.worlds_in(program, drawn(program, 3))
    run(worlds, "Hopper-v5", 5)
    nan_in_qpos(worlds)
    worlds.play(np.zeros((2, 4, 3)), np.array([0, 2]), ("qpos",))
    assert worlds.failed.tolist() == [False, False, True]


OPTIONS = {"gravity": [3, 4, -30], "wind": [3, 1, 1], "density": 1e3, "viscosity": 0.3, "magnetic": [1, 2, 3]}


@pytest.mark.parametrize("task", ["HalfCheetah-v5", "FetchPush-v4", "Humanoid-v5", "AdroitHandDoor-v1"])
def test_mujoco_derives_nothing_from_options_that_only_make_forces(task):
    assert {f"opt.{name}" for name in OPTIONS} == worlds_module._FORCES
    nominal = plant.task_and_model(task)[1]
    model = copy.copy(nominal)
    for name, value in OPTIONS.items():
        setattr(model.opt, name, value)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    assert plant.differing(model, nominal) == sorted(f"opt.{name}" for name in OPTIONS)


@each_task
def test_a_world_can_be_taken_out_and_continued_by_plain_mujoco(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 3))
    run(worlds, task, 20)
    model, data = worlds.model(1), worlds.data(1)
    worlds.step(5)
    for _ in range(5):
        mujoco.mj_step(model, data)
    np.testing.assert_array_equal(worlds.bind("qpos")[1], data.qpos)


@each_task
def test_only_some_worlds_may_step(task):
    program = random_program(task)
    worlds = plant.worlds_in(program, drawn(program, 3))
    run(worlds, task, 5)
    state = worlds.batch.state.copy()
    worlds.step(2, np.array([1]))
    assert (worlds.batch.state == state).all(axis=1).tolist() == [True, False, True]


@each_task
def test_a_studio_shows_the_scene_and_its_edits(task):
    worlds = plant.worlds_in(random_program(task), random_program(task).nominal[None])
    model, data = worlds.model(0), worlds.data(0)
    mujoco.mj_forward(model, data)
    studio = Studio(model, 96, 64)
    try:
        camera = plant.task_and_model(task)[0].camera
        before = studio.render(data, camera)
        assert before.shape == (64, 96, 3) and before.dtype == np.uint8
        assert before.std() > 10 and len(np.unique(before.reshape(-1, 3), axis=0)) > 20
        np.testing.assert_array_equal(studio.render(data, camera), before)
        ball = [(data.xpos[1] + [0, 0, 0.1], 0.2, (1.0, 0.0, 0.0, 1.0))]
        assert (studio.render(data, camera, ball) != before).any()
        model.geom_rgba[:, :3] = model.mat_rgba[:, :3] = 0.1
        assert (studio.render(data, camera) != before).mean() > 0.3
    finally:
        studio.close()


@pytest.mark.parametrize(
    "failure", [ImportError("no libEGL"), RuntimeError("no device"), AttributeError("x")]
)
def test_without_opengl_the_message_names_what_to_install(monkeypatch, failure):
    def refuse(*args):
        raise failure

    monkeypatch.setattr(mujoco, "Renderer", refuse)
    with pytest.raises(RenderingUnavailableError, match=r"install EGL.*OSMesa") as error:
        Studio(mujoco.MjModel.from_xml_string(SIMPLE))
    assert str(failure) in str(error.value)


def test_it_takes_as_many_threads_as_its_process_may_use(monkeypatch):
    program = random_program("Hopper-v5")
    for own in ({1}, {0, 1, 3}):
        monkeypatch.setattr(worlds_module.os, "sched_getaffinity", lambda _, own=own: own)
        assert Worlds(program, 4).batch.nthread == len(own)
