"""Terms that meet on one element: on numbers of their own, or the later acting on what the earlier left."""

import itertools

import mujoco
import numpy as np
import plant
import pytest
from bench import ZOO, corners, each, fresh, general_in, model_of, program_on, source
from compiled import edit_mass, edit_payload, spread_of
from samples import PHYSICAL

from randomizers import nominal_field
from sim2real.spec import ProgramError


def numbers(term, model, name):
    """Which numbers of a field a term says it writes."""
    shape = np.atleast_1d(nominal_field(model, name)).shape
    mask = np.zeros((shape[0], int(np.prod(shape[1:]))), dtype=bool)
    columns = term.columns(model).get(name, range(mask.shape[1]))
    mask[np.ix_(term.touches(model)[name], list(columns))] = True
    return mask.reshape(shape)


@each(PHYSICAL)
def test_a_term_leaves_what_it_does_not_claim_as_it_found_it(name, body):
    program = program_on(name, it=body)
    term, model = program.bound[0].term, program.model
    values = np.concatenate([corners(program), program.nominal[None]])
    rng = np.random.default_rng(0)
    found = {key: np.repeat(nominal_field(model, key)[None], len(values), axis=0) for key in term.writes}
    own = {key: numbers(term, model, key) for key in term.writes}
    for key, array in found.items():
        other = np.broadcast_to(~own[key].reshape(array.shape[1:]), array.shape)
        array[other] = rng.normal(size=int(other.sum()))
    fields = {key: array.copy() for key, array in found.items()}
    term.apply(values, model, fields)
    for key, array in fields.items():
        other = ~own[key].reshape(array.shape[1:])
        assert array[:, other].tobytes() == found[key][:, other].tobytes(), key
    # At nominal nothing changes at all, wherever the rest stands.
    assert all(array[-1].tobytes() == found[key][-1].tobytes() for key, array in fields.items())


APART = {
    "frictions": [
        {"type": key, "select": "floor|crate", "scale": [0.5, 2]}
        for key in ("friction", "torsional_friction", "rolling_friction")
    ],
    "pair_frictions": [
        {"type": f"pair_{key}", "select": ".*", "scale": [0.5, 2]}
        for key in ("friction", "torsional_friction", "rolling_friction")
    ],
    "gains": [
        {"type": "kp", "select": "servo", "scale": [0.5, 2]},
        {"type": "kd", "select": "servo|spin", "scale": [0.5, 2]},
    ],
    "solref": [
        {"type": key, "select": "crate", "scale": [0.5, 2]}
        for key in ("contact_time_constant", "contact_damping_ratio")
    ],
    "pair_solref": [
        {"type": key, "select": ".*", "scale": [0.5, 2]}
        for key in ("pair_time_constant", "pair_damping_ratio")
    ],
    "solimp": [
        {"type": "contact_impedance", "select": "crate", "set": [0.5, 0.99]},
        {"type": "contact_width", "select": "crate", "scale": [0.5, 2]},
    ],
    "pair_solimp": [
        {"type": "pair_impedance", "select": ".*", "set": [0.5, 0.99]},
        {"type": "pair_width", "select": ".*", "scale": [0.5, 2]},
    ],
}


@pytest.mark.parametrize("bodies", APART.values(), ids=APART)
def test_terms_on_different_columns_stand_together_in_any_order(bodies):
    alone = [program_on(ZOO, it=body) for body in bodies]
    ends = [corners(program)[2:] for program in alone]
    single = [program.fields(v) for program, v in zip(alone, ends, strict=True)]
    for order in itertools.permutations(range(len(bodies))):
        both = program_on(ZOO, **{f"t{k}": bodies[k] for k in order})
        fields = both.fields(np.concatenate([ends[k] for k in order], axis=1))
        for key, array in fields.items():
            # Each number is that of the one term that writes it.
            expected = np.broadcast_to(nominal_field(both.model, key), array.shape).copy()
            for program, made in zip(alone, single, strict=True):
                own = numbers(program.bound[0].term, both.model, key)
                expected[:, own] = made[key][:, own]
            np.testing.assert_array_equal(array, expected)


WEAK = {"type": "motor_strength", "select": ".*servo|push|spin", "scale": [0.5, 1.5]}
BROKEN = {"type": "broken_actuator", "select": "servo|push|spin", "set": [0, 1]}
TILT = {"type": "gravity_tilt", "roll": "±30 deg", "pitch": "±30 deg"}
LOAD = {"type": "payload", "select": "crate|upper", "add": [0, 2], "at": ["10 cm", 0, "-5 cm"]}
CARRIED = {"type": "payload", "select": "crate|upper", "add": [0, 2]}


def on(what, type_, **body):
    return {"type": type_, "select": what, **(body or {"scale": [0.5, 2]})}


@pytest.mark.parametrize("order", ["weak first", "broken first"])
def test_a_weak_motor_may_break_and_a_broken_one_is_weak(order):
    terms = {"w": on("servo", "motor_strength"), "b": on("servo", "broken_actuator", set=[0, 1])}
    terms = terms if order == "weak first" else dict(reversed(terms.items()))
    program = program_on(ZOO, **terms)
    i, v = program.model.actuator("servo").id, {"w": 0.8, "b": 0.25}
    fields = program.fields(np.array([[v[key] for key in terms]]))
    for key in ("gainprm", "biasprm", "forcerange"):
        nominal = getattr(program.model, f"actuator_{key}")
        np.testing.assert_allclose(fields[f"actuator_{key}"][0, i], nominal[i] * 0.8 * (1 - 0.25), rtol=1e-15)
        rest = np.arange(len(nominal)) != i
        np.testing.assert_array_equal(fields[f"actuator_{key}"][0, rest], nominal[rest])


def test_strength_acts_on_the_gains_and_the_range_drawn_before():
    terms = {
        "p": on("servo", "kp", set=[5, 40]),
        "d": on("servo", "kd", set=[0, 4]),
        "f": on("servo", "force_range"),
        "w": on("servo", "motor_strength"),
    }
    program = program_on(ZOO, **terms)
    i = program.model.actuator("servo").id
    fields = program.fields(np.array([[30.0, 3.0, 1.5, 0.5], [30.0, 3.0, 1.5, 1.0]]))
    assert fields["actuator_gainprm"][:, i, 0].tolist() == [15, 30]
    np.testing.assert_array_equal(fields["actuator_biasprm"][:, i, :3], [[0, -15, -1.5], [0, -30, -3]])
    np.testing.assert_array_equal(fields["actuator_forcerange"][:, i], [[-1.5, 1.5], [-3, 3]])


def test_tilted_gravity_keeps_the_size_drawn_before():
    program = program_on(ZOO, g={"type": "gravity", "set": [5, 15]}, t=TILT)
    fields = program.fields(np.array([[7.0, 0.2, 0.0], [7.0, 0.3, -0.4], [7.0, 0.0, 0.0]]))["opt.gravity"]
    np.testing.assert_allclose(np.linalg.norm(fields, axis=1), 7, rtol=1e-14)
    np.testing.assert_allclose(fields[0], 7 * np.array([0, np.sin(0.2), -np.cos(0.2)]), rtol=1e-14)
    np.testing.assert_array_equal(fields[2], [0, 0, -7])


@pytest.mark.parametrize("heavier", ["mass", "density"])
@pytest.mark.parametrize("load", [LOAD, CARRIED], ids=["at a place", "at the centre"])
def test_a_load_on_a_heavier_body_is_a_fresh_compile_with_both(heavier, load):
    program = program_on(ZOO, m=on("crate|upper", heavier), p=load)
    model, v = program.model, np.array([1.5, 0.7, 0.9, 0.4])
    ids = [model.body(name).id for name in ("upper", "crate")]
    made = source(ZOO, general_in(ZOO, program.bound[1].term))
    edit_mass(made, model, [(i, lambda old, k=k: old * v[k]) for k, i in enumerate(ids)])
    heavy = fresh(made)
    edit_payload(
        made, heavy, [(i, lambda old, k=k: old + v[2 + k]) for k, i in enumerate(ids)], load.get("at")
    )
    expected, got = fresh(made), plant.worlds_in(program, v[None]).model(0)
    for i in range(1, model.nbody):
        np.testing.assert_allclose(got.body_mass[i], expected.body_mass[i], rtol=1e-14)
        np.testing.assert_allclose(got.body_ipos[i], expected.body_ipos[i], atol=1e-14)
        np.testing.assert_allclose(spread_of(got.body(i)), spread_of(expected.body(i)), atol=1e-13)


@pytest.mark.parametrize(
    "first",
    [
        on("crate|upper", "pseudo_inertia", alpha="±0.3", stretch="±0.2", shear="±0.2", shift="±2 cm"),
        on("crate|upper", "center_of_mass", x="±3 cm", y="±3 cm"),
    ],
    ids=lambda body: body["type"],
)
def test_a_load_goes_onto_a_moved_and_deformed_body(first):
    program = program_on(ZOO, i=first, p=LOAD)
    v = corners(program)[[2, 2]]
    v[0, -2:] = 0  # no load
    fields = program.fields(v)
    for key, array in program_on(ZOO, i=first).fields(v[:1, :-2]).items():
        assert array[0].tobytes() == fields[key][0].tobytes()
    before, after = ({key: x[k] for key, x in fields.items()} for k in (0, 1))
    place = np.array([0.1, 0, -0.05])
    for k, name in enumerate(("upper", "crate")):
        i, load = program.model.body(name).id, v[1, k - 2]
        mass, centre = before["body_mass"][i], before["body_ipos"][i]
        whole = (mass * centre + load * place) / (mass + load)
        np.testing.assert_allclose(after["body_mass"][i], mass + load, rtol=1e-15)
        np.testing.assert_allclose(after["body_ipos"][i], whole, atol=1e-15)
        # By the parallel-axis theorem about the body's origin, where the moments of both add up.
        moments = [about_origin({key: x[i] for key, x in made.items()}) for made in (before, after)]
        np.testing.assert_allclose(moments[1], moments[0] + load * np.outer(place, place), atol=1e-13)


def about_origin(row):
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, row["body_iquat"])
    turn, inertia = turn.reshape(3, 3), row["body_inertia"]
    spread = turn @ np.diag(inertia.sum() / 2 - inertia) @ turn.T
    return spread + row["body_mass"] * np.outer(row["body_ipos"], row["body_ipos"])


def test_two_loads_weigh_as_much_as_both():
    program = program_on(ZOO, a=CARRIED, b={**LOAD, "select": "crate"})
    crate = program.model.body("crate").id
    fields = program.fields(np.array([[0.0, 0.5, 0.25]]))
    np.testing.assert_allclose(fields["body_mass"][0, crate], program.model.body_mass[crate] + 0.75)


def test_offsets_go_onto_a_drawn_width_and_rest():
    terms = {
        "w": on("slide", "joint_range", set=[0.01, 0.1]),
        "l": on("slide", "joint_limits", add=[-1, 1]),
        "s": on("slide", "spring_reference", set=[0, 0.1]),
        "o": on("slide", "joint_offset", add=[0, 0.1]),
    }
    program = program_on(ZOO, **terms)
    fields = program.fields(np.array([[0.04, 0.5, 0.03, 0.02]]))
    np.testing.assert_allclose(fields["jnt_range"][0, 0], 0.001 + 0.5 + np.array([-0.02, 0.02]))
    np.testing.assert_allclose((fields["qpos0"][0, 0], fields["qpos_spring"][0, 0]), (0.02, 0.05))


WRONG_ORDER = {
    "tilt": (TILT, {"type": "gravity", "scale": [0.5, 2]}, "opt.gravity"),
    "strength": (WEAK, on("servo", "kp"), "actuator_gainprm of servo, actuator_biasprm of servo"),
    "range": (WEAK, on("servo", "force_range"), "actuator_forcerange of servo"),
    "broken": (BROKEN, on("spin", "kd"), "actuator_gainprm of spin, actuator_biasprm of spin"),
    "mass": (CARRIED, on("crate", "mass"), "body_mass of crate"),
    "density": (LOAD, on("crate", "density"), "body_mass of crate, body_inertia of crate"),
    "centre": (LOAD, on("crate", "center_of_mass", x="±1 cm"), "body_ipos of crate"),
    "pseudo": (CARRIED, on("crate", "pseudo_inertia", alpha="±0.1"), "body_mass of crate"),
    "limits": (on("slide", "joint_limits", add="±1"), on("slide", "joint_range"), "jnt_range of slide"),
}


@pytest.mark.parametrize("acting, other, what", WRONG_ORDER.values(), ids=WRONG_ORDER)
def test_what_acts_on_the_rest_comes_last(acting, other, what):
    assert program_on(ZOO, other=other, acting=acting).d
    with pytest.raises(ProgramError) as caught:
        program_on(ZOO, acting=acting, other=other)
    assert str(caught.value) == (
        f"would undo 'acting' ({what}): such terms act on what earlier ones leave; put 'acting' after 'other'"
    )
    (problem,) = caught.value.problems
    assert problem.path == ("randomize", "other")


def test_a_term_that_neither_may_meet_is_told_of_the_worse():
    with pytest.raises(ProgramError) as caught:
        program_on(ZOO, m=on("crate", "mass"), p=CARRIED, d=on("crate", "density"))
    assert str(caught.value).startswith("writes what 'm' writes already (body_mass of crate, ")


@pytest.mark.parametrize(
    "terms",
    [
        {"g": {"type": "gravity", "set": [5, 15]}, "t": TILT, "u": TILT},
        {"p": on("servo", "kp"), "w": WEAK, "b": BROKEN},
        {"m": on("crate|upper", "mass"), "l": LOAD, "c": CARRIED},
        {"w": on("slide", "joint_range"), "l": on("slide", "joint_limits", add="±1")},
    ],
    ids=["gravity", "motors", "loads", "ranges"],
)
def test_nothing_accumulates_over_resets(terms):
    program = program_on(ZOO, **terms)
    v, nominal = corners(program), np.repeat(program.nominal[None], 3, axis=0)
    worlds = plant.worlds_in(program, v)
    first = [worlds.model(i) for i in range(3)]
    for _ in range(50):
        worlds.set_domains(np.arange(3), v[::-1])
        worlds.set_domains(np.arange(3), v)
    assert all(plant.differing(worlds.model(i), first[i]) == [] for i in range(3))
    worlds.set_domains(np.arange(3), nominal)
    assert plant.differing(worlds.model(1), program.model) == []
    assert program.model is model_of(ZOO, general_in(ZOO, *(b.term for b in program.bound)))
