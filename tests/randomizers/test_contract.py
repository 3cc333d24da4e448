"""What every randomizer promises, on real models, against plain MuJoCo."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import plant
import pytest
import visual_samples
from bench import corners, each, edited, fields_of, program_on, roll, start_and_controls
from compiled import BY_LABEL, EDITS, ROUNDED, compiled
from samples import ALL, EDITING, PHYSICAL, SAMPLES

from randomizers import Randomizer, nominal_field
from randomizers.registry import BUILTIN
from sim2real.worlds import Worlds


def test_every_registered_randomizer_has_a_sample():
    assert {*SAMPLES, *visual_samples.SAMPLES} == set(BUILTIN)
    editing = {name for name, cls in BUILTIN.items() if issubclass(cls, Randomizer)}
    assert editing == {*EDITS, *BY_LABEL, *visual_samples.EDITING, "visuals"}


@each(EDITING)
def test_nominal_values_give_the_nominal_model_bit_for_bit(name, body):
    program = program_on(name, it=body)
    worlds = plant.worlds_in(program, np.repeat(program.nominal[None], 2, axis=0))
    assert plant.differing(worlds.model(1), program.model) == []
    headlight = worlds.model(1).vis.headlight.diffuse
    assert headlight.tobytes() == program.model.vis.headlight.diffuse.tobytes()


@each(EDITING)
def test_only_declared_fields_change_and_what_setconst_derives(name, body):
    program = program_on(name, it=body)
    values = corners(program)
    worlds = plant.worlds_in(program, values)
    for i, v in enumerate(values):
        # The declared fields written into a copy by hand, then mj_setConst: nothing else may differ.
        assert plant.differing(worlds.model(i), edited(program, v)) == []


@each(EDITING)
def test_only_the_rows_it_touches_change(name, body):
    program = program_on(name, it=body)
    term = program.bound[0].term
    touched = term.touches(program.model)
    fields = program.fields(corners(program))
    assert set(fields) == set(touched) == set(term.writes)
    for field, rows in fields.items():
        nominal = np.atleast_1d(nominal_field(program.model, field))
        changed = rows.reshape(len(rows), *nominal.shape) != nominal
        where = np.unique(np.nonzero(changed)[1])
        assert set(where) <= set(touched[field].tolist()), field
    assert any((rows != nominal_field(program.model, key)).any() for key, rows in fields.items())


@each(PHYSICAL)
def test_a_runtime_edit_equals_a_freshly_compiled_model(name, body):
    program = program_on(name, it=body)
    values = corners(program)
    qpos, qvel, ctrl, mocap = start_and_controls(name, len(values), 100)
    worlds = plant.worlds_in(program, values)
    path = plant.together(worlds, qpos, qvel, ctrl, mocap)
    for i, v in enumerate(values):
        model = compiled(name, program, body, v)
        expected = plant.loop(model, qpos[i], qvel[i], ctrl[:, i], mocap[:, i])
        if body["type"] in ROUNDED:
            np.testing.assert_allclose(path[:, i], expected, rtol=0, atol=1e-10)
        else:
            np.testing.assert_array_equal(path[:, i], expected)
            assert plant.differing(worlds.model(i), model) == []


@each(PHYSICAL)
def test_extreme_values_change_a_rollout(name, body):
    program = program_on(name, it=body)
    values = np.concatenate([program.nominal[None], corners(program)[:2]])
    path = roll(program, values, name)
    for i in (1, 2):
        if (values[i] != values[0]).any():
            assert np.abs(path[:, i] - path[:, 0]).max() > 1e-6


@each(PHYSICAL)
def test_no_parameter_does_nothing(name, body):
    program = program_on(name, it=body)
    low, high, _ = corners(program)
    alone = [np.where(np.eye(program.d, dtype=bool), end, program.nominal) for end in (low, high)]
    path = roll(program, np.concatenate([program.nominal[None], *alone]), name)
    effect = np.abs(path[:, 1:] - path[:, :1]).max(axis=(0, 2)).reshape(2, program.d).max(axis=0)
    idle = [label for label, size in zip(program.names, effect, strict=True) if size <= 1e-9]
    assert not idle


@each(PHYSICAL)
def test_many_worlds_equal_a_loop_of_mj_step_at_any_thread_count(name, body):
    program = program_on(name, it=body)
    n = 4
    v = program.values(program.quantiles(7, np.arange(n), np.zeros(n, dtype=np.int64)))
    qpos, qvel, ctrl, mocap = start_and_controls(name, n, 40, seed=1)
    models = [edited(program, row) for row in v]
    expected = [plant.loop(models[i], qpos[i], qvel[i], ctrl[:, i], mocap[:, i]) for i in range(n)]
    for threads in (1, 2, 3):
        path = plant.together(plant.worlds_in(program, v, threads), qpos, qvel, ctrl, mocap)
        np.testing.assert_array_equal(path, np.stack(expected, axis=1))


@each(EDITING)
def test_a_thousand_resets_leave_nothing_behind(name, body):
    program = program_on(name, it=body)
    n, rounds = 50, 20
    worlds = Worlds(program, n, 1)
    ids = np.arange(n)
    for episode in range(rounds):
        q = program.quantiles(3, ids, np.full(n, episode))
        worlds.set_domains(ids, program.values(q))
    worlds.set_domains(ids, np.repeat(program.nominal[None], n, axis=0))
    for i in (0, n - 1):
        assert plant.differing(worlds.model(i), program.model) == []


@each(EDITING)
def test_resetting_one_world_never_touches_another(name, body):
    program = program_on(name, it=body)
    worlds = plant.worlds_in(program, corners(program))
    plant.together(worlds, *start_and_controls(name, 3, 5))
    state, models = worlds.batch.state.copy(), [worlds.model(i) for i in range(3)]
    worlds.set_domains(np.array([1]), program.nominal[None])
    worlds.reset(np.array([1]))
    worlds.forward(np.array([1]))
    for i in (0, 2):
        assert worlds.batch.state[i].tobytes() == state[i].tobytes()
        assert plant.differing(worlds.model(i), models[i]) == []
    assert worlds.batch.state[1].tobytes() != state[1].tobytes()


@each(ALL)
def test_draws_do_not_depend_on_n_order_or_other_terms(name, body):
    other = {"type": "gravity", "add": [0, 1]}
    if body["type"].startswith("gravity"):
        other = {"type": "action_latency", "set": [0, 0.01]}
    alone, first, last = (
        program_on(name, **terms)
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


@each(ALL)
def test_both_ends_of_every_range_are_reached(name, body):
    program = program_on(name, it=body)
    low, high, _ = corners(program)
    ends = np.array([p.distribution.support for p in program.parameters])
    np.testing.assert_array_equal(low, ends[:, 0])
    # The largest quantile, 1 - 2^-53, is not 1: a beta with b = 3 is still (2^-53)^(1/3) below its end.
    np.testing.assert_allclose(high, ends[:, 1], rtol=1e-5)
    assert all(p.bounds[0] <= x <= p.bounds[1] for p, x in zip(program.parameters, high, strict=True))


@pytest.fixture(scope="module")
def worker():
    """A process that starts from nothing, as a worker of a vector environment does."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@each(EDITING)
def test_a_worker_process_gives_the_same_fields(name, body, worker):
    program = program_on(name, it=body)
    values = corners(program)
    theirs = worker.submit(fields_of, program.bound[0].term, program.model, values).result(60)
    ours = program.fields(values)
    assert {key: x.tobytes() for key, x in theirs.items()} == {key: x.tobytes() for key, x in ours.items()}
