"""What MuJoCo would ignore silently is refused, in words that name the elements and the way out."""

import copy

import mujoco
import numpy as np
import plant
import pytest
from bench import ZOO, model_of

from randomizers.checks import meetings
from sim2real.spec import Program, ProgramError

SMALL = """<mujoco>
  <option timestep=".002" {option}/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 1" {floor}/>
    <body name="pad" pos="0 0 1">
      <joint name="free" type="free"/>
      <geom name="seen" size=".1" contype="0" conaffinity="0"/>
      <geom name="felt" size=".1" {felt}/>
      <body name="arm"><joint name="ball" type="ball"/><geom name="inner" size=".05"/></body>
      <body name="skin"><geom name="skin" size=".1"/></body>
    </body>
    <body name="post"><geom name="post" size=".1"/></body>
  </worldbody>
  <contact>{contact}</contact>
</mujoco>"""


def small(option="", floor="", felt="", contact=""):
    text = SMALL.format(option=option, floor=floor, felt=felt, contact=contact)
    return mujoco.MjSpec.from_string(text).compile()


def complaint(model, body):
    with pytest.raises((ProgramError, ValueError)) as caught:
        Program(model, {"it": plant.read_term(body)})
    return str(caught.value)


def zoo(type_, says, **body):
    return pytest.param({"type": type_, **body}, says, id=f"{type_}-{body.get('select', '')}")


@pytest.mark.parametrize(
    "body, says",
    [
        zoo("gravity_compensation", "shell has no mass", select="shell|upper", set=1),
        zoo("center_of_mass", "nothing varies; give x, y, z", select="upper"),
        zoo("center_of_mass", "'1 s' is in s, but a quantity in m is wanted here", select="upper", x="1 s"),
        zoo("pseudo_inertia", "must be between -5 and 5", select="upper", alpha=[0, 9]),
        zoo("payload", "the nominal payload of upper is 0, so scaling it", select="upper", scale=2),
        zoo("payload", "a place is [x, y, z], given [1, 2]", select="upper", set=1, at=[1, 2]),
        zoo("payload", "must be at least 0 kg", select="upper", set=[-1, 1]),
        zoo("friction", "puck, ghost never collides by its own numbers", select="puck|ghost", scale=2),
        zoo("contact_time_constant", "at least 0.004 s, twice the time step", select="crate", set=[0.001, 1]),
        zoo("contact_impedance", "must be between 0.0001 and 0.9999", select="crate", set=[0.5, 1]),
        zoo("contact_width", "contact_width of crate must be above 0 m", select="crate", set=[0, 1]),
        zoo("geom_size", "floor, rock has no size of its own", select="floor|rock", scale=2),
        zoo("pair_friction", "'gliding:floor' matches no pair", select="gliding:floor", scale=2),
        zoo("joint_range", "elbow has no such limit", select="elbow", scale=2),
        zoo("joint_limits", "crate is neither a hinge nor a slide", select="crate", add=1),
        zoo("joint_offset", "crate is neither a hinge nor a slide", select="crate", add=1),
        zoo("spring_reference", "elbow has no stiffness, so its reference", select="elbow", add=1),
        zoo("limit_time_constant", "elbow has no such limit", select="elbow", set=1),
        zoo("joint_margin", "elbow has no such limit", select="elbow", set=1),
        zoo("tendon_range", "coupling has no such limit", select="coupling", scale=2),
        zoo("tendon_length", "coupling has several tendon_length that differ", select="coupling", set=1),
        zoo("tendon_stiffness", "'no' matches no tendon", select="no", set=1),
        zoo("motor_strength", "motor_strength needs fixed or affine gains; muscle", select="muscle", scale=2),
        zoo("broken_actuator", "broken_actuator needs fixed or affine gains", select="muscle", set=0.1),
        zoo("broken_actuator", "must be between 0 and 1", select="push", set=[0, 1.1]),
        zoo("kp", "push, spin is no position servo", select="push|spin", scale=2),
        zoo("kd", "push, lagged is neither a position nor a velocity", select="push|lagged", scale=2),
        zoo("kd", "the nominal kd of winch is 0", select="winch", scale=2),
        zoo("gear", "muscle is a muscle, whose range of lengths", select="muscle", scale=2),
        zoo("control_range", "servo has no such limit", select="servo", scale=2),
        zoo("force_range", "push has no such limit", select="push", scale=2),
        zoo("actuator_time_constant", "push, winch has no filter", select="push|winch", set=1),
        zoo("wind", "already; leave density out", x=1, density=1.2),
        zoo("wind", "wind does nothing", x=1, none=True),
        zoo("gravity_tilt", "no gravity, so tilting it does nothing", roll=1, none=True),
        zoo("gravity_tilt", "must be between -3.14159 and 3.14159 rad", roll=4),
    ],
)
def test_on_the_zoo(body, says):
    body = dict(body)
    if body.pop("none", False):
        model = small(option='gravity="0 0 0"')
    elif "shell" in body.get("select", ""):
        spec = mujoco.MjSpec.from_string(
            """<mujoco><worldbody><body name="upper"><freejoint/><geom size=".1"/>
            <body name="shell"><geom size=".1" mass="0"/></body></body></worldbody></mujoco>"""
        )
        model = spec.compile()
    else:
        model = model_of(ZOO)
    assert says in complaint(model, body)


@pytest.mark.parametrize(
    "made, body, says",
    [
        ({}, {"type": "torsional_friction", "select": "felt"}, "felt has no contacts of condim 4 or more"),
        (
            {"felt": 'condim="4"'},
            {"type": "rolling_friction", "select": "felt"},
            "felt has no contacts of condim 6 or more, so rolling friction does nothing; raise condim",
        ),
        ({"felt": 'condim="1"', "floor": 'condim="1"'}, {"type": "friction", "select": "felt"}, ""),
        ({"felt": 'condim="1" priority="1"'}, {"type": "friction", "select": "felt"}, "condim 3 or more"),
        ({}, {"type": "friction", "select": "seen"}, "seen never collides"),
        ({}, {"type": "friction", "select": "inner"}, ""),
        (
            {"contact": '<exclude body1="pad" body2="world"/>', "felt": 'contype="2" conaffinity="1"'},
            {"type": "friction", "select": "floor"},
            "",
        ),
        (
            {"contact": "".join(f'<pair geom1="felt" geom2="{g}"/>' for g in ("floor", "post"))},
            {"type": "friction", "select": "felt"},
            "felt never collides by its own numbers (see contype, conaffinity, exclude, pair)",
        ),
        (
            {"felt": 'solref="-1000 -50"'},
            {"type": "contact_damping_ratio", "select": "felt"},
            "felt has its solref in the direct form",
        ),
        ({}, {"type": "mass", "select": "post"}, "post cannot move, so the mass does nothing"),
        ({}, {"type": "density", "select": "post"}, "post cannot move"),
        ({}, {"type": "payload", "select": "post"}, "post cannot move"),
    ],
)
def test_on_a_small_model(made, body, says):
    term = {**body, "add": [0, 1]}
    if says:
        assert says in complaint(small(**made), term)
    else:
        Program(small(**made), {"it": plant.read_term(term)})


def test_a_shared_draw_may_include_geoms_on_which_it_does_nothing():
    body = {"type": "friction", "select": "seen|felt", "scale": [0.5, 2]}
    assert "seen never collides" in complaint(small(), body)
    assert Program(small(), {"it": plant.read_term({**body, "share": True})}).d == 1
    alone = {**body, "select": "seen", "share": True}
    assert "seen never collides" in complaint(small(), alone)


def test_without_refsafe_short_time_constants_are_allowed():
    body = {"type": "contact_time_constant", "select": "felt", "set": [0.001, 1]}
    assert "twice the time step" in complaint(small(), body)
    spec = mujoco.MjSpec.from_string(SMALL.format(option="", floor="", felt="", contact=""))
    spec.option.disableflags = int(mujoco.mjtDisableBit.mjDSBL_REFSAFE)
    assert Program(spec.compile(), {"it": plant.read_term(body)}).d == 1


@pytest.mark.parametrize(
    "flag, body, what",
    [
        ("contact", {"type": "friction", "select": "felt", "scale": 2}, "contacts"),
        ("gravity", {"type": "gravity_compensation", "select": "pad", "set": 1}, "gravity"),
        ("gravity", {"type": "gravity", "scale": 2}, "gravity"),
        ("gravity", {"type": "gravity_tilt", "roll": 0.1}, "gravity"),
        ("damper", {"type": "damping", "select": "ball", "set": 1}, "dampers"),
        ("spring", {"type": "stiffness", "select": "ball", "set": 1}, "springs"),
        ("frictionloss", {"type": "friction_loss", "select": "ball", "set": 1}, "friction loss"),
    ],
)
def test_what_the_model_switches_off_is_not_varied(flag, body, what):
    spec = mujoco.MjSpec.from_string(SMALL.format(option="", floor="", felt="", contact=""))
    assert Program(spec.compile(), {"it": plant.read_term(body)}).d == 1
    spec.option.disableflags = int(getattr(mujoco.mjtDisableBit, f"mjDSBL_{flag.upper()}"))
    assert f"does nothing, since the model disables {what}" in complaint(spec.compile(), body)


@pytest.mark.parametrize(
    "name, select",
    [
        ("motor_strength", "push"),
        ("broken_actuator", "push"),
        ("kp", "servo"),
        ("kd", "servo"),
        ("gear", "push"),
        ("control_range", "push"),
        ("force_range", "servo"),
        ("actuator_time_constant", "lagged"),
    ],
)
def test_actuators_are_not_varied_where_actuation_is_off(name, select):
    body = {"type": name, "select": select, "set": 0.5}
    assert Program(model_of(ZOO), {"it": plant.read_term(body)}).d == 1
    off = copy.copy(model_of(ZOO))
    off.opt.disableflags = int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
    assert f"{select} does nothing, since the model disables actuation; enable it" in complaint(off, body)
    # The damping of a drive is passive: it acts without actuation.
    assert Program(off, {"it": plant.read_term({"type": "actuator_damping", "select": "push", "set": 1})}).d


def test_a_refused_geom_really_does_nothing():
    """The masks, exclusions and pairs that we read are those that MuJoCo obeys."""
    model = small(contact='<pair geom1="felt" geom2="floor"/><exclude body1="post" body2="pad"/>')
    data = mujoco.MjData(model)
    data.qpos[2] = 0.0  # everything inside everything
    mujoco.mj_forward(model, data)
    own = {
        tuple(sorted((int(c.geom1), int(c.geom2))))
        for c in data.contact
        if {model.geom(c.geom1).name, model.geom(c.geom2).name} != {"felt", "floor"}
    }
    ours = {(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(meetings(model))), strict=True)}
    assert own and own == ours
