"""Held-out rules: what training could draw is refused as a target, unless it says so."""

import numpy as np
import pytest

from sim2real.spec import domain
from spec.small import complaints, program

MASS = "m: {type: mass, select: upper, scale: [0.6, 1.4]}"
DELAY = "d: {type: action_latency, set: {choice: [0 ms, 10 ms, 40 ms]}}"
FIXED = "f: {type: friction, select: floor, scale: 1.2}"
MOTORS = 'k: {type: motor_strength, select: ".*", scale: [0.8, 1.2]}'


def refused(terms, target):
    return complaints(f"env: Arm\nrandomize: {{{terms}}}\ntargets: {{t: {target}}}")


@pytest.mark.parametrize(
    ("term", "value", "distance"),
    [
        (MASS, "m: 1.8", (1.8 - 1.4) / 0.8),
        (MASS, "m: 0.2", (0.6 - 0.2) / 0.8),
        (MASS, "m: 180 %", (1.8 - 1.4) / 0.8),
        (DELAY, "d: 60 ms", 0.02 / 0.04),
        (DELAY, "d: 20 ms", 0.01 / 0.04),
        (DELAY, "d: 30 ms", 0.01 / 0.04),
        (FIXED, "f: 1.5", 0.3 / 1.5),
        (FIXED, "f: 1.0", 0.2 / 1.2),
        (MOTORS, "k: 0.6", 0.2 / 0.4),
        (MOTORS, "k.m2: 1.4", 0.2 / 0.4),
        ("p: {type: friction, select: floor, set: [0.5, 2]}", "p: 0", 0.5 / 1.5),
        ("z: {type: damping, select: elbow, set: 0}", "z: 2", 1.0),
        ("z: {type: action_latency, set: {choice: [10 ms]}}", "z: 30 ms", 20 / 30),
    ],
)
def test_distance_by_hand(term, value, distance):
    found = program(f"{{{term}}}", f"{{t: {{{value}}}}}").targets["t"]
    assert found.held_out
    assert found.distance == pytest.approx(distance, rel=1e-12)


def test_distance_is_the_largest_of_all():
    found = program(f"{{{MASS}, {DELAY}}}", "{t: {m: 1.8, d: 60 ms}}").targets["t"]
    assert found.distance == pytest.approx(0.5)
    np.testing.assert_allclose(found.v, [1.8, 0.06])


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (MASS, "m: 1.0"),
        (MASS, "m: 0.6"),
        (MASS, "m: 1.4"),
        (MASS, "m: 140 %"),
        (DELAY, "d: 10 ms"),
        (DELAY, "d: 0.04"),
        (FIXED, "f: 1.2"),
        (MOTORS, "k: 1.1"),
        (MOTORS, "k.m1: 1.1"),
        # 9 * 1e-3 is not the float 0.009: a difference in the last bit makes nothing held out.
        ("d: {type: action_latency, set: [0, 0.009]}", "d: 9 ms"),
        ("d: {type: action_latency, set: [0, 9 ms]}", "d: 0.009"),
        ("d: {type: action_latency, set: {choice: [0, 9 ms]}}", "d: 0.009"),
    ],
)
def test_what_training_can_draw_is_refused(term, value):
    (line,) = refused(term, f"{{{value}}}")
    assert "training can draw it" in line
    found = program(f"{{{term}}}", f"{{t: {{{value}, inside: true}}}}").targets["t"]
    assert not found.held_out
    assert found.distance == 0.0


def test_one_value_outside_is_enough():
    found = program(f"{{{MASS}, {DELAY}}}", "{t: {m: 1.0, d: 20 ms}}").targets["t"]
    assert found.held_out


def test_between_the_values_of_a_choice_is_outside():
    assert program(f"{{{DELAY}}}", "{t: {d: 25 ms}}").targets["t"].held_out


def test_nominal_outside_the_source_makes_no_target_of_what_it_names():
    terms = f"{MASS}, d: {{type: action_latency, set: [20 ms, 40 ms]}}"
    assert "training can draw it (m = 1.1 is in [0.6, 1.4])" in refused(terms, "{m: 1.1}")[0]
    assert "names no value" in refused(terms, "{}")[0]
    # Marked, it is allowed; that training never draws its delay of 0 is reported as it is.
    found = program(f"{{{terms}}}", "{t: {m: 1.1, inside: true}}").targets["t"]
    assert found.held_out
    assert found.distance == pytest.approx(1.0)


def test_inside_false_changes_nothing():
    assert program(f"{{{MASS}}}", "{t: {m: 1.8, inside: false}}").targets["t"].given == {"m": 1.8}


def test_a_marked_target_may_still_be_outside():
    assert program(f"{{{MASS}}}", "{t: {m: 1.8, inside: true}}").targets["t"].held_out


@pytest.mark.parametrize(
    ("term", "value", "allowed"),
    [
        (MASS, "m: 0", "above 0"),
        (MASS, "m: -2", "above 0"),
        ("a: {type: mass, select: upper, add: [-1, 1]}", "a: -2 kg", "at least -2 kg"),
        ("p: {type: friction, select: floor, set: [0.5, 2]}", "p: -0.1", "at least 0"),
        (DELAY, "d: -1 ms", "between 0 and 2 s"),
        (DELAY, "d: 2.1", "between 0 and 2 s; a bare number is in s"),
    ],
)
def test_physical_bounds(term, value, allowed):
    (line,) = refused(term, f"{{{value}}}")
    assert line.endswith(f"is impossible: it must be {allowed}")


def test_bounds_of_one_of_several():
    # The offset of 1 kg bodies may not reach −1 kg, that of 2 kg bodies may.
    terms = 'a: {type: mass, select: ".*", add: [-0.5, 0.5]}'
    assert program(f"{{{terms}}}", "{t: {a.upper: -1.5 kg}}").targets["t"].held_out
    (line,) = refused(terms, "{a: -1.5 kg}")
    assert "a.lower must be at least -1 kg" in line


def test_domain_by_term_and_by_parameter():
    bound = program(f"{{{MASS}, {MOTORS}}}").program
    assert bound.names == ("m", "k.m1", "k.m2")
    assert domain(bound, "x", {}).v.tolist() == [1, 1, 1]
    assert domain(bound, "x", {"k": 0.5}).v.tolist() == [1, 0.5, 0.5]
    assert domain(bound, "x", {"k.m2": 0.5, "m": 2}).v.tolist() == [2, 1, 0.5]
    with pytest.raises(ValueError, match=r"no term or parameter 'k.m3' under randomize; did you mean 'k.m"):
        domain(bound, "x", {"k.m3": 1})


@pytest.mark.parametrize("given", [{"k": 0.5, "k.m2": 0.9}, {"k.m2": 0.9, "k": 0.5}])
def test_a_parameter_wins_over_its_term(given):
    bound = program(f"{{{MOTORS}}}").program
    assert domain(bound, "x", given).v.tolist() == [0.5, 0.9]


def test_domain_leaves_the_nominal_row_alone():
    bound = program(f"{{{MASS}}}").program
    domain(bound, "x", {"m": 2})
    assert bound.nominal.tolist() == [1]


def test_domain_remembers_what_was_given():
    given = {"m": 2.0}
    found = domain(program(f"{{{MASS}}}").program, "x", given)
    given["m"] = 3.0
    assert (found.name, found.given) == ("x", {"m": 2.0})
