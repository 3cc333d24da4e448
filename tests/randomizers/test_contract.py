"""What every randomizer promises, on real models, against plain MuJoCo."""

import warnings

import mujoco
import numpy as np
import plant
import pytest

from randomizers import Randomizer, nominal_field
from randomizers.registry import BUILTIN
from sim2real.envs.task import add_view
from sim2real.spec import Program, Stream
from sim2real.worlds import Studio, Worlds

LOOKS = {"colors": 0.4, "lights": 0.3, "camera": {"position": "5 cm", "angle": "5 deg"}}
LINKS = "r_elbow_flex_link|r_forearm_roll_link"

SAMPLES = {
    "mass": [
        ("Hopper-v5", {"select": "torso|foot", "scale": [0.5, 2.0]}),
        ("Pusher-v5", {"select": LINKS, "add": [0, "500 g"]}),
        ("FetchPush-v4", {"select": "object0", "set": {"choice": [0.5, 2, 8]}}),
    ],
    "friction": [
        ("HalfCheetah-v5", {"select": ".*", "scale": {"log_uniform": [0.2, 3]}, "share": True}),
        ("FetchPush-v4", {"select": "object0|table0", "set": [0.1, 2], "share": True}),
    ],
    "damping": [
        ("InvertedDoublePendulum-v5", {"select": ".*", "add": [0, 1]}),
        ("HalfCheetah-v5", {"select": ".*thigh", "scale": "±50 %", "share": True}),
    ],
    "armature": [
        ("Hopper-v5", {"select": ".*_joint", "scale": [0.5, 2]}),
        ("InvertedDoublePendulum-v5", {"select": "slider", "add": [0, 2]}),
    ],
    "motor_strength": [
        ("HalfCheetah-v5", {"select": ".*", "scale": [0.5, 1.5]}),
        ("InvertedDoublePendulum-v5", {"select": "slide", "set": {"beta": [2, 3, 0.5, 2]}}),
    ],
    "gravity": [
        ("Hopper-v5", {"scale": [0.5, 1.5]}),
        ("InvertedDoublePendulum-v5", {"set": {"truncated_normal": [9.81, 2, 5, 15]}}),
        ("Pusher-v5", {"add": [0, 3]}),
    ],
    "visuals": [("Hopper-v5", LOOKS), ("FetchPush-v4", LOOKS), ("InvertedDoublePendulum-v5", LOOKS)],
    "action_latency": [("Hopper-v5", {"set": ["0 ms", "40 ms"]})],
    "observation_latency": [("FetchPush-v4", {"add": {"uniform": [0, 0.1]}})],
    "observation_noise": [("HalfCheetah-v5", {"set": [0, 0.1]})],
}
ALL = [
    pytest.param(task, {"type": name, **body}, id=f"{name}-{task}")
    for name, cases in SAMPLES.items()
    for task, body in cases
]
EDITING = [case for case in ALL if issubclass(BUILTIN[case.values[1]["type"]], Randomizer)]
PHYSICAL = [case for case in EDITING if case.values[1]["type"] != "visuals"]
VISUAL = [case for case in EDITING if case.values[1]["type"] == "visuals"]

each = pytest.mark.parametrize("task, body", ALL)
each_editing = pytest.mark.parametrize("task, body", EDITING)
each_physical = pytest.mark.parametrize("task, body", PHYSICAL)
each_visual = pytest.mark.parametrize("task, body", VISUAL)


def corners(program):
    """Domains at the low end, the high end and in between, (3, d)."""
    middle = Stream(0, "corners").uniform(np.arange(1), np.arange(1), program.d)
    return program.values(
        np.concatenate([np.zeros((1, program.d)), np.full((1, program.d), plant.TOP), middle])
    )


def test_every_registered_randomizer_has_a_sample():
    assert set(SAMPLES) == set(BUILTIN)


@each_editing
def test_nominal_values_give_the_nominal_model_bit_for_bit(task, body):
    program = plant.program_on(task, it=body)
    worlds = plant.worlds_in(program, np.repeat(program.nominal[None], 2, axis=0))
    assert plant.differing(worlds.model(1), program.model) == []
    headlight = worlds.model(1).vis.headlight.diffuse
    assert headlight.tobytes() == program.model.vis.headlight.diffuse.tobytes()


@each_editing
def test_only_declared_fields_change_and_what_setconst_derives(task, body):
    program = plant.program_on(task, it=body)
    values = corners(program)
    worlds = plant.worlds_in(program, values)
    for i, v in enumerate(values):
        # The declared fields written into a copy by hand, then mj_setConst: nothing else may differ.
        assert plant.differing(worlds.model(i), plant.edited(program, v)) == []


@each_editing
def test_only_the_rows_it_touches_change(task, body):
    program = plant.program_on(task, it=body)
    term = program.bound[0].term
    touched = term.touches(program.model)
    fields = program.fields(corners(program))
    assert set(fields) == set(touched) == set(term.writes)
    for name, rows in fields.items():
        changed = rows != nominal_field(program.model, name)
        where = np.unique(np.nonzero(changed)[1])
        assert set(where) <= set(touched[name].tolist()), name
    assert any((rows != nominal_field(program.model, name)).any() for name, rows in fields.items())


@each_physical
def test_a_runtime_edit_equals_a_freshly_compiled_model(task, body):
    program = plant.program_on(task, it=body)
    values = corners(program)
    qpos, qvel, ctrl, mocap = plant.start_and_controls(task, len(values), 100)
    path = plant.together(plant.worlds_in(program, values), qpos, qvel, ctrl, mocap)
    for i, v in enumerate(values):
        model = compiled(task, body, program, v)
        expected = plant.loop(model, qpos[i], qvel[i], ctrl[:, i], mocap[:, i])
        np.testing.assert_array_equal(path[:, i], expected)


@each_physical
def test_extreme_values_change_a_rollout(task, body):
    program = plant.program_on(task, it=body)
    values = np.concatenate([program.nominal[None], corners(program)[:2]])
    qpos, qvel, ctrl, mocap = (
        np.repeat(x[..., :1, :], 3, axis=-2) for x in plant.start_and_controls(task, 1, 100)
    )
    path = plant.together(plant.worlds_in(program, values), qpos, qvel, ctrl, mocap)
    for i in (1, 2):
        if (values[i] != values[0]).any():
            assert np.abs(path[:, i] - path[:, 0]).max() > 1e-6


@each_physical
def test_many_worlds_equal_a_loop_of_mj_step_at_any_thread_count(task, body):
    program = plant.program_on(task, it=body)
    n = 4
    v = program.values(program.quantiles(7, np.arange(n), np.zeros(n, dtype=np.int64)))
    qpos, qvel, ctrl, mocap = plant.start_and_controls(task, n, 40, seed=1)
    models = [plant.edited(program, row) for row in v]
    expected = [plant.loop(models[i], qpos[i], qvel[i], ctrl[:, i], mocap[:, i]) for i in range(n)]
    for threads in (1, 2, 3):
        path = plant.together(plant.worlds_in(program, v, threads), qpos, qvel, ctrl, mocap)
        np.testing.assert_array_equal(path, np.stack(expected, axis=1))


@each_editing
def test_a_thousand_resets_leave_nothing_behind(task, body):
    program = plant.program_on(task, it=body)
    n, rounds = 50, 20
    worlds = Worlds(program, n, 1)
    ids = np.arange(n)
    for episode in range(rounds):
        q = program.quantiles(3, ids, np.full(n, episode))
        worlds.set_domains(ids, program.values(q))
    worlds.set_domains(ids, np.repeat(program.nominal[None], n, axis=0))
    for i in (0, n - 1):
        assert plant.differing(worlds.model(i), program.model) == []


@each_editing
def test_resetting_one_world_never_touches_another(task, body):
    program = plant.program_on(task, it=body)
    worlds = plant.worlds_in(program, corners(program))
    plant.together(worlds, *plant.start_and_controls(task, 3, 5))
    state, models = worlds.batch.state.copy(), [worlds.model(i) for i in range(3)]
    worlds.set_domains(np.array([1]), program.nominal[None])
    worlds.reset(np.array([1]))
    worlds.forward(np.array([1]))
    for i in (0, 2):
        assert worlds.batch.state[i].tobytes() == state[i].tobytes()
        assert plant.differing(worlds.model(i), models[i]) == []
    assert worlds.batch.state[1].tobytes() != state[1].tobytes()


@each
def test_draws_do_not_depend_on_n_order_or_other_terms(task, body):
    other = {"type": "gravity", "add": [0, 1]}
    if body["type"] == "gravity":
        other = {"type": "action_latency", "set": [0, 0.01]}
    alone, first, last = (
        plant.program_on(task, **terms)
        for terms in ({"it": body}, {"it": body, "other": other}, {"other": other, "it": body})
    )
    episodes = np.arange(64) % 5
    q = alone.quantiles(11, np.arange(64), episodes)
    assert ((q >= 0) & (q < 1)).all() and len(np.unique(q)) == q.size
    few = np.array([40, 3, 17])
    np.testing.assert_array_equal(alone.quantiles(11, few, episodes[few]), q[few])
    np.testing.assert_array_equal(first.quantiles(11, np.arange(64), episodes)[:, : alone.d], q)
    np.testing.assert_array_equal(last.quantiles(11, np.arange(64), episodes)[:, 1:], q)
    assert (alone.quantiles(12, few, episodes[few]) != q[few]).all()
    assert (alone.quantiles(11, few, episodes[few] + 1) != q[few]).all()


@each
def test_both_ends_of_every_range_are_reached(task, body):
    program = plant.program_on(task, it=body)
    low, high, _ = corners(program)
    ends = np.array([p.distribution.support for p in program.parameters])
    np.testing.assert_array_equal(low, ends[:, 0])
    # The largest quantile, 1 - 2^-53, is not 1: a beta with b = 3 is still (2^-53)^(1/3) below its end.
    np.testing.assert_allclose(high, ends[:, 1], rtol=1e-5)
    assert all(p.bounds[0] <= x <= p.bounds[1] for p, x in zip(program.parameters, high, strict=True))


@each_visual
def test_looks_change_the_picture_and_nothing_else(task, body):
    program = plant.program_on(task, it=body)
    values = np.concatenate([program.nominal[None], corners(program)])
    worlds = plant.worlds_in(program, values)
    pictures = [picture(task, worlds.model(i)) for i in range(4)]
    for i in (1, 2, 3):
        assert (pictures[i] != pictures[0]).mean() > 0.05
    qpos, qvel, ctrl, mocap = (
        np.repeat(x[..., :1, :], 4, axis=-2) for x in plant.start_and_controls(task, 1, 50)
    )
    path = plant.together(worlds, qpos, qvel, ctrl, mocap)
    assert (path == path[:, :1]).all()


@pytest.mark.parametrize("part", ["colors", "lights", "camera"])
@each_visual
def test_each_part_of_the_looks_changes_the_picture(task, body, part):
    program = plant.program_on(task, it={"type": "visuals", part: body[part]})
    worlds = plant.worlds_in(program, np.concatenate([program.nominal[None], corners(program)[2:]]))
    assert (picture(task, worlds.model(1)) != picture(task, worlds.model(0))).any()


@each_visual
def test_looks_equal_a_freshly_compiled_model(task, body):
    program = plant.program_on(task, it=body)
    v = corners(program)[2]
    worlds = plant.worlds_in(program, v[None])
    anew = compiled_looks(task, program, v)
    for name in BUILTIN["visuals"].writes:
        # float32 fields; the compiler also normalizes quaternions.
        np.testing.assert_allclose(
            plant.field(worlds.model(0), name), plant.field(anew, name), atol=1e-7, err_msg=name
        )
    difference = np.abs(picture(task, worlds.model(0)).astype(int) - picture(task, anew).astype(int))
    # A rounded camera pose may move single pixels at edges.
    assert (difference > 2).mean() < 1e-3


def test_two_terms_on_one_field_edit_their_own_rows():
    program = plant.program_on(
        "Hopper-v5",
        a={"type": "mass", "select": "torso", "set": [1, 9]},
        b={"type": "mass", "select": "foot", "set": [1, 9]},
    )
    mass = program.fields(np.array([[2.0, 7.0]]))["body_mass"][0]
    expected = program.model.body_mass.copy()
    expected[1], expected[4] = 2.0, 7.0
    np.testing.assert_array_equal(mass, expected)


def test_mass_keeps_the_shape_of_the_inertia():
    program = plant.program_on("Hopper-v5", m={"type": "mass", "select": "foot", "set": [1, 9]})
    fields = program.fields(np.array([[program.model.body_mass[4] * 3]]))
    np.testing.assert_allclose(fields["body_inertia"][0, 4], 3 * program.model.body_inertia[4], rtol=1e-14)


def test_mass_and_setconst_leave_the_mocap_weld_of_fetch_alone():
    # mj_setConst recomputes a weld's relative pose unless the model gives it.
    program = plant.program_on("FetchPush-v4", m={"type": "mass", "select": "object0", "set": [1, 9]})
    worlds = plant.worlds_in(program, np.array([[5.0]]))
    np.testing.assert_array_equal(worlds.model(0).eq_data, program.model.eq_data)
    np.testing.assert_array_equal(program.model.eq_data[0, 3:10], [0, 0, 0, 1, 0, 0, 0])


def test_a_servo_keeps_its_set_point_when_its_motor_is_weak():
    spec = mujoco.MjSpec.from_string(
        """<mujoco><option gravity="0 0 0"/><worldbody><body><joint name="j" axis="0 0 1" damping="1"/>
        <geom size=".1" pos=".3 0 0"/></body></worldbody>
        <actuator><position name="servo" joint="j" kp="20" kv="2" forcerange="-4 4"/></actuator></mujoco>"""
    )
    term = plant.read_term({"type": "motor_strength", "select": "servo", "scale": [0.5, 1]})
    program = Program(spec.compile(), {"motor": term})
    worlds = plant.worlds_in(program, np.array([[0.5]]))
    model = worlds.model(0)
    assert model.actuator_gainprm[0, 0] == -model.actuator_biasprm[0, 1] == 10
    np.testing.assert_array_equal(model.actuator_forcerange, [[-2, 2]])
    worlds.reset(np.arange(1))
    worlds.bind("ctrl")[:] = 0.4
    worlds.step(20_000)
    np.testing.assert_allclose(worlds.bind("qpos"), 0.4, atol=1e-6)


def test_gravity_keeps_its_direction():
    program = plant.program_on("InvertedDoublePendulum-v5", g={"type": "gravity", "scale": [0.5, 2]})
    vector = program.fields(np.array([[2.0]]))["opt.gravity"][0]
    np.testing.assert_allclose(vector, 2 * program.model.opt.gravity, rtol=1e-15)


def picture(task, model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    studio = Studio(model, 120, 120)
    try:
        return studio.render(data, plant.task_and_model(task)[0].camera)
    finally:
        studio.close()


def compiled(task, body, program, v):
    """Write one domain into the model's source, element by element, and compile it."""
    spec, nominal = source(task), program.model
    type_, share = body["type"], body.get("share", False)
    labels = [p.partition(".")[2] for p in program.names]
    edit = EDITS[type_]
    operation = next(key for key in ("scale", "add", "set") if key in body)

    def number(before, k):
        value = v[0] if share else v[k]
        return {"scale": before * value, "add": before + value, "set": value}[operation]

    chosen = program.bound[0].term.selection(nominal).ids if "select" in body else [0]
    assert share or len(labels) == len(chosen)
    edit(spec, nominal, [(int(i), lambda before, k=k: number(before, k)) for k, i in enumerate(chosen)])
    return fresh(spec)


def source(task):
    made = plant.task_and_model(task)[0]
    spec = mujoco.MjSpec.from_file(str(made.xml))
    made.prepare(spec)
    if not isinstance(made.view, str):
        add_view(spec, **made.view)
    fresh(spec)  # gives every element its id
    return spec


def fresh(spec):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*settotalmass")
        return spec.compile()


def edit_mass(spec, nominal, chosen):
    """Write every body's inertial out, so that no mass is inferred from geoms any more."""
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    spec.compiler.settotalmass = -1
    new = dict(chosen)
    for body in spec.bodies[1:]:
        i = body.id
        mass = nominal.body_mass[i]
        if mass == 0:
            continue
        now = new[i](mass) if i in new else mass
        body.explicitinertial = True
        body.mass, body.inertia = now, nominal.body_inertia[i] * (now / mass)
        body.ipos, body.iquat = nominal.body_ipos[i], nominal.body_iquat[i]
        body.fullinertia = [np.nan, 0, 0, 0, 0, 0]


def edit_friction(spec, nominal, chosen):
    for i, number in chosen:
        next(g for g in spec.geoms if g.id == i).friction[0] = number(nominal.geom_friction[i, 0])


def edit_damping(spec, nominal, chosen):
    for i, number in chosen:
        joint = next(j for j in spec.joints if j.id == i)
        joint.damping[0] = number(nominal.dof_damping[nominal.jnt_dofadr[i]])


def edit_armature(spec, nominal, chosen):
    for i, number in chosen:
        joint = next(j for j in spec.joints if j.id == i)
        joint.armature = number(nominal.dof_armature[nominal.jnt_dofadr[i]])


def edit_motor(spec, nominal, chosen):
    for i, number in chosen:
        actuator = next(a for a in spec.actuators if a.id == i)
        for name in ("gainprm", "biasprm", "forcerange"):
            values = getattr(nominal, f"actuator_{name}")[i]
            getattr(actuator, name)[: len(values)] = values * number(1.0)


def edit_gravity(spec, nominal, chosen):
    ((_, number),) = chosen
    size = float(np.linalg.norm(nominal.opt.gravity))
    direction = nominal.opt.gravity if size else np.array([0.0, 0.0, -1.0])
    spec.option.gravity = direction * (number(size) / (size or 1.0))


EDITS = {
    "mass": edit_mass,
    "friction": edit_friction,
    "damping": edit_damping,
    "armature": edit_armature,
    "motor_strength": edit_motor,
    "gravity": edit_gravity,
}


def compiled_looks(task, program, v):
    """Write a domain of looks into the model's source, by the names of its parameters."""
    spec, nominal = source(task), program.model
    by_id = {
        kind: {x.id: x for x in getattr(spec, kind)} for kind in ("geoms", "materials", "lights", "cameras")
    }
    turns = {}
    for name, value in zip(program.names, v, strict=True):
        _, part, what, how = name.split(".")
        if part == "colors":
            kind = "geoms" if what.startswith("geom") else "materials"
            element = by_id[kind][int(what.removeprefix(kind[:-1]))]
            column = ("red", "green", "blue").index(how)
            element.rgba[column] = np.clip(element.rgba[column] + np.float32(value), 0, 1)
        elif how == "diffuse":
            light = spec.visual.headlight if what == "head" else by_id["lights"][int(what)]
            light.diffuse = np.asarray(light.diffuse) * (1 + value)
        elif part == "lights":
            by_id["lights"][int(what)].pos["xyz".index(how)] += value
        elif how.startswith("turn"):
            turns.setdefault(int(what), []).append(value)
        else:
            by_id["cameras"][int(what)].pos["xyz".index(how)] += value
    for i, angles in turns.items():
        quat = nominal.cam_quat[i].copy()
        mujoco.mju_quatIntegrate(quat, np.array(angles), 1.0)
        camera = by_id["cameras"][i]
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        camera.quat = quat
    return fresh(spec)
