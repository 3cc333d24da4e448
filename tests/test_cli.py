"""The command line: words, exit codes, and never a traceback for a user's mistake."""

import json

import pytest
from typer.testing import CliRunner

from sim2real.cli import app
from tests.small import SPEC


@pytest.fixture
def run(small_run):
    return small_run


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


def test_evaluate_then_record_then_report(run):
    code, text = call("evaluate", run.path, "--episodes", 2, "--shots", "0", "--targets", "heavy")
    assert code == 0, text
    assert "heavy (torso 2.5)" in text
    assert f"sim2real report {run.path}" in text
    code, text = call("record", run.path, "--worst", "--seconds", 0.2)
    assert (code, (run.path / "videos" / "heavy.mp4").exists()) == (0, True), text
    code, text = call("report", run.path)
    assert code == 0, text
    assert "video controls" in (run.path / "report.html").read_text()


def test_evaluate_prints_json(run):
    code, text = call("evaluate", run.path, "--episodes", 2, "--shots", "0", "--targets", "heavy", "--json")
    assert code == 0
    assert json.loads(text[text.index("{") :])["targets"]["heavy"]["held_out"]


def test_inspect_shows_parameters_effects_and_targets(tmp_path):
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC)
    code, text = call("inspect", spec, "--preview", tmp_path / "sheet.png")
    assert code == 0, text
    for word in ("torso", "[0.6, 1.4]", "the action path", "body_mass", "heavy", "20 ms"):
        assert word in text
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_inspect_tells_of_a_term_that_changes_nothing(tmp_path):
    spec = tmp_path / "s.yaml"
    spec.write_text("env: Hopper-v5\nrandomize:\n  d: {type: observation_latency, set: [0, 0.5 ms]}\n")
    code, text = call("inspect", spec)
    assert code == 0, text
    assert "NO EFFECT" in text and "below half a physics step (1 ms)" in text


def test_a_bad_spec_exits_with_2_and_every_mistake(tmp_path):
    spec = tmp_path / "bad.yaml"
    spec.write_text(
        "env: Hoper-v5\nrandomize:\n  m: {type: mas, select: torso, scale: [0.5, 2]}\n"
        "  f: {type: friction, selct: floor, scale: [2, 1]}\n"
    )
    code, text = call("train", spec, "--out", tmp_path / "run")
    assert code == 2
    assert text.count("bad.yaml:") >= 3
    assert "did you mean 'Hopper-v5'" in text
    assert "Traceback" not in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["evaluate", "nowhere"], 1, "not a run folder"),
        (["report", "nowhere"], 1, "not a run folder"),
        (["record", "nowhere", "--worst", "--target", "x"], 2, "not both"),
        (["train"], 2, "give a SPEC"),
        (["train", "x.yaml", "--resume", "y"], 2, "give a SPEC"),
        (["train", "--resume", "nowhere"], 1, "not a run folder"),
        (["train", "--resume", "nowhere", "--seed", "1"], 2, "continues a run as it was"),
        (["train", "nowhere.yaml"], 2, "cannot be read: No such file"),
        (["evaluate", "nowhere", "--shots", "a"], 2, "whole numbers"),
        (["list", "envz"], 2, "cannot list 'envz'"),
    ],
)
def test_mistakes_have_a_message_and_a_code(words, code, message):
    got, text = call(*words)
    assert got == code, text
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("envs", ["Hopper-v5", "FetchPushDense-v4", "package.module:Class"]),
        ("randomizers", ["mass", "action_latency", "visuals"]),
        ("agents", ["fast_sac", "sac", "crossq", "soft_q"]),
        ("methods", ["zero-shot", "last-layer"]),
    ],
)
def test_everything_nameable_is_listed_with_a_line(what, words):
    code, text = call("list", what)
    assert code == 0
    for word in words:
        assert word in text
    assert all(len(line.split()) > 2 for line in text.splitlines())


def test_evaluating_an_untrained_run_says_so(tmp_path):
    from sim2real.train import start

    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC)
    run = start(spec, (), tmp_path / "run")
    code, text = call("evaluate", run.path)
    assert code == 1
    assert "there is no checkpoint yet" in text


def test_training_without_opengl_works_and_recording_says_what_to_install(run, monkeypatch):
    import mujoco

    def missing(*args, **kwargs):
        raise ImportError("no EGL")

    monkeypatch.setattr(mujoco, "Renderer", missing)
    code, text = call("record", run.path, "--target", "heavy")
    assert code == 1
    assert "apt-get install libegl1" in text
