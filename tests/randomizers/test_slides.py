"""Numbers of joints are in one unit for hinges, in another for slides; the wrong one is refused."""

import pickle

import numpy as np
import plant
import pytest
from bench import ZOO, model_of, program_on

from randomizers.units import units_in
from sim2real.spec import Program
from sim2real.spec.domains import resolve_targets
from sim2real.spec.model import Target

LIMITS = {"type": "joint_limits", "add": "±2 cm"}


@pytest.mark.parametrize(
    "name, body, hinge, slide",
    [
        ("joint_limits", {"add": 0.01}, "rad", "m"),
        ("joint_offset", {"add": 0.01}, "rad", "m"),
        ("joint_range", {"set": 0.01}, "rad", "m"),
        ("joint_margin", {"set": 0.01}, "rad", "m"),
        ("spring_reference", {"add": 0.01}, "rad", "m"),
        ("damping", {"set": 1}, "N m s/rad", "N s/m"),
        ("stiffness", {"set": 1}, "N m/rad", "N/m"),
        ("friction_loss", {"set": 1}, "N m", "N"),
        ("armature", {"set": 1}, "kg m^2", "kg"),
    ],
)
def test_each_joint_has_its_own_unit(name, body, hinge, slide):
    program = program_on(ZOO, it={"type": name, "select": "shoulder|slide", **body})
    assert {n: p.unit for n, p in zip(program.names, program.parameters, strict=True)} == {
        "it.shoulder": hinge,
        "it.slide": slide,
    }
    (shared,) = program_on(
        ZOO, it={"type": name, "select": "shoulder|slide", "add": 0.01, "share": True}
    ).parameters
    assert shared.unit == f"{hinge} or {slide}"


def test_a_factor_has_no_unit():
    (factor,) = program_on(ZOO, it={"type": "damping", "select": "slide", "scale": 2}).parameters
    assert factor.unit == ""


@pytest.mark.parametrize(
    "select, operand, value",
    [
        ("slide", "2 cm", 0.02),
        ("slide", ["1 mm", 0.02], 0.02),
        ("slide", {"normal": {"mean": "2 cm", "std": 0.001}}, None),
        ("shoulder", "3 deg", np.radians(3)),
        ("shoulder|slide", 0.1, 0.1),
    ],
)
def test_lengths_for_slides_and_angles_for_hinges(select, operand, value):
    program = program_on(ZOO, it={"type": "joint_limits", "select": select, "add": operand})
    if value is not None:
        assert program.parameters[0].distribution.support[1] == value


@pytest.mark.parametrize(
    "select, operand, says",
    [
        (
            "shoulder",
            "2 cm",
            "joint_limits of shoulder is in rad, but is given in m; give it in rad, or use a",
        ),
        ("slide|shoulder", ["1 cm", 0.02], "joint_limits of shoulder is in rad, but is given in m"),
        ("slide|shoulder", "±1 deg", "joint_limits of slide is in m, but is given in rad; give it in m, or"),
        ("slide", {"choice": ["1 mm", "1 deg"]}, "joint_limits of slide is in m, but is given in rad"),
        ("slide", "1 s", "'1 s' is in s, but a quantity in rad or m is wanted here"),
    ],
)
@pytest.mark.parametrize("share", [False, True])
def test_the_other_unit_is_refused(select, operand, says, share):
    with pytest.raises(ValueError) as caught:
        program_on(ZOO, it={"type": "joint_limits", "select": select, "add": operand, "share": share})
    assert says in str(caught.value)


def test_mass_in_grams_is_an_armature_of_slides_alone():
    body = {"type": "armature", "select": "slide", "add": ["0 g", "500 g"]}
    assert program_on(ZOO, it=body).parameters[0].distribution.support == (0, 0.5)
    with pytest.raises(ValueError, match=r"armature of elbow is in kg m\^2, but is given in kg"):
        program_on(ZOO, it={**body, "select": "elbow"})


def test_a_free_joint_is_in_both():
    (parameter,) = program_on(ZOO, it={"type": "damping", "select": "crate", "add": "1 N s/m"}).parameters
    assert parameter.unit == "N m s/rad or N s/m"


def test_the_unit_given_survives_pickling():
    term = pickle.loads(pickle.dumps(plant.read_term({**LIMITS, "select": "shoulder|slide"})))
    with pytest.raises(ValueError, match="of shoulder is in rad, but is given in m"):
        Program(model_of(ZOO), {"it": term})


def test_a_target_is_read_in_the_unit_of_its_joint():
    program = program_on(ZOO, it={"type": "joint_limits", "select": "shoulder|slide", "add": [0, 0.01]})
    target = Target(values={"it.slide": "5 cm", "it.shoulder": "9 deg"})
    found, wrong = resolve_targets(program, {"far": target})
    assert not wrong and found["far"].describe() == "it.slide 0.05 m, it.shoulder 0.1571 rad"
    assert resolve_targets(program, {"x": Target(values={"it.shoulder": "5 cm"})})[1]


def test_units_in():
    unit = "rad or m"
    assert units_in({"beta": ["2 %", 3, "1 cm", "1 m"]}, unit) == {"m"}
    assert units_in([1, "1e-3", None], unit) == frozenset()
    assert units_in(["1 deg", "±2 mm"], unit) == {"rad", "m"}
