"""What holds for any numbers: distributions, operands, and bodies that can exist."""

import mujoco
import numpy as np
import plant
import pytest
from bench import ZOO, fresh, model_of, program_on, source
from compiled import spread_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import SAMPLES

from randomizers.distributions import Bernoulli
from randomizers.fields import FIELDS
from randomizers.inertia import general_bodies, principal, second_moment
from randomizers.operands import parse_operand
from randomizers.volumes import body_volumes, geom_volume
from sim2real.spec import Program, ProgramError

few = settings(max_examples=40, deadline=None, derandomize=True, database=None)
number = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
small = st.floats(-0.5, 0.5)
quantile = st.floats(0, 1, exclude_max=True)


def pair(values):
    return st.tuples(values, values).map(sorted)


OPERANDS = st.one_of(
    number,
    pair(number),
    pair(st.floats(1e-3, 1e3)).map(lambda p: {"log_uniform": p}),
    st.tuples(number, st.floats(0.1, 9), pair(number)).map(lambda p: {"truncated_normal": [*p[:2], *p[2]]}),
    st.tuples(st.floats(0.5, 5), st.floats(0.5, 5), pair(number)).map(lambda p: {"beta": [*p[:2], *p[2]]}),
    st.lists(number, min_size=1, max_size=5).map(lambda v: {"choice": v}),
    st.floats(0, 1).map(lambda p: {"bernoulli": p}),
)


def read(raw):
    try:
        return parse_operand(raw, "")
    except ValueError:  # more than 8 std from the mean
        assume(False)


@few
@given(OPERANDS, st.lists(quantile, min_size=1, max_size=9))
def test_every_draw_lies_in_its_support_and_is_monotone(raw, quantiles):
    distribution = read(raw)
    values = distribution.ppf(np.sort([0.0, *quantiles, plant.TOP]))
    low, high = distribution.support
    assert (np.diff(values) >= -1e-9 * max(1, np.abs(values).max())).all()
    assert ((values >= low) & (values <= high)).all()
    assert all(distribution.contains(float(value)) for value in values)


def test_bernoulli_gives_ones_as_often_as_it_says():
    q = np.arange(1000) / 1000
    assert [Bernoulli(p).ppf(q).mean() for p in (0, 0.1, 0.5, 1)] == [0, 0.1, 0.5, 1]
    assert not Bernoulli(0.5).contains(0.5)
    with pytest.raises(ValueError, match=r"p must be between 0 and 1, given 1\.5"):
        Bernoulli(1.5)


@pytest.mark.parametrize("type_", FIELDS)
@settings(few, max_examples=25)
@given(operation=st.sampled_from(["scale", "add", "set"]), raw=OPERANDS, q=quantile)
def test_what_is_not_refused_stays_inside_the_bounds(type_, operation, raw, q):
    row, (model, body) = FIELDS[type_].row, SAMPLES[type_][-1]
    body = {"type": type_, "select": body["select"], "share": body.get("share", False), operation: raw}
    try:
        program = program_on(model, it=body)
    except (ValueError, ProgramError):
        return
    quantiles = np.array([[0.0], [q], [plant.TOP]]) * np.ones(program.d)
    numbers = program.fields(program.values(quantiles))[row.field]
    rows = program.bound[0].term.touches(program.model)[row.field]
    chosen = numbers[:, rows][..., row.columns] if row.columns else numbers[:, rows]
    # A factor on a number and a limit divided by that number each round.
    slack = 1e-9 * np.maximum(1, np.abs(chosen))
    assert (chosen >= row.bounds[0] - slack).all() and (chosen <= row.bounds[1] + slack).all()


def pseudo(**parts):
    """Program of one pseudo_inertia on the skewed body, with every component it may have."""
    wide = {"alpha": [-1, 1], "stretch": [-1, 1], "shear": [-1, 1], "shift": [-1, 1]}
    program = program_on(ZOO, it={"type": "pseudo_inertia", "select": "skewed", **wide})
    v = np.zeros((1, 10))
    for name, value in parts.items():
        v[0, program.columns(f"it.{name}")[0]] = value
    return (
        program.model,
        {name: x[0] for name, x in program.fields(v).items()},
        program.model.body("skewed").id,
    )


LABELS = ("alpha", "d1", "d2", "d3", "s12", "s13", "s23", "t1", "t2", "t3")


@few
@given(st.lists(st.floats(-1, 1), min_size=10, max_size=10))
def test_pseudo_inertia_always_gives_a_body_that_can_exist(numbers):
    _, fields, i = pseudo(**dict(zip(LABELS, numbers, strict=True)))
    a, b, c = np.sort(fields["body_inertia"][i])
    assert a > 0 and a + b >= c * (1 - 1e-12) and fields["body_mass"][i] > 0
    np.testing.assert_allclose(np.linalg.norm(fields["body_iquat"][i]), 1, atol=1e-12)


def moment(fields, i):
    class Body:
        inertia, iquat = fields["body_inertia"][i], fields["body_iquat"][i]

    return spread_of(Body)


@few
@given(small, st.tuples(small, small, small), st.tuples(small, small, small))
def test_alpha_stretch_and_shift_are_what_they_claim(alpha, stretch, shift):
    model, fields, i = pseudo(alpha=alpha)
    np.testing.assert_allclose(fields["body_mass"][i], model.body_mass[i] * np.exp(2 * alpha))
    np.testing.assert_allclose(fields["body_inertia"][i], model.body_inertia[i] * np.exp(2 * alpha))
    assert fields["body_iquat"][i].tobytes() == model.body_iquat[i].tobytes()

    _, fields, _ = pseudo(d1=stretch[0], d2=stretch[1], d3=stretch[2])
    size = np.exp(stretch)
    before = second_moment(model.body_inertia[i], model.body_iquat[i])
    np.testing.assert_allclose(moment(fields, i), before * size[:, None] * size, atol=1e-12)
    assert fields["body_mass"][i] == model.body_mass[i]
    assert fields["body_ipos"][i].tobytes() == model.body_ipos[i].tobytes()

    _, fields, _ = pseudo(t1=shift[0], t2=shift[1], t3=shift[2])
    np.testing.assert_allclose(fields["body_ipos"][i] - model.body_ipos[i], shift, atol=1e-12)
    assert fields["body_inertia"][i].tobytes() == model.body_inertia[i].tobytes()


@few
@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9))
def test_principal_axes_give_the_moment_back(numbers):
    root = np.array(numbers).reshape(3, 3)
    sigma = root @ root.T
    inertia, quat = principal(sigma)
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, quat)
    turn = turn.reshape(3, 3)
    np.testing.assert_allclose(
        turn @ np.diag(inertia.sum() / 2 - inertia) @ turn.T, sigma, atol=1e-12 * max(1, np.abs(sigma).max())
    )


@settings(few, max_examples=10)
@given(st.floats(0.01, 5), st.tuples(small, small, small))
def test_a_payload_is_a_body_welded_on(mass, at):
    spec = source(ZOO)
    load = spec.body("skewed").add_body(name="load", pos=at)
    load.explicitinertial, load.mass, load.ipos, load.inertia = True, mass, [0, 0, 0], [1e-14] * 3
    welded = fresh(spec)
    program = program_on(ZOO, it={"type": "payload", "select": "skewed", "set": [0, 9], "at": list(at)})
    ours = plant.worlds_in(program, np.array([[mass]])).model(0)
    i, j = ours.body("skewed").id, welded.body("skewed").id
    np.testing.assert_allclose(ours.body_subtreemass[i], welded.body_subtreemass[j])
    of_body = slice(ours.body_dofadr[i], ours.body_dofadr[i] + 6)
    matrices = []
    for model in (ours, welded):
        data, full = mujoco.MjData(model), np.empty((model.nv, model.nv))
        data.qvel[of_body] = [0.3, -0.2, 0.1, 1, -2, 3]
        mujoco.mj_forward(model, data)
        mujoco.mj_fullM(model, data, full)
        matrices.append((full[of_body, of_body], data.qfrc_bias[of_body]))
    for one, other in zip(*matrices, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_a_payload_without_a_place_leaves_the_inertia_alone():
    program = program_on(ZOO, it={"type": "payload", "select": "plain", "set": [0, 2]})
    fields = program.fields(np.array([[1.5]]))
    i = program.model.body("plain").id
    assert fields["body_mass"][0, i] == program.model.body_mass[i] + 1.5
    assert fields["body_inertia"].tobytes() == program.model.body_inertia.tobytes()


def test_volumes_are_the_compilers():
    spec = source(ZOO)
    for geom in spec.geoms:
        geom.mass, geom.density = np.nan, 1.0
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
    anew = fresh(spec)
    np.testing.assert_allclose(body_volumes(anew)[1:], anew.body_mass[1:], rtol=1e-6)  # meshes are float32
    assert geom_volume(anew, anew.geom("floor").id) == 0


def test_density_sets_the_mass_that_the_compiler_would_give():
    program = program_on(ZOO, it={"type": "density", "select": "ball|rock", "set": 500})
    mass = program.fields(np.full((1, 2), 500.0))["body_mass"][0]
    spec = source(ZOO)
    for geom in (spec.geom("ball"), spec.geom("rock")):
        geom.mass, geom.density = np.nan, 500.0
    np.testing.assert_allclose(mass, fresh(spec).body_mass, rtol=1e-6)


def test_simple_bodies_whose_centre_moves_are_named():
    model = model_of(ZOO)
    named = {
        key: {model.body(int(i)).name for i in general_bodies(plant.read_term(body), model)}
        for key, body in {
            "moved": {"type": "center_of_mass", "select": "crate|ball|upper", "x": 0.1},
            "heavier": {"type": "mass", "select": "crate", "scale": 2},
            "loaded": {"type": "payload", "select": "crate", "set": 1},
            "off": {"type": "payload", "select": "crate", "set": 1, "at": [0, 0, 0.1]},
            "scaled": {"type": "pseudo_inertia", "select": "crate", "alpha": 0.1},
            "bent": {"type": "pseudo_inertia", "select": "crate", "shear": 0.1},
        }.items()
    }
    assert named == {
        "moved": {"crate", "ball"},
        "heavier": set(),
        "loaded": set(),
        "off": {"crate"},
        "scaled": set(),
        "bent": {"crate"},
    }
    # Compiled as simple they would be refused by MuJoCo; the environment layer compiles them otherwise.
    program = Program(model, {"it": plant.read_term({"type": "center_of_mass", "select": "ball", "x": 0.1})})
    assert plant.worlds_in(program, np.array([[0.1]])).failed.all()
