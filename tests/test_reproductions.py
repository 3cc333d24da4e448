"""The bookkeeping of reproductions, and the statistics that they state; nothing here trains for long."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from sim2real.runs import RunError

TOOLS = Path(__file__).resolve().parent.parent / "tools"
SPEC = """
env: PointGoals-v0
randomize:
  mass: {type: mass, select: point, scale: [0.8, 1.25]}
train: {algorithm: sac, steps: 64, num_envs: 4, baseline: false, agent: {learning_starts: 1_000}}
evaluate: {episodes: 2, shots: [0]}
"""


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.fixture
def results():
    return importlib.import_module("reproductions.results")


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    module = importlib.import_module("reproductions.trainings")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    specs = tmp_path / "assets" / "specs" / "small"
    specs.mkdir(parents=True)
    (specs / "goals.yaml").write_text(SPEC)
    return module


def step_of(run):
    return {("trained", "steps"): float(run.policy.load()["step"])}


def test_a_table_is_markdown_with_words_left_and_numbers_right():
    tables = importlib.import_module("reproductions.tables")
    assert tables.markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_a_readme_without_markers_is_refused(tmp_path, monkeypatch):
    tables = importlib.import_module("reproductions.tables")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("<!-- a -->\nold\n<!-- /a -->\n")
    tables.insert("a", "new")
    assert (tmp_path / "README.md").read_text() == "<!-- a -->\nnew\n<!-- /a -->\n"
    with pytest.raises(ValueError, match="no markers <!-- b -->"):
        tables.insert("b", "new")


def test_jobs_train_measure_and_are_not_done_twice(trainings, results, tmp_path):
    job = trainings.Job(trainings.Training("small", "small/goals", 3), step_of)
    kept = results.Results(tmp_path / "results")
    assert kept.missing([job]) == [job]
    for done, outcome in trainings.carry_out([job], 1):
        assert outcome.steps == 64 and outcome.train_seconds > 0
        kept.add(done.training, outcome)
    kept.save()
    again = results.Results(tmp_path / "results")
    assert again.missing([job]) == []
    assert again.scores("trained", "steps").tolist() == [64.0]
    assert again.core_minutes > 0


def test_a_training_whose_settings_changed_is_done_anew_but_nothing_is_overwritten(
    trainings, results, tmp_path
):
    training = trainings.Training("small", "small/goals", 0)
    kept = results.Results(tmp_path / "results")
    for job, outcome in trainings.carry_out([trainings.Job(training, step_of)], 1):
        kept.add(job.training, outcome)
    other = trainings.Training("small", "small/goals", 0, "goals", ("train.agent.gamma=0.9",))
    assert kept.has(training) and not kept.has(other)
    with pytest.raises(RunError, match="other settings"):
        other.run()


def test_a_job_waits_for_what_it_needs(trainings):
    teacher = trainings.Job(trainings.Training("small", "small/goals", 0), step_of)
    student = trainings.Job(trainings.Training("small", "small/goals", 1), step_of, needs=(teacher.training,))
    assert trainings.ready([student, teacher], []) == [teacher]
    assert trainings.ready([student], [teacher]) == []
    assert trainings.ready([student], []) == [student]


def outcome(trainings, digest, cells):
    return trainings.Outcome(digest, 1, 60.0, 60.0, cells)


def test_only_seeds_with_all_columns_are_in_a_table(trainings, results, tmp_path):
    kept = results.Results(tmp_path)
    for seed in range(3):
        cells = {("row", "a"): seed, ("row", "b"): 10.0 + seed}
        if seed == 1:
            del cells["row", "b"]
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    assert kept.table("row", ["a", "b"]).tolist() == [[0, 10], [2, 12]]
    assert kept.table("row", ["a", "b"], [2]).tolist() == [[2, 12]]
    assert kept.table("none", ["a", "b"]).shape == (0, 2)
    assert kept.standing(["goals"], "CMD").startswith("**Unfinished**: seeds so far 3 of 5; 6 core-minutes")


def test_an_interval_resamples_the_seeds_of_each_row_on_their_own(results):
    a, b = np.array([1.0, 1.0, 1.0]), np.array([2.0, 4.0, 6.0])
    value, low, high = results.estimate(lambda x, y: float(y.mean() / x.mean()), a, b)
    assert value == 4.0 and low == pytest.approx(2.0, abs=0.7) and high == pytest.approx(6.0, abs=0.7)


def test_the_shares_of_the_torso_table_are_those_of_the_worst_mass():
    torso = importlib.import_module("reproductions.torso")
    ensemble, light, heavy = np.array([[8.0, 9.0]]), np.array([[10.0, 1.0]]), np.array([[2.0, 10.0]])
    assert torso.least_share(ensemble, light, heavy) == 0.8
    assert torso.worst_ratio(ensemble, light, heavy) == 4.0


def test_every_training_of_every_study_can_be_loaded():
    main = importlib.import_module("reproductions.__main__")
    kind = importlib.import_module("reproductions.study").Study
    for study in (one for one in main.REPRODUCTIONS.values() if isinstance(one, kind)):
        jobs = study.jobs(0)
        names = [job.training.name for job in jobs]
        assert len(set(names)) == len(names), study.name
        for job in jobs:
            assert len(job.training.digest()) == 12
