"""The bookkeeping of reproductions, and the statistics that they state; nothing here trains for long."""

import importlib
import json
from pathlib import Path

import imageio.v2 as imageio
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
def results(monkeypatch):
    module = importlib.import_module("reproductions.results")
    monkeypatch.setattr(module, "RESAMPLES", 50)
    return module


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


def test_text_goes_to_the_page_that_has_its_markers(tmp_path, monkeypatch):
    tables = importlib.import_module("reproductions.tables")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("<!-- a -->\nold\n<!-- /a -->\n")
    tables.insert("a", "new")
    assert (tmp_path / "README.md").read_text() == "<!-- a -->\nnew\n<!-- /a -->\n"
    page = tmp_path / "assets" / "docs" / "results.md"
    page.parent.mkdir(parents=True)
    page.write_text("<!-- c -->\n<!-- /c -->\n")
    tables.insert("c", "![one](assets/results/c/one.png)")
    assert page.read_text() == "<!-- c -->\n![one](../results/c/one.png)\n<!-- /c -->\n"
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


def test_visits_count_the_nearest_goal_of_rollouts_that_reached_one():
    goals = importlib.import_module("reproductions.goals")
    places = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.2], [-1.0, 0.0]])
    at, success = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([True, True, True, False])
    assert goals.shares_of(places, at, success).tolist() == [0.5, 0.25]


def test_a_corridor_is_passed_at_the_first_shot_that_shows_it():
    entropy = importlib.import_module("reproductions.entropy")
    shots, returns = entropy.CORRIDOR_SHOTS, np.full((1, 3, len(entropy.CORRIDOR_SHOTS)), 2.0)
    returns[0, 0, 0], returns[0, 1, 3:5] = 6.0, 5.0
    assert entropy.times(returns).tolist() == [[0, shots[3], shots[-1]]]


def test_the_time_in_a_corridor_is_compared_by_its_mean_over_seeds():
    entropy = importlib.import_module("reproductions.entropy")
    soft, hard = np.array([[0.0, 2.0, 4.0], [0.0, 4.0, 4.0]]), np.array([[0.0, 10.0, 0.0], [0.0, 2.0, 0.0]])
    assert entropy.faster(soft, hard).tolist() == [0.0, 0.5, np.inf]


def distilled():
    return importlib.import_module("reproductions.distilled")


def test_a_student_keeps_what_is_between_random_and_its_teacher():
    found = distilled().shares(np.array([[10.0, 20.0, 20.0], [10.0, 30.0, 15.0], [-10.0, -5.0, -12.5]]))
    assert found.tolist() == [1.0, 0.25, -0.5]
    assert distilled().kept(np.array([[0.0, 4.0, 3.0]])) == 0.75


def test_a_geometric_mean_is_over_tasks_and_knows_nothing_below_random():
    mean = distilled().geometric_mean
    assert mean(np.array([0.5, 0.5]), np.array([2.0])) == pytest.approx(1.0)
    assert mean(np.array([1.0]), np.array([1.0]), np.array([0.125])) == pytest.approx(0.5)
    assert mean(np.array([1.0]), np.array([-0.5])) == 0.0


def test_a_curve_is_below_the_best_that_it_had_been():
    curves = np.array([[1.0, 5.0, 3.0, 4.0], [4.0, 1.0, 9.0, 8.0], [1.0, 2.0, 2.0, 3.0]])
    assert distilled().below(curves).tolist() == [[0, 0, 2, 1], [0, 3, 0, 1], [0, 0, 0, 0]]


def test_online_students_are_measured_by_their_learners_best():
    learner, student = np.array([[2.0, 12.0, 7.0, 11.0]]), np.array([[2.0, 10.0, 9.0, 7.0]])
    found = distilled().online_shares(learner, student, np.array([2.0]))
    # It is 0.3 below its best in the end, but when its learner was 0.5 below, it was 0.1.
    assert {name: own.tolist() for name, own in found.items()} == {
        "learner": [0.5], "student": [0.3], "collapsed": [0.1], "final": [0.5],
    }  # fmt: skip


def test_students_have_the_sizes_of_the_paper():
    from sim2real.transfer.sizes import policy_parameters

    distill = importlib.import_module("reproductions.distill")
    # Reacher: 10 numbers observed, 2 actions.
    assert [distill.widths("reacher", share)[0] for share in (0.25, 0.07, 0.04)] == [124, 62, 45]
    share = policy_parameters(10, 2, distill.widths("reacher", 0.07)) / policy_parameters(10, 2, (256, 256))
    assert share == pytest.approx(0.07, rel=0.03)


def test_a_student_is_another_when_its_teacher_is(trainings):
    distill = importlib.import_module("reproductions.distill")
    twin, other = (
        trainings.Training("small", "small/goals", 0, "t", (f"train.steps={n}",)) for n in (64, 65)
    )
    taught = [distill.Taught("small", "small/goals", 1, teachers=(one,)) for one in (twin, twin, other)]
    digests = [one.digest() for one in taught]
    assert digests[0] == digests[1] != digests[2] and len(digests[0]) == 12


def test_students_wait_for_their_teachers_who_are_jobs_themselves():
    trainings = importlib.import_module("reproductions.trainings")
    jobs = importlib.import_module("reproductions.distill").jobs(2)
    every = [job.training for job in jobs]
    assert all(set(job.needs) <= set(every[:number]) for number, job in enumerate(jobs))
    assert {job.training.name for job in trainings.ready(jobs, [])} == {
        "pendulum", "reacher", "pusher", "weak", "strong", "online",
    }  # fmt: skip
    (several,) = (job for job in jobs if job.training.name == "motors")
    assert [one.name for one in several.needs] == ["weak", "pendulum", "strong"]


def test_a_watched_training_keeps_what_acted_on_the_way(trainings, monkeypatch):
    import torch

    distill = importlib.import_module("reproductions.distill")
    monkeypatch.setattr(distill, "EVERY", 24)
    watched = distill.Watched("small", "small/goals", 0)
    watched.run()
    kept = {file.stem: torch.load(file) for file in (watched.folder / "policies").iterdir()}
    assert set(kept) == {"24", "48"} and "actor" in kept["24"]


def scored(trainings, results, folder, keeps):
    """Results of two seeds of distillation: random 0, teachers 100, students what they keep."""
    distill, found = importlib.import_module("reproductions.distill"), results.Results(folder)
    for seed in range(2):
        cells = {}
        for task in distill.TASKS:
            cells |= {(task, "random"): 0.0, (task, "teacher"): 100.0}
            for name in distill.STUDENTS:
                cells |= {(task, name): 100 * keeps, (f"{task}, entropy", name): keeps - 1}
        for at in distill.MOTORS:
            for who in distill.MOTORS:
                cells["motors: " + who, at] = 100.0 if who == at else 50.0
            cells |= {("motors: student", at): 100 * keeps, ("motors: random", at): 0.0}
        for point in distill.points():
            cells |= {("online: learner", point): 100.0, ("online: student", point): 100 * keeps}
        cells["online: random", "source"] = 0.0
        found.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    return found


@pytest.mark.parametrize(("keeps", "missed"), [(1.0, 0), (0.5, 6)])
def test_the_report_says_which_gates_of_distillation_are_reached(
    trainings, results, tmp_path, keeps, missed, monkeypatch
):
    monkeypatch.setattr(trainings, "ROOT", TOOLS.parent)
    text = importlib.import_module("reproductions.distill").report(
        scored(trainings, results, tmp_path, keeps)
    )
    # Three sizes, entropy, several teachers and the end online; a flat curve does not fall.
    assert text.count("**missed**") == missed and text.count("reached") == 9 - missed
    assert "geometric mean" in text and (tmp_path / "online.png").exists()


def test_contextual_policies_are_compared_with_the_blind_and_with_the_truth(results, trainings, tmp_path):
    contextual = importlib.import_module("reproductions.contextual")
    kept = results.Results(tmp_path)
    gets = {"blind": 50.0, "up_osi": 92.0, "rma": 80.0, "universal, told of another world": 10.0}
    for seed in range(2):
        cells = {(row, at): gets.get(row, 100.0) for row in contextual.rows() for at in ("source", "corners")}
        cells |= {("up_osi", "R² encoder"): 0.9, ("rma", "R² encoding"): 0.65}
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = contextual.report(kept)
    assert "gets 200% [200%, 200%] of the blind one's return (wanted: 110%) — reached" in text
    assert "keeps 10% [10%, 10%] of its return (wanted: less than all of it) — reached" in text
    assert "`up_osi` keeps 92% [92%, 92%] of what it gets when told the truth (wanted: 90%) — reached" in text
    assert "`rma` keeps 80% [80%, 80%] of what it gets when told the truth (wanted: 90%) — **missed**" in text
    assert "encoder 0.9 [0.9, 0.9]" in text and "encoding 0.65 [0.65, 0.65]" in text


def test_places_on_a_line_are_those_the_task_says_and_both_count_together(trainings, tmp_path):
    from sim2real.envs.tasks import line

    lines = importlib.import_module("reproductions.lines")
    assert lines.TOLERANCE == line.TOLERANCE
    places = np.array([[4.4, 0.0], [3.6, 4.4], [-4.0, 4.0], [4.6, 4.6], [4.0, 3.4]])
    assert lines.shares(places) == [0.6, 0.4, 0.2]
    x, y, both = lines.jobs(3)
    assert both.needs == (x.training, y.training) and not x.needs + y.needs
    assert trainings.ready([both], [y]) == []


@pytest.mark.parametrize(("both", "alone", "missed"), [(0.8, 0.25, 0), (0.79, 0.26, 2)])
def test_a_sum_must_be_on_both_lines_and_its_parts_must_not(
    results, trainings, tmp_path, both, alone, missed
):
    lines = importlib.import_module("reproductions.lines")
    kept = results.Results(tmp_path)
    parts = {lines.ROWS["x"]: (1.0, 0.0, 0.0), lines.ROWS["y"]: (alone, 1.0, alone)}
    scores = {**parts, lines.SUM: (1.0, both, both), lines.ROWS["both"]: (1.0, 1.0, 1.0)}
    for seed in range(2):
        cells = {
            (row, column): score
            for row, own in scores.items()
            for column, score in zip(lines.COLUMNS, own, strict=True)
        }
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = lines.report(kept)
    assert f"in {both:.0%} [{both:.0%}, {both:.0%}] of the rollouts (wanted: 80%)" in text
    assert f"in at most {alone:.0%} [{alone:.0%}, {alone:.0%}] (wanted: no more than 25%)" in text
    assert text.count("**missed**") == missed and text.count("reached") == 2 - missed
    assert "| asked for x | 1 [1, 1] | 0 [0, 0] | 0 [0, 0] | 2 |" in text


def test_without_every_row_nothing_is_said_of_gates(results, trainings, tmp_path):
    lines = importlib.import_module("reproductions.lines")
    kept = results.Results(tmp_path)
    assert lines.report(kept).startswith("**Unfinished**")
    cells = {(lines.ROWS["x"], column): 1.0 for column in lines.COLUMNS}
    kept.add(trainings.Training("small", "small/goals", 0), outcome(trainings, "d", cells))
    text = lines.report(kept)
    assert "| asked for x | 1 | 1 | 1 | 1 |" in text and "wanted" not in text


def test_rollouts_end_where_the_policy_leads(monkeypatch):
    rollouts = importlib.import_module("reproductions.rollouts")
    monkeypatch.setattr(rollouts, "ROLLOUTS", 8)

    class There:
        """Goes straight to (5, 0), a goal that ends the episode, or towards the corner behind it."""

        def act(self, obs, deterministic):
            return np.clip(([5.0, 0.0] if deterministic else [9.0, 9.0]) - obs, -1, 1)

    places, reached = rollouts.ends(There(), "PointGoals-v0", {"goals": 1}, deterministic=True)
    # It ended when the point was within 1 m, not after 30 steps.
    apart = np.linalg.norm(places - [5.0, 0.0], axis=1)
    assert reached.all() and (apart < 1.0).all() and (apart > 0.05).all()
    places, reached = rollouts.ends(There(), "PointGoals-v0", {"goals": 1})
    assert not reached.any() and (places > 6.9).all()


def test_every_training_of_every_study_can_be_loaded(arm):
    main = importlib.import_module("reproductions.__main__")
    kind = importlib.import_module("reproductions.study").Study
    for study in (one for one in main.REPRODUCTIONS.values() if isinstance(one, kind)):
        jobs = study.jobs(0)
        names = [job.training.name for job in jobs]
        assert len(set(names)) == len(names), study.name
        for job in jobs:
            assert len(job.training.digest()) == 12


def test_what_fine_tuning_is_worth_is_read_from_the_curves_of_each_seed(results, trainings, tmp_path):
    finetune = importlib.import_module("reproductions.finetune")
    kept, scratch = results.Results(tmp_path), (0.0, 0.0, 0.0, 0.0, 50.0)
    curves = {"all": (50.0, 60.0, 79.0, 80.0, 100.0), finetune.SCRATCH: scratch}
    cells = {
        (mode, str(k)): value
        for mode in finetune.MODES
        for k, value in zip(finetune.SHOTS, curves.get(mode, scratch), strict=True)
    }
    cells |= {("all", "retention"): 0.5, (finetune.NATIVE, "0"): 100.0, (finetune.RANDOM, "0"): 0.0}
    kept.add(trainings.Training("small", "small/goals", 0), outcome(trainings, "d", cells))
    worth = finetune.gains(kept)
    # Areas: 55 + 69.5 + 3 * 79.5 + 5 * 90 against 5 * 25.
    assert worth["all"].tolist() == [[50.0, pytest.approx(813 / 125), 5.0, 0.5]]
    assert worth[finetune.SCRATCH][0, :3].tolist() == [0.0, 1.0, np.inf]
    assert finetune.solved(worth["all"][:, 2]) == "5 (1 of 1 seeds)"
    assert finetune.solved(worth[finetune.SCRATCH][:, 2]) == "0 of 1 seeds"


def test_modules_are_held_to_joint_training_and_to_wrong_ones(results, trainings, tmp_path):
    modular = importlib.import_module("reproductions.modular")
    assert modular.report(results.Results(tmp_path)).startswith("**Unfinished**")
    kept = results.Results(tmp_path)
    # Between random, -40, and joint training, -20: 75 %, 40 % and 90 %.
    gets = {"random": -40.0, "trained jointly": -20.0, "zero-shot": -25.0, "a wrong module": -32.0}
    cells = {(row, pair): score for row, score in gets.items() for pair in modular.PAIRS}
    cells |= {("one network", pair): -22.0 for pair in modular.PAIRS}
    cells |= {("an expert each", pair): -18.0 for pair in modular.PAIRS}
    for seed in range(2):
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = modular.report(kept)
    assert "reaches 75% [75%, 75%] of what joint training does (wanted: 70%) — reached" in text
    assert "it would be 40% [40%, 40%] (wanted: at most half of that) — **missed**" in text
    assert "| **mean** |  |  | 75% [75%, 75%] | 40% [40%, 40%] | 90% [90%, 90%] | 110% [110%, 110%] |" in text


def test_each_pair_is_held_out_once_trained_alone_once_and_always_as_long():
    modular = importlib.import_module("reproductions.modular")
    from sim2real.session import CATALOG
    from sim2real.spec import Label, load

    left, alone = [], []
    for job in modular.jobs(3):
        bundle = load(job.training.file, CATALOG, job.training.settings)
        assert list(bundle.members) == list(modular.PAIRS)
        each = bundle.spec.train.steps / len(bundle.trained), bundle.spec.train.num_envs / len(bundle.trained)
        assert each == (modular.STEPS, modular.WORLDS)
        if len(bundle.trained) == 1:
            alone += bundle.trained
        else:
            left += sorted(set(bundle.members) - set(bundle.trained))
    assert left == alone == list(modular.PAIRS)
    assert modular.wrong_labels(Label((1, 3), (0, 3))) == [
        Label((0, 3), (0, 3)), Label((2, 3), (0, 3)), Label((1, 3), (1, 3)), Label((1, 3), (2, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize(("one", "three", "missed"), [(-12.0, -3.0, 0), (-19.0, -7.0, 2)])
def test_gradient_steps_are_judged_after_one_and_after_three(
    results, trainings, tmp_path, one, three, missed
):
    gradient = importlib.import_module("reproductions.gradient")
    kept = results.Results(tmp_path)
    flat = {"MAML": (-9.0, -7.0), "domain randomization": (-9.0, -9.5)}
    for seed in range(3):
        cells = {}
        for row in gradient.NAVIGATION:
            scores = (-38.0, one, three, three) if row == "MAML" else (-38.0,) * 4
            cells |= {(f"navigation: {row}", str(step)): scores[step] for step in gradient.STEPS}
        for row, (before, after) in flat.items():
            cells |= {(f"reacher: {row}", str(step)): after if step else before for step in gradient.STEPS}
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = gradient.report(kept)
    assert text.count("**missed**") == missed and text.count("reached") == 3 - missed
    assert (
        f"After one step MAML gets {one:g} (wanted: -18)" in text and f"three {three:g} (wanted: -6)" in text
    )
    assert "worth 2 [2, 2] to MAML, and -0.5 [-0.5, -0.5] to the policy trained without inner steps" in text


def test_a_gain_of_one_seed_decides_nothing(results, trainings, tmp_path):
    gradient = importlib.import_module("reproductions.gradient")
    assert gradient.report(results.Results(tmp_path)).startswith("**Unfinished**")
    found = {"MAML": np.array([[-9.0, -7.0, -7.0, -7.0]]), "domain randomization": np.full((1, 4), -9.0)}
    (said,) = gradient.gates("reacher", found)
    assert "worth 2 to MAML" in said and said.endswith("undecided: one seed has no interval.")
    (said,) = gradient.gates("reacher", {row: scores.repeat(2, 0) for row, scores in found.items()})
    assert "worth 2 [2, 2] to MAML" in said and said.endswith("reached.")


def test_a_policy_is_measured_after_each_gradient_step_on_a_task(monkeypatch):
    from sim2real.session import CATALOG, fresh_agent, training_env
    from sim2real.spec import load

    gradient = importlib.import_module("reproductions.gradient")
    monkeypatch.setattr(gradient, "EPISODES", 2)
    settings = ("train.agent.episodes=2", "train.num_envs=2", "train.agent.hidden=[4]")
    bundle = load(TOOLS.parent / "assets" / "specs" / "meta" / "maml.yaml", CATALOG, settings)
    env = training_env(bundle, "policy")
    agent = fresh_agent(bundle, env)
    found = gradient.adapted(bundle, agent, np.array([0.5, 0.5]), 0)
    assert len(found) == len(gradient.STEPS) and len(set(found)) == 4
    assert found == gradient.adapted(bundle, agent, np.array([0.5, 0.5]), 0)
    assert found[1:] != gradient.adapted(bundle, agent, np.array([0.5, 0.5]), 1)[1:]


def test_the_most_a_bandit_can_pay_is_what_is_known():
    """Duan et al. 2016 do not say; the two-armed one of ten pulls can be worked out otherwise too."""
    recurrent = importlib.import_module("reproductions.recurrent")
    most = {
        (1, 3): 1.5,  # there is nothing to choose
        (2, 2): 0.5 + 0.5 * 2 / 3 + 0.5 * 0.5,  # a win is repeated, a loss is not
        (2, 10): 6.0218,
        (5, 10): 6.66,
    }
    for (arms, pulls), value in most.items():
        assert recurrent.bayes_optimum(((0, 0),) * arms, pulls) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(("memory", "blind", "missed"), [(0.9, 0.2, 0), (0.6, 0.35, 3)])
def test_a_memory_is_compared_with_being_told_and_with_nothing(
    results, trainings, tmp_path, memory, blind, missed
):
    recurrent = importlib.import_module("reproductions.recurrent")
    kept = results.Results(tmp_path)
    gets = {recurrent.TOLD: 100.0, recurrent.REMEMBERS: 100 * memory, recurrent.HISTORY: 80.0}
    gets |= {recurrent.NOTHING: 100 * blind, recurrent.ZEROED: 100 * blind + 5}
    bandit = {recurrent.RL2: 6.5, recurrent.RL2_ZEROED: 5.0, recurrent.RANDOM: 5.0}
    for seed in range(2):
        cells = {(f"bandit: {row}", "return"): score for row, score in bandit.items()}
        cells |= {
            (f"{task}: {row}", "return"): score for task in recurrent.TASKS for row, score in gets.items()
        }
        cells |= {(f"wind: {recurrent.REMEMBERS}", f"{k}-shot"): 60.0 + k for k in recurrent.SHOTS}
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = recurrent.report(kept)
    assert text.count("**missed**") == missed and text.count("reached") == 6 - missed
    assert "gets 6.5 [6.5, 6.5] of 10 (wanted: 6.4; no policy can expect more than 6.66) — reached" in text
    assert "| 60 [60, 60] | 61 [61, 61] | 62 [62, 62] | 2 |" in text


def test_a_seed_of_a_memory_is_nine_trainings_on_three_tasks(trainings):
    recurrent = importlib.import_module("reproductions.recurrent")
    from sim2real.runs import Run

    jobs = recurrent.jobs(3)
    tasks = [recurrent.task_of(Run(job.training.folder)) for job in jobs]
    assert tasks == ["bandit", *["wind"] * 4, *["flip"] * 4]
    assert len({row for row in recurrent.rows()}) == 3 + 2 * 5


def test_methods_are_compared_by_their_means_over_all_targets(results, trainings, tmp_path):
    study = importlib.import_module("reproductions.all_methods")
    kept, most = results.Results(tmp_path), 200.0
    for seed in range(2):
        cells = {(study.BLIND, "source"): most}
        for x, target in enumerate(study.TARGETS):
            cells |= {(study.BLIND, f"{target} {k}"): 40.0 * x + k for k in study.SHOTS}
            name = study.label(f"{study.ORACLE} {target}")
            oracle = trainings.Training("small", "small/goals", seed, name)
            kept.add(oracle, outcome(trainings, "d", {(study.ORACLE, f"{target} 0"): most}))
        blind = trainings.Training("small", "small/goals", seed, study.BLIND)
        kept.add(blind, outcome(trainings, "d", cells))
    text = study.report(kept)
    assert "| fast_sac | 200 [200, 200] | 60 [60, 60] | 61 [61, 61] | 65 [65, 65] | 80 [80, 80] |" in text
    assert "| trained on the target |  | 200 [200, 200] |  |  |  |" in text
    assert "no randomization" not in text and "**Unfinished**" in text
    assert (tmp_path / "targets.png").exists()
    alone, four = (study.minutes(kept, row) for row in (study.BLIND, study.ORACLE))
    assert four == pytest.approx(4 * alone)


def test_the_suite_holds_its_targets_also_as_what_a_policy_trains_on():
    study = importlib.import_module("reproductions.all_methods")
    from sim2real.session import CATALOG
    from sim2real.spec import load

    job = next(one for one in study.jobs(0) if one.training.name == "trained-on-the-target-heavy")
    suite = load(job.training.file, CATALOG)
    own = load(job.training.file, CATALOG, job.training.settings)
    np.testing.assert_array_equal(own.program.nominal, suite.program.nominal)
    for target in study.TARGETS:
        job = next(one for one in study.jobs(0) if one.training.name == f"trained-on-the-target-{target}")
        own = load(job.training.file, CATALOG, job.training.settings)
        drawn = own.program.values(np.full((1, len(own.program.nominal_quantiles)), 0.5))
        np.testing.assert_allclose(drawn[0], suite.targets[target].v)


@pytest.fixture
def arm(tmp_path, monkeypatch):
    """The study of the SO-101, with targets of its own: three quantiles of the prior."""
    from sim2real.session import CATALOG
    from sim2real.spec import load

    study = importlib.import_module("reproductions.so101")
    prior = load(TOOLS.parent / "assets" / "specs" / "so101_identify.yaml", CATALOG).program
    drawn = prior.values(np.repeat([[0.3], [0.5], [0.7]], prior.d, axis=1))
    written = {
        name: {
            "motions": ["one", "other"],
            "rmse_deg": {"target": 0.2, "source": 0.3, "published": 1.5},
            "values": dict(zip(prior.names, values.tolist(), strict=True)),
        }
        for name, values in zip(("low", "middle", "high"), drawn, strict=True)
    }
    monkeypatch.setattr(study, "TARGETS", tmp_path / "targets.json")
    study.TARGETS.write_text(json.dumps(written))
    return study


def test_without_targets_it_is_said_how_to_fit_them(arm):
    arm.TARGETS.unlink()
    with pytest.raises(RunError, match="tools/so101_targets LOGS"):
        arm.jobs(0)


@pytest.mark.parametrize(("identified", "missed"), [(12.0, 0), (30.0, 2)])
def test_a_source_is_judged_by_its_zero_shot_error_on_all_targets(
    arm, results, trainings, tmp_path, identified, missed
):
    study, kept = arm, results.Results(tmp_path)
    off = {study.NOMINAL: 24.0, study.WIDE: 20.0, study.IDENTIFIED: identified, study.ORACLE: 10.0}
    for seed in range(2):
        cells = {}
        for row, error in off.items():
            for k in study.SHOTS if row != study.ORACLE else (0,):
                for x, name in enumerate(study.targets()):
                    # Of three targets the mean is `error` at first, and 2 less after 20 episodes.
                    cells[row, f"{name} {k} {study.ERROR}"] = error + x - 1 - 0.1 * k
                    cells[row, f"{name} {k} {study.JERK}"] = 500.0
                    cells[row, f"{name} {k} {study.SUCCESS}"] = 0.75
        kept.add(trainings.Training("small", "small/goals", seed), outcome(trainings, "d", cells))
    text = study.report(kept)
    assert text.count("**missed**") == missed and text.count("— reached") == 2 - missed
    assert "| low | `one`, `other` | 1.5 | 0.3 | 0.2 |" in text
    assert "| a hand-made wide source | 20 | 0.75 [0.75, 0.75] | 18 [18, 18] | 500 [500, 500] | 2 |" in text
    share, late, best = (f"{identified / other:.0%}" for other in (20, 18, 10))
    assert f"is {share} [{share}, {share}] of that of policies trained on a hand-made wide source" in text
    assert f"after 20 episodes on the target, it is {late} [{late}, {late}]." in text
    assert f"It is {best} [{best}, {best}] of the error of policies that were trained on the target" in text
    assert (tmp_path / "transfer.png").exists()


def test_no_target_of_the_arm_is_fitted_to_what_another_or_the_source_was():
    fits = importlib.import_module("so101_targets")
    used = [motion for motions in fits.MOTIONS.values() for motion in motions]
    assert len(set(used)) == len(used) == 10
    seen = fits.fitted_to(fits.SOURCE)
    assert len(seen) == 10 and not seen.intersection(used)
    committed = json.loads(fits.TARGETS.read_text())
    assert {name: tuple(found["motions"]) for name, found in committed.items()} == fits.MOTIONS


def test_the_arm_has_the_same_targets_whatever_it_is_trained_on(arm):
    from sim2real.session import CATALOG
    from sim2real.spec import load

    study = arm
    nominal, wide, identified, *oracles = (
        load(job.training.file, CATALOG, job.training.settings) for job in study.jobs(0)
    )
    assert len(oracles) == len(study.targets()) == 3
    drawn = nominal.program.values(np.linspace(0, 0.99, 3)[:, None].repeat(nominal.program.d, 1))
    np.testing.assert_array_equal(drawn, nominal.program.nominal[None].repeat(3, 0))

    def named(bundle, target):
        return study.by_term(dict(zip(bundle.program.names, bundle.targets[target].v, strict=True)))

    for (target, values), oracle in zip(study.targets().items(), oracles, strict=True):
        expected = study.by_term(values)
        assert named(nominal, target) == named(wide, target) == named(identified, target) == expected
        trained = oracle.program.values(np.full((1, oracle.program.d), 0.5))[0]
        np.testing.assert_allclose(trained, oracle.targets[target].v, rtol=1e-6)
        assert named(oracle, target) == expected


def test_pushing_is_trained_across_worlds_and_on_nominal_dynamics_and_evaluated_alike(
    results, trainings, tmp_path, monkeypatch
):
    study = importlib.import_module("reproductions.push")
    from sim2real.runs import Run
    from sim2real.session import CATALOG
    from sim2real.spec import load

    there = TOOLS.parent / "assets" / "specs" / f"{study.SPEC}.yaml"
    (tmp_path / "assets" / "specs" / there.name).write_text(there.read_text())
    randomized, nominal = (load(job.training.file, CATALOG, job.training.settings) for job in study.jobs(0))
    np.testing.assert_array_equal(randomized.program.nominal, nominal.program.nominal)
    drawn = nominal.program.values(np.full((1, nominal.program.d), 0.9))
    np.testing.assert_allclose(drawn[0], nominal.program.nominal)
    assert set(study.PLACES) == {"source", "nominal", *randomized.targets}

    short = ("train.steps=64", "train.num_envs=4", "train.baseline=false")
    training = trainings.Training("push", study.SPEC, 0, "nominal", short)
    training.run()
    monkeypatch.setattr(study, "EPISODES", 2)
    cells = study.measure(Run(training.folder))
    assert set(cells) == {("nominal", f"{place} {what}") for place in study.PLACES for what in study.MEASURED}
    assert 0.03 < cells["nominal", "source distance"] / 1000 < 0.1  # of the cube from its goal [m]
    kept = results.Results(tmp_path)
    kept.add(training, outcome(trainings, "d", cells | {("nominal", "ice success"): 0.25}))
    assert "| nominal dynamics | ice | 0.25 |" in study.report(kept) and "film.png" not in study.report(kept)


def test_what_a_pushing_policy_does_is_drawn_world_by_world(monkeypatch):
    study = importlib.import_module("reproductions.push")
    from sim2real.agents import RandomAgent
    from sim2real.envs.make import make_vector
    from sim2real.session import CATALOG
    from sim2real.spec import load

    monkeypatch.setattr(study, "MOMENTS", (0, 3))
    bundle = load(
        TOOLS.parent / "assets" / "specs" / f"{study.SPEC}.yaml",
        CATALOG,
        ("env_options={max_episode_steps: 5}",),
    )
    agent = RandomAgent(make_vector("SO101Push-v0", 1).single_action_space, 0)
    drawn = imageio.imread(study.film(bundle, agent)).astype(int)
    width, height = study.SIZE
    assert drawn.shape == (study.SHOWN * height, 2 * width, 3)
    first, second = drawn[:height], drawn[height : 2 * height]
    assert np.abs(first[:, :width] - first[:, width:]).max() > 60  # it moves
    assert np.abs(first[:, :width] - second[:, :width]).max() > 60  # the cube lies elsewhere


def test_the_loop_shows_commands_as_they_are_typed_with_the_end_of_what_they_print(tmp_path):
    loop = importlib.import_module("reproductions.loop")
    long = "\n".join([*(f"line {i} of {tmp_path}/a.csv" for i in range(20)), 200 * "x"])
    text = loop.block({loop.COMMANDS[0]: long, loop.COMMANDS[3]: f"{loop.ROOT}/runs/loop/p\n"}, str(tmp_path))
    first, second = text.removeprefix("```console\n").removesuffix("\n```").split("\n\n")
    assert first.splitlines()[:2] == ["$ sim2real replay assets/specs/so101_identify.yaml LOGS", "…"]
    assert first.splitlines()[2:-1] == [f"line {i} of LOGS/a.csv" for i in range(11, 20)]
    assert first.splitlines()[-1] == 140 * "x" + "…"
    assert second == "$ sim2real export runs/loop/run -o runs/loop/policy.onnx\nruns/loop/p"


def test_a_command_of_the_loop_that_fails_ends_it_with_what_it_said():
    loop = importlib.import_module("reproductions.loop")
    assert loop.said("python -c 'print(7)'", simulated=False) == "7\n"
    with pytest.raises(SystemExit, match=r"nowhere\.yaml"):
        loop.said("sim2real train nowhere.yaml", simulated=False)
