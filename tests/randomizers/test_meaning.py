"""What single randomizers mean, by hand."""

import copy

import mujoco
import numpy as np
import plant
import pytest
from bench import ZOO, model_of, program_on, start_and_controls

from randomizers.inertia import general_bodies
from randomizers.select import select
from sim2real.spec import Program


def test_two_terms_on_one_field_edit_their_own_rows():
    program = program_on(
        "Hopper-v5",
        a={"type": "mass", "select": "torso", "set": [1, 9]},
        b={"type": "mass", "select": "foot", "set": [1, 9]},
    )
    mass = program.fields(np.array([[2.0, 7.0]]))["body_mass"][0]
    expected = program.model.body_mass.copy()
    expected[1], expected[4] = 2.0, 7.0
    np.testing.assert_array_equal(mass, expected)


def test_mass_keeps_the_shape_of_the_inertia():
    program = program_on("Hopper-v5", m={"type": "mass", "select": "foot", "set": [1, 9]})
    fields = program.fields(np.array([[program.model.body_mass[4] * 3]]))
    np.testing.assert_allclose(fields["body_inertia"][0, 4], 3 * program.model.body_inertia[4], rtol=1e-14)


def test_mass_and_setconst_leave_the_mocap_weld_of_fetch_alone():
    # mj_setConst recomputes a weld's relative pose unless the model gives it.
    program = program_on("FetchPush-v4", m={"type": "mass", "select": "object0", "set": [1, 9]})
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
    program = program_on("InvertedDoublePendulum-v5", g={"type": "gravity", "scale": [0.5, 2]})
    vector = program.fields(np.array([[2.0]]))["opt.gravity"][0]
    np.testing.assert_allclose(vector, 2 * program.model.opt.gravity, rtol=1e-15)


def model_in(program, *v):
    """The model of a domain, with what mj_setConst derives."""
    worlds = plant.worlds_in(program, np.array([v], dtype=float))
    assert not worlds.failed.any()
    return worlds.model(0)


def test_kp_moves_gain_and_bias_together_and_leaves_kd():
    program = program_on(ZOO, it={"type": "kp", "select": "servo", "scale": [0.5, 2]})
    model, i = model_in(program, 2.0), program.model.actuator("servo").id
    assert model.actuator_gainprm[i, 0] == 40
    np.testing.assert_array_equal(model.actuator_biasprm[i, :3], [0, -40, -2])


def test_kd_of_a_velocity_servo_moves_its_gain_too():
    program = program_on(ZOO, it={"type": "kd", "select": "servo|spin", "set": [0, 9]})
    model = model_in(program, 3.0, 4.0)
    servo, spin = (program.model.actuator(name).id for name in ("servo", "spin"))
    assert model.actuator_gainprm[[servo, spin], 0].tolist() == [20, 4]
    np.testing.assert_array_equal(model.actuator_biasprm[[servo, spin], :3], [[0, -20, -3], [0, 0, -4]])


def test_a_dead_actuator_gives_no_force():
    program = program_on(ZOO, it={"type": "broken_actuator", "select": "push", "set": {"bernoulli": 0.1}})
    model = model_in(program, 1.0)
    data = mujoco.MjData(model)
    data.ctrl[:] = 1
    mujoco.mj_forward(model, data)
    assert data.actuator_force[0] == 0 != data.actuator_force[1]


def test_a_joint_offset_moves_the_mechanism_at_the_same_reading():
    program = program_on(ZOO, it={"type": "joint_offset", "select": "elbow", "add": "±10 deg"})
    off, model = model_in(program, 0.1), program.model
    at = model.jnt_qposadr[model.joint("elbow").id]
    places = []
    for m, reading in ((model, 0.0), (off, 0.1), (off, 0.0)):
        data = mujoco.MjData(m)
        data.qpos[at] = reading
        mujoco.mj_kinematics(m, data)
        places.append(data.geom("hand").xpos.copy())
    np.testing.assert_allclose(places[1], places[0], atol=1e-12)
    # The hand hangs 25 cm below the elbow and swings by 0.1 rad.
    np.testing.assert_allclose(np.linalg.norm(places[2] - places[0]), 2 * 0.25 * np.sin(0.05), rtol=1e-9)


def test_a_range_keeps_its_middle_and_limits_move_as_one():
    low, high = model_of(ZOO).jnt_range[model_of(ZOO).joint("slide").id]
    wide = program_on(ZOO, it={"type": "joint_range", "select": "slide", "scale": [0.5, 2]})
    (got,) = model_in(wide, 2.0).jnt_range[:1]
    np.testing.assert_allclose([got.mean(), np.ptp(got)], [(low + high) / 2, 2 * (high - low)])
    moved = program_on(ZOO, it={"type": "joint_limits", "select": "slide", "add": "±1 m"})
    np.testing.assert_allclose(model_in(moved, 0.5).jnt_range[0], [low + 0.5, high + 0.5])


def test_tilted_gravity_keeps_its_size_and_leans_as_it_says():
    program = program_on(ZOO, it={"type": "gravity_tilt", "roll": "±20 deg", "pitch": "±20 deg"})
    rolled, pitched = (model_in(program, *v).opt.gravity for v in ((0.1, 0), (0, 0.1)))
    np.testing.assert_allclose(rolled, 9.81 * np.array([0, np.sin(0.1), -np.cos(0.1)]))
    np.testing.assert_allclose(pitched, 9.81 * np.array([-np.sin(0.1), 0, -np.cos(0.1)]))


def test_wind_pushes_along_itself_and_brings_its_air():
    wind = {"type": "wind", "x": "±20", "y": 0, "density": "1.2 kg/m^3"}
    program = program_on("InvertedDoublePendulum-v5", it=wind)
    still, blown = model_in(program, 0, 0), model_in(program, 10, 0)
    assert (still.opt.density, blown.opt.density) == (0, 1.2)
    forces = []
    for model in (still, blown):
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        forces.append(data.qfrc_fluid[0])
    assert forces[0] == 0 < forces[1]


def test_impedance_stays_ordered():
    program = program_on(ZOO, it={"type": "contact_impedance", "select": "crate", "set": [0.1, 0.99]})
    i = program.model.geom("crate").id
    for dmax, dmin in ((0.5, 0.5), (0.85, 0.8), (0.99, 0.8)):
        np.testing.assert_array_equal(model_in(program, dmax).geom_solimp[i, :3], [dmin, dmax, 0.01])


def test_a_larger_geom_takes_its_bounds_along():
    program = program_on(ZOO, it={"type": "geom_size", "select": "ball", "scale": [0.5, 3]})
    model, i = model_in(program, 3.0), program.model.geom("ball").id
    np.testing.assert_allclose(model.geom_rbound[i], 0.36)
    np.testing.assert_allclose(model.geom_aabb[i, 3:], 0.36)
    assert model.body_mass.tobytes() == program.model.body_mass.tobytes()


def test_a_pair_goes_by_its_geoms():
    program = program_on(ZOO, it={"type": "pair_friction", "select": "floor:puck", "set": [0, 2]})
    np.testing.assert_array_equal(model_in(program, 1.5).pair_friction[0], [1.5, 1.5, 0.01, 0.002, 0.002])


def test_sites_are_named_too():
    assert select(model_of(ZOO), "site", "hook|eye").labels == ("hook", "eye")


TIED = """<mujoco>
  <worldbody>
    <site name="a" pos="0 0 1"/>
    <body name="box" pos=".3 .1 0">
      <freejoint/><geom size=".1 .2 .1" type="box"/><site name="b" pos=".1 .05 .1"/>
    </body>
  </worldbody>
  <tendon><spatial name="t" armature="{}"><site site="a"/><site site="b"/></spatial></tendon>
</mujoco>"""


def test_a_tendon_that_gets_an_armature_needs_its_bodies_compiled_as_general():
    """A simple body's inertia is kept as a diagonal, which loses a tendon's armature without a word."""
    term = plant.read_term({"type": "tendon_armature", "select": "t", "set": [0, 1]})
    spec = mujoco.MjSpec.from_string(TIED.format(0))
    (i,) = general_bodies(term, spec.compile())
    assert spec.bodies[i].name == "box"
    spec.bodies[i].simple = 0
    qpos, qvel = spec.compile().qpos0, np.array([0.1, 0.2, 0.3, 1, 2, 3])
    ctrl, mocap = np.zeros((100, 0)), np.zeros((100, 3))
    anew = mujoco.MjSpec.from_string(TIED.format(0.5)).compile()
    expected = plant.loop(anew, qpos, qvel, ctrl, mocap)
    worlds = plant.worlds_in(Program(spec.compile(), {"it": term}), np.array([[0.5]]))
    path = plant.together(worlds, qpos[None], qvel[None], ctrl[:, None], mocap[:, None])[:, 0]
    np.testing.assert_array_equal(path, expected)
    assert general_bodies(term, anew).size == 0


def test_an_actuator_after_one_with_two_controls_gets_its_own_range_and_gear():
    spec = mujoco.MjSpec.from_string(
        """<mujoco><worldbody><body><joint name="j" axis="0 0 1"/><geom size=".1"/></body></worldbody>
        </mujoco>"""
    )
    joint = mujoco.mjtTrn.mjTRN_JOINT
    spec.add_actuator(name="pid", target="j", trntype=joint).set_to_pid(kp=3.0)
    motor = spec.add_actuator(name="motor", target="j", trntype=joint, ctrlrange=[-1, 1])
    motor.ctrllimited = True
    model = spec.compile()
    assert (model.nu, model.nactuator) == (3, 2)
    terms = {
        key: plant.read_term({"type": key, "select": "motor", "scale": [1, 3]})
        for key in ("control_range", "gear")
    }
    fields = Program(model, terms).fields(np.array([[2.0, 3.0]]))
    np.testing.assert_array_equal(fields["actuator_ctrlrange"][0], [[0, 0], [0, 0], [-2, 2]])
    np.testing.assert_array_equal(fields["actuator_gear"][0, :, 0], [1, 3])


def test_a_gap_alone_changes_no_motion():
    """Why there is no contact_gap: MuJoCo 4 only lists contacts in the gap, without force."""
    wide = copy.copy(model_of(ZOO))
    wide.geom_gap[:] = 0.05
    mujoco.mj_setConst(wide, mujoco.MjData(wide))
    qpos, qvel, ctrl, mocap = start_and_controls(ZOO, 1, 100)
    rolls = [plant.loop(m, qpos[0], qvel[0], ctrl[:, 0], mocap[:, 0]) for m in (model_of(ZOO), wide)]
    np.testing.assert_array_equal(*rolls)


def test_a_label_is_one_element_and_none_that_belongs_to_its_namesake():
    model = mujoco.MjModel.from_xml_string("""
    <mujoco><worldbody><body name="hand"><joint name="wrist"/><geom size="1"/><geom size="1"/>
      <body><joint name="hand"/><geom size="1"/></body></body></worldbody></mujoco>""")
    assert select(model, "joint", "hand").labels == ("wrist", "hand")
    assert select(model, "joint", "=hand").labels == ("hand",)
    assert select(model, "geom", "=hand[1]").ids.tolist() == [1]
    with pytest.raises(ValueError, match="'=hend' matches no joint"):
        select(model, "joint", "=hend")
