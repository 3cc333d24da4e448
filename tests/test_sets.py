"""One policy for a set of environments: bundles, training, exact resumption, evaluation member by member."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sim2real.cli import app
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.report import headline, table, write_report
from sim2real.evaluation.statistics import iqm
from sim2real.evaluation.suites import choose
from sim2real.evaluation.zeroshot import worlds
from sim2real.inspection import describe, parameter_rows
from sim2real.progress import Progress
from sim2real.session import CATALOG, Session, reload, trained_agent, training_env
from sim2real.spec import SpecError, load_text
from sim2real.train import train
from tests.continuing import assert_same, begun_with, curves, interrupted, parameters

SPEC = """
envs:
  east: {env: PointGoals-v0, options: {goals: 1}, robot: light}
  north: {env: PointGoals-v0, options: {goals: 1, rotation: 1.57}, task: up, robot: light}
  line: {env: PointLine-v0, options: {axis: y}, task: up, robot: heavy}
  unseen: {env: PointGoals-v0, options: {goals: 1}, task: east, robot: heavy, held_out: true}
randomize:
  pull: {type: external_force, select: point, axes: xy, add: [-3 N, 3 N]}
targets:
  against: {pull.x: -5}
  gentle: {pull.x: 1, inside: true}
train:
  steps: 600
  num_envs: 6
  baseline: false
  validate_on: 6
  checkpoint_every: 200
  agent: {learning_starts: 100, actor_hidden: [16, 16], critic_hidden: [16, 16], batch_size: 32,
    updates_per_step: 0.25}
evaluate: {episodes: 4, shots: [0, 1], retention: true}
"""
TRAINED = ["east", "north", "line"]
CHOSEN = ("line/against", "unseen/nominal", "unseen/gentle")


def begun(folder, name="run", text=SPEC):
    return begun_with(folder, text, name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = begun(tmp_path_factory.mktemp("set"))
    train(made, Progress.silent())
    return made


@pytest.fixture(scope="module")
def result(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sched_getaffinity", lambda pid: {0})  # other processes take long to start
        return evaluate(run, Request(CHOSEN), Progress.silent())


def test_every_member_is_an_ordinary_bundle():
    bundle = load_text(SPEC, "set.yaml", CATALOG)
    assert list(bundle.members) == [*TRAINED, "unseen"] and list(bundle.trained) == TRAINED
    for name, part in bundle.members.items():
        given = bundle.spec.envs[name]
        assert (part.spec.env, part.spec.env_options, part.spec.envs) == (given.env, given.options, {})
        assert part.program.d == 2 and list(part.targets) == ["against", "gentle"] and not part.members
    assert [part.label.task for part in bundle.members.values()] == [(0, 2), (1, 2), (1, 2), (0, 2)]
    assert [part.label.robot for part in bundle.members.values()] == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_a_set_is_no_member_of_itself():
    bundle = load_text(SPEC, "set.yaml", CATALOG)
    with pytest.raises(ValueError, match="each of its members has its own"):
        _ = bundle.program
    assert bundle.spec.env == "" and bundle.label is None
    assert bundle.at("line/against") is bundle.members["line"]
    alone = load_text("env: PointGoals-v0", "one.yaml", CATALOG)
    assert alone.at("anything") is alone and dict(alone.parts) == dict(alone.trained) == {"": alone}


def test_targets_are_those_of_all_members():
    """And a held-out member's nominal dynamics is one: training draws nothing of it at all."""
    bundle = load_text(SPEC, "set.yaml", CATALOG)
    names = [f"{name}/{target}" for name in TRAINED for target in ("against", "gentle")]
    assert list(bundle.targets) == [*names, "unseen/nominal", "unseen/against", "unseen/gentle"]
    held_out = {name for name, target in bundle.targets.items() if target.held_out}
    assert held_out == {name for name in bundle.targets if "against" in name or "unseen" in name}
    assert all(target.name == name for name, target in bundle.targets.items())
    grid = choose(bundle, ["line/pull=-3"], "grid")
    assert grid["line/pull=-3"].v.tolist() == [-3, -3]


def test_task_is_by_default_the_members_name():
    spec = load_text("envs: {a: {env: PointLine-v0}, b: {env: PointLine-v0}}", "s.yaml", CATALOG).spec
    assert [(m.task, m.robot, m.held_out) for m in spec.envs.values()] == [("a", "", False), ("b", "", False)]


def test_distillation_takes_no_set():
    text = SPEC.replace("  agent: {", "  algorithm: distillation\n  agent: {teachers: [a], ")
    text = text.partition("  agent:")[0] + "  agent: {teachers: [runs/a]}\n"
    with pytest.raises(SpecError, match=r"train\.algorithm: distillation teaches in one environment"):
        load_text(text, "set.yaml", CATALOG)


SEQUENCES = "{learning_starts: 60, batch_size: 8, units: 8}"
TOLD = "{learning_starts: 60, batch_size: 16, actor_hidden: [8], critic_hidden: [8]"
AGENTS = {
    "universal": TOLD + "}",
    "asymmetric": TOLD + ", history: 2}",
    "up_osi": TOLD + ", history: 2, policy_steps: 90}",
    "rma": TOLD + ", history: 2, policy_steps: 90, latent: 2}",
    "history_sac": TOLD + ", history: 2}",
    "recurrent_sac": SEQUENCES,
    "rl2": "{horizon: 8, units: 8, hidden: [8]}",
}


@pytest.mark.parametrize("algorithm", AGENTS)
def test_those_who_are_told_or_remember_do_so_in_a_set_too(tmp_path, algorithm):
    head = SPEC.partition("train:")[0]
    sizes = "steps: 120, num_envs: 6, baseline: false"
    train_section = f"train: {{algorithm: {algorithm}, {sizes}, agent: {AGENTS[algorithm]}}}\n"
    made = begun(tmp_path, text=f"{head}{train_section}evaluate: {{episodes: 2, shots: [0]}}\n")
    train(made, Progress.silent())
    found = evaluate(made, Request(("line/against",)), Progress.silent())
    assert set(found["members"]) == {*TRAINED, "unseen"}
    assert ("estimator_r2" in found) == (algorithm in ("up_osi", "rma"))


def test_members_share_the_worlds(run):
    env = training_env(reload(run), "policy")
    assert env.groups == {"east": range(2), "north": range(2, 4), "line": range(4, 6)}
    default = load_text(SPEC.replace("  num_envs: 6\n", ""), "set.yaml", CATALOG)
    assert training_env(default, "policy").num_envs == 126
    shown, _ = env.reset(seed=0)
    assert shown["task"].argmax(1).tolist() == [0, 0, 1, 1, 1, 1]


def test_curves_keep_members_apart(run):
    rows = run.policy.rows()
    own = [[float(row[f"return/{name}"]) for name in TRAINED] for row in rows]
    assert np.isfinite(own).any(0).all() and "return/unseen" not in rows[0]
    for row, each in zip(rows, own, strict=True):
        if np.isfinite(each).all():
            assert min(each) <= float(row["return"]) <= max(each)
    assert np.isfinite(float(rows[-1]["validation"]))


@pytest.mark.parametrize("at", [90, 330])
def test_an_interrupted_run_goes_on_bit_for_bit(run, tmp_path, at):
    other = begun(tmp_path)
    interrupted(other, at)
    train(other, Progress.silent())
    assert_same(parameters(run), parameters(other))
    assert curves(run) == curves(other)


def test_physics_has_a_thread_of_its_own(run):
    session = Session(run, "policy")
    assert session.loop._physics is not None
    session.env.close()


def test_a_member_alone_shows_what_it_shows_in_the_set(run):
    bundle = reload(run)
    shown, _ = worlds(bundle.members["unseen"], 2, None, threads=1).reset(seed=0)
    assert shown["task"].tolist() == [[1, 0]] * 2 and shown["robot"].tolist() == [[0, 1]] * 2
    assert trained_agent(run)[0].act(shown).shape == (2, 2)


def test_what_evaluation_keeps(run, result):
    assert json.loads(run.evaluation.read_text())["members"].keys() == set(reload(run).members)
    assert result["env"] == "a set of 4 environments"
    for name, member in result["members"].items():
        assert member["held_out"] == (name == "unseen") and member["task"] in ("east", "up")
        for place in ("source", "nominal"):
            assert len(member[place]["shots"]["0"]["episodes"]) == 4
    assert list(result["targets"]) == list(CHOSEN)
    own = {name: list(member["targets"]) for name, member in result["members"].items()}
    assert own == {"east": [], "north": [], "line": ["against"], "unseen": ["nominal", "gentle"]}
    nominal = result["members"]["unseen"]["nominal"]["shots"]["0"]
    assert result["targets"]["unseen/nominal"]["shots"]["0"]["episodes"] == nominal["episodes"]
    assert set(result["targets"]["unseen/nominal"]["shots"]) == {"0", "1"}


def test_source_and_nominal_are_those_of_trained_members_pooled(result):
    for place in ("source", "nominal"):
        each = [result["members"][name][place]["shots"]["0"]["episodes"] for name in TRAINED]
        own = result[place]["shots"]["0"]
        assert np.array_equal(own["episodes"], np.concatenate(each))
        assert own["iqm"] == pytest.approx(iqm(np.concatenate(each)))
    assert len(result["policies"]["random"]["source"]["episodes"]) == 12


def test_retention_is_on_the_whole_source(result):
    shots = result["targets"]["unseen/nominal"]["shots"]
    assert shots["0"]["retention"]["episodes"] == result["source"]["shots"]["0"]["episodes"]
    kept, used = shots["1"]["retention"], shots["1"]["target_steps_used"]
    assert len(kept["episodes"]) == 12 and kept["target_steps_used"] == used > 0
    assert kept["episodes"] != shots["0"]["retention"]["episodes"]


def test_words_about_it(run, result):
    lines = table(result).splitlines()
    rows = [line.split(" ")[1] for line in lines[2:]]
    members = [f"{name}/{place}" for name in result["members"] for place in ("nominal", "source")]
    assert rows == ["nominal", "source", *members, "line/against", "unseen/gentle"]
    assert "on the hardest of 3 targets" in headline(result)
    assert "a set of 4 environments" in write_report(run).read_text()


def test_inspection_goes_member_by_member(run):
    bundle = reload(run)
    text = describe(bundle)
    assert "unseen (task east, robot heavy, held out)" in text and text.count("pull: low end") == 4
    assert parameter_rows(bundle) == parameter_rows(bundle.members["line"])


def test_the_command_line(run, result):
    del result
    command = CliRunner().invoke(app, ["evaluate", str(run.path), "--targets", "line/heavy"])
    assert command.exit_code == 1 and "no target 'line/heavy'" in command.output
    shown = CliRunner().invoke(app, ["evaluate", str(run.path), "--targets", "line/against", "--shots", "0"])
    assert shown.exit_code == 0 and "line/against" in shown.output and "east/against" not in shown.output
