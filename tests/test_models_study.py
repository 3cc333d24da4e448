"""The study of learned models: what its gates say of scores, and errors of one step by hand."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sim2real.agents.dynamics import Forecast
from sim2real.agents.networks import Normalizer

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def models(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("reproductions.models")


def kept(tmp_path, cells):
    results = importlib.import_module("reproductions.results")
    trainings = importlib.import_module("reproductions.trainings")
    made = results.Results(tmp_path)
    outcome = trainings.Outcome("d", 1, 60.0, 60.0, cells)
    made.add(trainings.Training("small", "small/goals", 0), outcome)
    return made


def test_a_seed_is_eight_trainings_each_of_which_has_its_row(models):
    from sim2real.runs import Run

    jobs = models.jobs(0)
    assert len(jobs) == 8 and jobs[2].training.overrides == models.PLACE
    for rows, some in ((models.CONTEXTS, jobs[3:5]), (models.LEARNERS, jobs[5:])):
        assert [models.row_of(Run(job.training.folder), rows) for job in some] == list(rows)


def test_learners_that_are_compared_differ_in_what_they_are_said_to(models):
    from sim2real.session import CATALOG
    from sim2real.spec import load

    config, algorithms = [], []
    for job in models.jobs(0)[5:]:
        train = load(job.training.file, CATALOG, job.training.settings).spec.train
        algorithms.append(train.algorithm)
        own = CATALOG.agents[train.algorithm].model_validate(train.agent)
        config.append(own.model_dump(include={"actor_hidden", "critic_hidden", "learning_starts"}))
        config[-1]["updates"] = own.updates_per_step
    assert algorithms == ["mbpo", "sac", "sac"]
    assert config[0] == config[1] and config[2] == {**config[0], "updates": 1.0}


@pytest.mark.parametrize(("share", "missed"), [(0.97, 0), (0.7, 3)])
def test_a_planner_is_held_to_the_most_there_is_and_to_one_trained_for_the_reward(
    models, tmp_path, share, missed
):
    cells = {(models.PENDULUM, "return"): 1000 * share, (models.BALANCE, "return"): 200 * share}
    cells |= {(models.SWAPPED, "return"): 150 * share, (models.TRAINED, "return"): 150.0}
    text = models.planner(kept(tmp_path, cells))
    assert text.count("**missed**") == missed and text.count("reached") == 3 - missed
    assert f"InvertedPendulum: {share:.1%} of the most (wanted: 95%)" in text
    assert f"gets {share:.0%}" in text and models.RANDOM not in text


@pytest.mark.parametrize(("error", "word"), [(0.5, "reached"), (0.95, "**missed**")])
def test_a_context_is_held_to_a_lower_error(models, tmp_path, error, word):
    columns = {"NLL": 0.0, "return, source": 150.0}
    cells = {(row, column): value for row in models.CONTEXTS for column, value in columns.items()}
    cells |= {("told the context", "squared error"): error, ("told nothing", "squared error"): 1.0}
    text = models.contexts(kept(tmp_path, cells))
    assert f"lower by {1 - error:.0%} (wanted: 10%) — {word}" in text


def test_of_what_is_not_measured_nothing_is_said(models, tmp_path):
    nothing = importlib.import_module("reproductions.results").Results(tmp_path)
    assert models.report(nothing).startswith("**Unfinished**")
    text = models.report(kept(tmp_path, {("sac", "return"): 300.0, (models.TRAINED, "return"): 9.0}))
    assert "| sac | 300 | 1 |" in text and "wanted" not in text and "told" not in text


def test_errors_of_one_step_by_hand(models):
    """Two networks say 1 and 3, each with variance 0, where 4 came; a unit is the data's deviation, 2."""

    class Two:
        scale = Normalizer(2)

        def __call__(self, inputs):
            mean = torch.tensor([1.0, 3.0]).view(2, 1, 1).expand(2, 2, 2)
            return Forecast(mean, torch.full((2, 2, 2), -100.0), torch.zeros(2, 2))

    truth = torch.tensor([[4.0 - math.sqrt(2.0)], [4.0 + math.sqrt(2.0)]])
    likelihood, squared = models.compared(Two(), torch.zeros(2, 1), truth)
    # The mixture's mean is 2, its variance 1; in units of 2, errors of (2 ± sqrt 2) / 2.
    expected = np.mean([((2 - math.sqrt(2)) / 2) ** 2, ((2 + math.sqrt(2)) / 2) ** 2])
    assert squared == pytest.approx(expected, rel=1e-5)
    assert likelihood == pytest.approx(0.5 * (expected / 0.25 + math.log(0.25 * 2 * math.pi)), rel=1e-5)


def test_errors_are_of_the_same_moves_whatever_the_model(models, monkeypatch):
    from sim2real.envs.domains import fixed
    from sim2real.session import CATALOG, fresh_agent, training_env
    from sim2real.spec import load

    monkeypatch.setattr(models, "STEPS", 5)
    seen = []
    for job in models.jobs(0)[3:5]:
        bundle = load(job.training.file, CATALOG, job.training.settings)
        env = training_env(bundle, "policy")
        agent = fresh_agent(bundle, env)
        seen.append(models.random_moves(bundle, agent, fixed(bundle.targets["weak"].v)))
        env.close()
    (told, first), (blind, second) = seen
    assert torch.equal(first, second) and first.shape == (50, 5)
    assert told.shape == (50, 5 + 8 + 1) and blind.shape == (50, 5 + 1)
