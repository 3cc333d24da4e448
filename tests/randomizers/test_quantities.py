"""What people write in YAML: numbers, units, ranges, distributions, and patterns on names."""

import math

import mujoco
import numpy as np
import plant
import pytest
from hypothesis import given
from hypothesis import strategies as st

from randomizers import Beta, Choice, Constant, LogUniform, Normal, TruncatedNormal, Uniform, lookup, select
from randomizers.operands import parse_operand
from randomizers.units import UNITS, parse_quantity, parse_signed
from randomizers.words import did_you_mean, listing

number = st.floats(-1e9, 1e9)


@given(number, st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "  "]))
def test_a_number_with_a_unit_is_that_many_si_units(x, unit, space):
    si, factor = UNITS[unit]
    assert parse_quantity(f"{x!r}{space}{unit}", si) == x * factor


@given(number)
def test_a_bare_number_is_si_as_number_and_as_text(x):
    assert parse_quantity(x, "m") == x == parse_quantity(repr(x), "m")
    assert parse_signed(f"± {x!r} m", "m") == (True, x)


@pytest.mark.parametrize(
    "raw, unit, value",
    [
        ("40 ms", "s", 0.04),
        ("3 deg", "rad", math.radians(3)),
        ("10%", "", 0.1),
        ("1e-3", "", 1e-3),
        ("200_000", "", 200_000),
        (".5", "kg", 0.5),
        ("+2 cm", "m", 0.02),
        ("0.5 N m s/rad", "N m s/rad", 0.5),
    ],
)
def test_quantities(raw, unit, value):
    assert parse_quantity(raw, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "raw, unit, says",
    [
        ("40 mss", "s", "unknown unit 'mss' in '40 mss'; did you mean 'ms'?"),
        ("40 ms", "m", "a quantity in m is wanted"),
        ("40 ms", "", "a plain factor or % is wanted"),
        ("±3 deg", "rad", "'±3 deg' is a range (±); a single quantity is wanted here"),
        ("0.1.", "", "unknown unit '.' in '0.1.'"),
        ("fast", "", "'fast' is not a number or a quantity such as '40 ms'"),
        (True, "", "is not a number"),
        (None, "", "is not a number"),
        (math.nan, "", "nan is not a finite number"),
        ("1e999", "", "'1e999' is not a finite number"),
        (10**400, "", "is not a finite number"),
    ],
)
def test_wrong_quantities_say_what_is_wrong(raw, unit, says):
    with pytest.raises(ValueError) as error:
        parse_quantity(raw, unit)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "raw, unit, centre, distribution",
    [
        (2, "", 1.0, Constant(2)),
        ([0.5, 2], "", 1.0, Uniform(0.5, 2)),
        (["0 ms", "40 ms"], "s", 0.0, Uniform(0, 0.04)),
        ("±10 %", "", 1.0, Uniform(0.9, 1.1)),
        ("+/- 2 cm", "m", 0.0, Uniform(-0.02, 0.02)),
        ({"log_uniform": [0.5, 2]}, "", 1.0, LogUniform(0.5, 2)),
        ({"normal": {"mean": "1 cm", "std": "1 mm"}}, "m", 0.0, Normal(0.01, 0.001)),
        ({"truncated_normal": [0, 1, -1, 1]}, "", 0.0, TruncatedNormal(0, 1, -1, 1)),
        ({"beta": [2, 3, "0 cm", "10 cm"]}, "m", 0.0, Beta(2, 3, 0, 0.1)),
        ({"choice": [3, 1, 2]}, "", 0.0, Choice((1, 2, 3))),
        ({"constant": "5 ms"}, "s", 0.0, Constant(0.005)),
        (Uniform(0, 1), "m", 0.0, Uniform(0, 1)),
    ],
)
def test_operands(raw, unit, centre, distribution):
    assert parse_operand(raw, unit, centre) == distribution


@pytest.mark.parametrize(
    "raw, says",
    [
        ([1], "a range is [low, high], given 1 values"),
        ([2, 1], "low 2 is above high 1"),
        ({"log_unifrom": [1, 2]}, "unknown distribution 'log_unifrom'; did you mean 'log_uniform'?"),
        ({"normal": [1]}, "normal takes [mean, std], given 1 values"),
        ({"normal": {"mean": 1, "sdt": 2}}, "normal has no 'sdt'; did you mean 'std'?"),
        ({"normal": {"mean": 1}}, "normal lacks std"),
        ({"choice": 3}, "choice takes a list of numbers, given 3"),
        ({"uniform": [0, 1], "beta": []}, "name exactly one distribution, given 2: uniform, beta"),
        ({"beta": ["2 kg", 3, 0, 1]}, "a plain factor or % is wanted"),
    ],
)
def test_wrong_operands_say_what_is_wrong(raw, says):
    with pytest.raises(ValueError) as error:
        parse_operand(raw, "")
    assert says in str(error.value)


def test_words_name_the_nearest_or_list_what_exists():
    assert did_you_mean("Torzo", ["torso", "foot"]) == "; did you mean 'torso'?"
    assert did_you_mean("x", ["torso", "foot"]) == "; there are: torso, foot"
    assert did_you_mean("x", []) == ""
    assert listing(range(14)).endswith("11, … (2 more)")


HOPPER = "Hopper-v5"


@pytest.mark.parametrize(
    "kind, pattern, labels",
    [
        ("body", "torso|foot", ("torso", "foot")),
        ("body", ".*", ("torso", "thigh", "leg", "foot")),
        ("geom", "foot|floor", ("floor", "foot_geom")),  # a geom answers to its body's name
        ("joint", "foot_joint", ("foot_joint",)),
        ("actuator", ".*", ("thigh_joint", "leg_joint", "foot_joint")),  # and an actuator to its joint's
    ],
)
def test_a_pattern_selects_whole_names(kind, pattern, labels):
    assert select(plant.task_and_model(HOPPER)[1], kind, pattern).labels == labels


@pytest.mark.parametrize(
    "kind, pattern, says",
    [
        (
            "body",
            "torzo",
            "'torzo' matches no body; did you mean 'torso'? (there are: torso, thigh, leg, foot)",
        ),
        ("body", "tors", "'tors' matches no body; did you mean 'torso'?"),
        ("body", "world", "'world' matches no body"),
        ("actuator", "x", "'x' matches no actuator; there are: thigh_joint, leg_joint, foot_joint"),
        ("geom", "(", "'(' is not a regular expression"),
    ],
)
def test_a_pattern_without_a_match_names_the_nearest(kind, pattern, says):
    with pytest.raises(ValueError) as error:
        select(plant.task_and_model(HOPPER)[1], kind, pattern)
    assert says in str(error.value)


NAMELESS = """<mujoco><worldbody><geom size="1"/><body name="arm"><joint/><joint axis="0 1 0"/>
  <geom name="arm" size=".1"/><geom size=".2" pos="1 0 0"/></body></worldbody></mujoco>"""


def test_elements_without_names_get_labels_of_their_own():
    model = mujoco.MjModel.from_xml_string(NAMELESS)
    # The second geom must not be called `arm` too: it would take the first one's parameter.
    assert select(model, "geom", "arm").labels == ("arm", "arm[0]")
    assert select(model, "geom", ".*").labels == ("world", "arm", "arm[0]")
    assert select(model, "joint", ".*").labels == ("arm[0]", "arm[1]")
    program = lookup("friction").model_validate({"type": "friction", "select": "arm", "scale": [1, 2]})
    assert list(program.parameters(model)) == ["arm", "arm[0]"]


@pytest.mark.parametrize(
    "task, body, says",
    [
        (HOPPER, {"type": "damping", "select": "rootx", "scale": 2}, "damping of rootx is 0, so scaling it"),
        (
            HOPPER,
            {"type": "mass", "select": "foot", "add": [-9, 0]},
            "what is added to mass of foot must be at least -5.31",
        ),
        (
            HOPPER,
            {"type": "mass", "select": "foot", "scale": [0, 1]},
            "a factor on mass of foot must be",
        ),
        (HOPPER, {"type": "mass", "select": "foot", "set": {"normal": [5, 1]}}, "use truncated_normal"),
        (
            HOPPER,
            {"type": "friction", "select": "torso|foot", "set": [1, 2], "share": True},
            "has no nominal",
        ),
        (HOPPER, {"type": "action_latency", "set": "3 s"}, "must be between 0 and 2 s"),
        (HOPPER, {"type": "action_latency", "scale": 2}, "nominal action_latency is 0, so scaling it"),
        ("FetchPush-v4", {"type": "mass", "select": "table0", "scale": 2}, "table0 cannot move, so the mass"),
        (
            "FetchPush-v4",
            {"type": "mass", "select": "robot0:head_camera_link", "add": 1},
            "robot0:head_camera_link has no mass",
        ),
        ("Pusher-v5", {"type": "gravity", "scale": 2}, "nominal gravity is 0, so scaling it does nothing"),
    ],
)
def test_terms_that_cannot_mean_anything_are_refused(task, body, says):
    with pytest.raises(ValueError) as error:
        plant.read_term(body).parameters(plant.task_and_model(task)[1])
    assert says in str(error.value)


def test_muscles_are_refused_by_motor_strength():
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><body><joint name="j" range="-1 1"/><geom size=".1"/></body></worldbody>
        <actuator><muscle name="biceps" joint="j" lengthrange="0 1"/></actuator></mujoco>"""
    )
    term = plant.read_term({"type": "motor_strength", "select": ".*", "scale": 2})
    with pytest.raises(ValueError, match="biceps have others"):
        term.parameters(model)


def test_looks_of_a_model_without_a_camera_are_refused():
    model = mujoco.MjModel.from_xml_string(NAMELESS)
    with pytest.raises(ValueError, match="such as a camera"):
        plant.read_term({"type": "visuals", "camera": {"angle": 0.1}}).parameters(model)
    with pytest.raises(ValueError, match="nothing varies"):
        plant.read_term({"type": "visuals"})


def test_no_worlds_at_all_is_no_mistake():
    for body in (
        {"type": "friction", "select": ".*", "scale": [1, 2], "share": True},
        {"type": "mass", "select": "foot", "scale": [1, 2]},
        {"type": "visuals", "colors": 0.1, "camera": {"angle": 0.1}},
        {"type": "gravity_tilt", "roll": 0.1},
        {"type": "pseudo_inertia", "select": "foot|leg", "stretch": 0.1, "shift": 0.1},
        {"type": "payload", "select": "foot|leg", "add": 1, "at": [0, 0, 0]},
    ):
        program = plant.program_on(HOPPER, it=body)
        assert all(len(rows) == 0 for rows in program.fields(np.zeros((0, program.d))).values())
