"""Training with a curriculum: exact continuation, worlds under way, and what the run folder shows."""

import csv

import numpy as np
import pytest

from sim2real.progress import Progress
from sim2real.runs import to_arrays
from sim2real.session import Session
from sim2real.train import start, train
from tests.continuing import assert_same, curves, interrupted, parameters
from tests.test_train import spec

DRIFT = """\
  torso: {type: mass, select: torso, scale: [0.6, 1.4]}
  wear: {type: damping, select: leg_joint, scale: [0.5, 2], when: {every: 20 ms}}
"""
KINDS = {
    "uniform": "{type: uniform}",
    "adr": "{type: adr, low: 1, high: 5, buffer: 2, delta: 0.1}",
    "doraemon": "{type: doraemon, success: 15, episodes_per_update: 5, max_kl: 0.5}",
    "epopt": "{type: epopt, epsilon: 0.5, batch: 4, warmup_steps: 200}",
}


def begin(folder, curriculum, name="run", terms=DRIFT, **changes):
    path = spec(folder, terms=terms, **changes)
    if curriculum:
        path.write_text(path.read_text().replace("train:", f"train:\n  curriculum: {curriculum}"))
    return start(path, (), folder / name)


def whole(folder, curriculum, **changes):
    run = begin(folder, curriculum, **changes)
    train(run, Progress.silent())
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("plain"), None)


@pytest.mark.parametrize("kind", ["adr", "doraemon", "epopt"])
def test_resuming_is_as_if_never_interrupted(tmp_path, kind):
    first = whole(tmp_path, KINDS[kind])
    run = begin(tmp_path, KINDS[kind], "stopped")
    for stop in (300, 452):
        interrupted(run, stop)
    train(run, Progress.silent())
    assert_same(parameters(run), parameters(first))
    assert curves(run) == curves(first)
    one, two = (str(to_arrays(r.policy.load()["instructor"])) for r in (run, first))
    assert one == two


def test_uniform_is_no_curriculum_bit_for_bit(plain, tmp_path):
    uniform = whole(tmp_path, KINDS["uniform"])
    assert_same(parameters(plain), parameters(uniform))
    with_entropy = [{k: v for k, v in row.items() if "/" not in k} for row in curves(uniform)]
    assert curves(plain) == with_entropy
    assert {row["curriculum/entropy"] for row in uniform.policy.rows()} == {"0"}


def test_epopt_in_its_warm_up_is_no_curriculum_bit_for_bit(plain, tmp_path):
    run = whole(tmp_path, "{type: epopt, warmup_steps: 1e9}", name="warm")
    assert_same(parameters(plain), parameters(run))


@pytest.mark.parametrize("kind", ["adr", "doraemon", "epopt"])
def test_every_other_kind_draws_or_learns_otherwise(plain, tmp_path, kind):
    other = whole(tmp_path, KINDS[kind])
    assert not all((a == b).all() for a, b in zip(parameters(plain), parameters(other), strict=True))


@pytest.mark.parametrize("kind", ["adr", "doraemon"])
def test_an_episode_stays_in_the_domain_it_began_in_and_is_reported_with_it(tmp_path, kind):
    """The curriculum changes while other worlds run on, and one term drifts in every step."""
    session = Session(begin(tmp_path, KINDS[kind]), "policy")
    env, instructor, program = session.env, session.instructor, session.bundle.program
    heard, began = [], env.worlds.values.copy()
    observe = instructor.curriculum.observe
    instructor.curriculum.observe = lambda ended: (heard.append(ended), observe(ended))
    versions = set()
    for _ in range(250):
        session.loop.step()
        for row, world in enumerate(heard[-1].worlds):
            drawn = program.values(heard[-1].q[row : row + 1])[0]
            assert drawn[0] == began[world, 0]  # the torso's mass, which does not drift
        began[heard[-1].worlds] = env.worlds.values[heard[-1].worlds]
        assert np.array_equal(env.worlds.values[:, 0], began[:, 0])
        versions.add(instructor.curriculum.phi.tobytes())
    assert len(versions) > 3 and sum(len(ended.worlds) for ended in heard) > 10
    session.env.close()


def test_the_first_worlds_are_nominal_under_adr_and_draws_follow_the_bounds(tmp_path):
    terms = "  torso: {type: mass, select: torso, set: [3, 9]}\n"
    session = Session(begin(tmp_path, KINDS["adr"], terms=terms), "policy")
    nominal = session.bundle.program.nominal
    assert session.env.worlds.values == pytest.approx(np.tile(nominal, (4, 1)))
    for _ in range(200):
        session.loop.step()
    low, high = (session.instructor.metrics()[f"curriculum/torso/{end}"] for end in ("low", "high"))
    assert 3 <= low < nominal[0] < high <= 9
    assert session.env.worlds.values.max() > nominal[0]
    session.env.close()


def test_the_curves_are_in_the_run_folder(tmp_path):
    # Every episode succeeds, so that the distribution only grows.
    run = whole(tmp_path, KINDS["doraemon"].replace("success: 15", "success: 1"))
    with run.policy.metrics.open() as file:
        rows = list(csv.DictReader(file))
    names = {"entropy", "success", "kl", "torso/low", "torso/high", "wear/low", "wear/high"}
    assert {f"curriculum/{name}" for name in names} <= rows[-1].keys()
    entropy = [float(row["curriculum/entropy"]) for row in rows]
    assert entropy == sorted(entropy) and entropy[0] < entropy[-1] < 0
    assert (
        0.6 <= float(rows[-1]["curriculum/torso/low"]) < 1 < float(rows[-1]["curriculum/torso/high"]) <= 1.4
    )


def test_the_baseline_has_no_curriculum(tmp_path):
    session = Session(begin(tmp_path, KINDS["adr"], baseline="true"), "baseline")
    assert session.instructor is None
    session.env.close()


def test_a_foreign_environment_takes_the_uniform_one(tmp_path):
    run = whole(
        tmp_path, KINDS["uniform"], env="gymnasium.envs.classic_control:PendulumEnv", terms="", steps=120
    )
    assert "curriculum/entropy" not in run.policy.rows()[-1]
