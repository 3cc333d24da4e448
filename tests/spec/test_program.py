"""A Program maps quantiles to values to fields, and refuses terms that cannot stand together."""

import numpy as np
import pytest

from randomizers import Delay, Distortion, OperationTerm, Parameter, Randomizer, Uniform, lookup
from sim2real.spec import Program, ProgramError
from spec.small import complaints, model, program

MASS = "m: {type: mass, select: upper, scale: [0.5, 1.5]}"
MOTORS = 'k: {type: motor_strength, select: ".*", scale: {log_uniform: [0.5, 2]}}'
FLOOR = "p: {type: friction, select: floor, set: [0.4, 1.2]}"
PULL = "g: {type: gravity, add: [-1, 1]}"
DELAY = "d: {type: action_latency, set: [0 ms, 40 ms]}"
SEEN = "o: {type: observation_latency, set: [5 ms, 10 ms]}"
NOISE = "n: {type: observation_noise, set: [0, 0.1]}"
ALL = "{" + ", ".join([MASS, MOTORS, FLOOR, PULL, DELAY, SEEN, NOISE]) + "}"


@pytest.fixture(scope="module")
def everything():
    return program(ALL).program


def terms_of(**bodies):
    return {name: lookup(body["type"]).model_validate(body) for name, body in bodies.items()}


def test_names_nominal_and_writes(everything):
    assert everything.names == ("m", "k.m1", "k.m2", "p", "g", "d", "o", "n")
    assert everything.d == 8
    assert everything.nominal.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert set(everything.writes) == {
        "body_mass",
        "body_inertia",
        "actuator_gainprm",
        "actuator_biasprm",
        "actuator_forcerange",
        "geom_friction",
        "opt.gravity",
    }


def test_values_at_the_ends_and_the_middle(everything):
    q = np.array([[0.0] * 8, [0.5] * 8, [np.nextafter(1, 0)] * 8])
    low, middle, high = everything.values(q)
    np.testing.assert_allclose(low, [0.5, 0.5, 0.5, 0.4, -1, 0, 0.005, 0])
    np.testing.assert_allclose(middle, [1, 1, 1, 0.8, 0, 0.02, 0.0075, 0.05], atol=1e-15)
    np.testing.assert_allclose(high, [1.5, 2, 2, 1.2, 1, 0.04, 0.01, 0.1])


def test_fields_at_nominal_are_the_model_bit_for_bit(everything):
    fields = everything.fields(np.repeat(everything.nominal[None], 3, axis=0))
    assert set(fields) == set(everything.writes)
    for name, values in fields.items():
        owner = model().opt.gravity if name == "opt.gravity" else getattr(model(), name)
        assert values.shape == (3, *owner.shape)
        assert (values == owner).all()


def test_fields_by_hand(everything):
    v = everything.nominal.copy()
    v[:5] = [1.5, 2.0, 0.5, 0.7, 0.19]
    fields = everything.fields(v[None])
    np.testing.assert_allclose(fields["body_mass"][0], [0, 3, 1])
    np.testing.assert_allclose(fields["body_inertia"][0], model().body_inertia * [[1], [1.5], [1]])
    np.testing.assert_allclose(fields["actuator_gainprm"][0, :, 0], [2.0, 0.5])
    np.testing.assert_allclose(fields["geom_friction"][0, :, 0], [0.7, 1, 1])
    np.testing.assert_allclose(fields["opt.gravity"][0], [0, 0, -10])


def test_fields_do_not_accumulate_and_leave_the_model_alone(everything):
    before = model().body_mass.copy()
    v = np.random.default_rng(0).uniform(0.6, 1.4, (4, 8))
    first, second = everything.fields(v), everything.fields(v)
    assert all((first[name] == second[name]).all() for name in first)
    assert (model().body_mass == before).all()


def test_quantiles_depend_on_their_own_key_only(everything):
    worlds, episodes = np.arange(6), np.array([0, 3, 1, 0, 2, 5])
    q = everything.quantiles(7, worlds, episodes)
    assert q.shape == (6, 8)
    assert ((q >= 0) & (q < 1)).all()
    order = np.array([4, 0, 5])
    assert (everything.quantiles(7, worlds[order], episodes[order]) == q[order]).all()
    fewer = program("{" + ", ".join([NOISE, PULL]) + "}").program.quantiles(7, worlds, episodes)
    assert (fewer[:, 0] == q[:, 7]).all()
    assert (fewer[:, 1] == q[:, 4]).all()
    assert not (everything.quantiles(8, worlds, episodes) == q).any()
    assert not (everything.quantiles(7, worlds, episodes + 1) == q).any()


def test_a_wider_range_moves_no_other_term():
    narrow = program("{" + MASS + ", " + PULL + "}").program
    wide = program("{m: {type: mass, select: upper, scale: [0.1, 9]}, " + PULL + "}").program
    key = (3, np.arange(5), np.zeros(5, np.int64))
    assert (narrow.values(narrow.quantiles(*key))[:, 1] == wide.values(wide.quantiles(*key))[:, 1]).all()


def test_delay_and_jitter(everything):
    v = np.repeat(everything.nominal[None], 2, axis=0)
    v[:, 5:] = [[0.01, 0.006, 0.3], [0.03, 0.007, 0.0]]
    assert everything.delay("action", v).tolist() == [0.01, 0.03]
    assert everything.delay("observation", v).tolist() == [0.006, 0.007]
    assert everything.jitter("action", v).tolist() == [0, 0]
    late = program(
        "{j: {type: action_jitter, set: [0, 5 ms]}, d: {type: action_latency, set: 10 ms}}"
    ).program
    assert late.jitter("action", np.array([[0.004, 0.01]])).tolist() == [0.004]
    assert late.longest_delay("action") == 0.015


def test_terms_are_found_by_kind_and_path(everything):
    assert [b.name for b in everything.terms(Delay)] == [b.name for b in everything.bound[-3:-1]]
    assert [b.term.path for b in everything.terms(Delay, "observation")] == ["observation"]
    assert [b.name for b in everything.terms(Distortion)] == [everything.bound[-1].name]
    assert not list(everything.terms(Distortion, "action"))


def test_longest_delay(everything):
    assert everything.longest_delay("action") == 0.04
    assert everything.longest_delay("observation") == 0.01
    row = everything.nominal[None].copy()
    row[0, 5] = 0.06
    assert everything.longest_delay("action", row) == 0.06
    assert program("{}").program.longest_delay("action") == 0.0


def test_only_what_drifts_moves_with_all_that_shares_its_fields():
    model = program("{}").program.model
    body = {"type": "mass", "select": "lower", "scale": [0.5, 2], "when": {"walk": "1 s"}}
    still = {"friction": {"type": "friction", "select": ".*", "scale": [0.5, 2]}}
    load = {"load": {"type": "payload", "select": "lower", "add": [0, 1], "at": [0, 0, 0.1]}}
    assert Program(model, terms_of(**still, **load)).moves == ()
    moving = Program(model, terms_of(**still, mass=body, **load))
    assert set(moving.moves) == {"body_mass", "body_inertia", "body_ipos", "body_iquat"}
    v = moving.values(moving.quantiles(0, np.arange(4), np.arange(4), np.full(4, 0.5)))
    whole, part = moving.fields(v), moving.fields(v, moving.moves)
    assert set(part) == set(moving.moves)
    for name, field in part.items():
        np.testing.assert_array_equal(field, whole[name])


def test_a_program_without_terms():
    empty = program("{}").program
    assert (empty.d, empty.names, empty.writes) == (0, (), ())
    assert empty.values(np.empty((3, 0))).shape == (3, 0)
    assert empty.quantiles(0, np.arange(3), np.arange(3)).shape == (3, 0)
    assert empty.fields(np.empty((3, 0))) == {}
    assert empty.inside(empty.nominal)
    assert empty.distance(empty.nominal) == 0.0


def test_inside(everything):
    v = everything.values(np.full((1, 8), 0.3))[0]
    assert everything.inside(v)
    # Nominal has no observation delay, which this source never draws.
    assert not everything.inside(everything.nominal)
    assert everything.gap(6, 0.0) == pytest.approx(1.0)


def test_columns(everything):
    assert everything.columns("m") == [0]
    assert everything.columns("k") == [1, 2]
    assert everything.columns("k.m2") == [2]
    with pytest.raises(ValueError, match=r"did you mean 'k\.m1'"):
        everything.columns("k.m1x")


def message(*terms):
    return complaints("env: Arm\nrandomize: {" + ", ".join(terms) + "}")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            MASS,
            "x: {type: mass, select: upper, add: [-1, 1]}",
            "'m' writes already (body_mass of upper, body_inertia of upper)",
        ),
        (MASS, 'x: {type: mass, select: ".*", scale: 2}', "(body_mass of upper, body_inertia of upper)"),
        (FLOOR, "x: {type: friction, select: floor, scale: 2}", "(geom_friction of floor)"),
        (PULL, "x: {type: gravity, scale: 2}", "(opt.gravity)"),
        (MOTORS.replace("motor_strength", "gear"), "x: {type: gear, select: elbow, scale: 2}", "gear of m2"),
        (
            "t: {type: gravity_tilt, roll: ±5 deg}",
            "x: {type: gravity, scale: 2}",
            "would undo 't' (opt.gravity): such terms act on what earlier ones leave; put 't' after 'x'",
        ),
        (
            "x1: {type: damping, select: shoulder, scale: 2}",
            "x: {type: damping, select: shoulder, scale: 2}",
            "(dof_damping of shoulder)",
        ),
        (
            "x1: {type: visuals, colors: 0.1}",
            "x: {type: visuals, lights: 0.1}",
            "writes what 'x1' writes already",
        ),
        (DELAY, "x: {type: action_latency, set: 1 ms}", "a second action_latency beside 'd'"),
        (SEEN, "x: {type: observation_latency, set: 1 ms}", "a second observation_latency beside 'o'"),
        (
            DELAY,
            "x: {type: 'randomizers.signals:ActionLatency', set: 1 ms}",
            "a second action_latency beside 'd'",
        ),
    ],
)
def test_overlaps_are_refused(first, second, words):
    (line,) = message(first, second)
    assert line.startswith("arm.yaml:2: randomize.x: ")
    assert words in line


def test_the_third_names_all_that_it_meets():
    lines = message(
        "a: {type: mass, select: upper, scale: 2}",
        "b: {type: mass, select: lower, scale: 2}",
        'c: {type: mass, select: ".*", scale: 2}',
    )
    assert len(lines) == 1
    assert "randomize.c: writes what 'a', 'b' writes already" in lines[0]


def test_different_rows_and_fields_do_not_overlap():
    found = program(
        "{a: {type: mass, select: upper, scale: 2}, b: {type: mass, select: lower, scale: 2}, "
        "c: {type: damping, select: shoulder, scale: 2}, d: {type: armature, select: shoulder, set: 0.1}, "
        "e: {type: action_latency, set: 1 ms}, f: {type: observation_latency, set: 1 ms}}"
    ).program
    assert found.d == 6


def test_terms_on_other_columns_or_on_what_is_left_do_not_overlap():
    found = program(
        "{" + FLOOR + ", r: {type: motor_strength, select: elbow, scale: 2}, " + MOTORS + ", " + PULL + ", "
        "t: {type: gravity_tilt, roll: ±5 deg}, " + MASS + ", l: {type: payload, select: upper, add: 1}}"
    ).program
    fields = found.fields(np.array([[1, 2, 1, 3, 0, 0, 1.5, 0.5]]))
    assert fields["actuator_gainprm"][0, :, 0].tolist() == [1, 6]
    assert fields["body_mass"][0].tolist() == [0, 3.5, 1]


def test_program_error_holds_every_problem():
    terms = terms_of(
        a={"type": "mass", "select": "nothing", "scale": 2},
        b={"type": "mass", "select": "upper", "scale": 2},
        c={"type": "mass", "select": "upper", "scale": 3},
        e={"type": "damping", "select": "elbow", "scale": 3},
    )
    with pytest.raises(ProgramError) as caught:
        Program(model(), terms)
    assert [p.path for p in caught.value.problems] == [
        ("randomize", "a"),
        ("randomize", "e"),
        ("randomize", "c"),
    ]
    assert len(str(caught.value).splitlines()) == 3


class Pull(Randomizer):
    """A term of another package that leaves `touches` at its default."""

    writes = ("body_gravcomp",)

    def parameters(self, model):
        return {"": Parameter(Uniform(0, 1), 0.0)}

    def apply(self, values, nominal, fields):
        fields["body_gravcomp"][:] = values


class Slow(OperationTerm, Delay):
    """A delay on the action path, by another name."""

    path = "action"

    def parameters(self, model):
        return {"": self.parameter(np.zeros(1), ("",))}


def test_terms_of_other_packages():
    both = {"a": Pull(type="x:Pull"), "s": Slow(type="x:Slow", set=0.1)}
    bound = Program(model(), both)
    assert bound.names == ("a", "s")
    assert (bound.fields(np.array([[0.5, 0.1]]))["body_gravcomp"] == 0.5).all()
    assert bound.delay("action", np.array([[0.5, 0.1]])).tolist() == [0.1]
    with pytest.raises(ProgramError, match=r"body_gravcomp of world, body_gravcomp of upper, .*lower"):
        Program(model(), {"a": Pull(type="x:Pull"), "b": Pull(type="x:Pull")})
    latency = lookup("action_latency").model_validate({"type": "action_latency", "set": "1 ms"})
    with pytest.raises(ProgramError, match="a second action_latency beside 's'"):
        Program(model(), {"s": both["s"], "l": latency})
