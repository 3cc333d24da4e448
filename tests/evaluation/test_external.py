"""A robot as a target: asked for, counted, logged, never done twice, and otherwise like any target."""

import csv
import io
import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from sim2real.cli import app
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.report import headline, table, write_report
from sim2real.evaluation.video import record, worst_target
from sim2real.inspection import describe
from sim2real.progress import Progress
from sim2real.runs import Interrupted, RunError, open_run
from sim2real.session import CATALOG, reload
from sim2real.spec import SpecError, load_text
from tests import robots
from tests.small import trained

SPEC = """\
env: InvertedPendulum-v5
randomize:
  pole: {type: mass, select: pole, scale: [0.8, 1.2]}
targets:
  heavy: {pole: 2.0}
  robot: {env: "tests.robots:Robot", confirm: never}
train:
  steps: 600
  num_envs: 4
  agent: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100}
evaluate: {episodes: 3, shots: [0, 1, 2]}
"""


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("external"), SPEC)


@pytest.fixture
def run(trained_run, tmp_path):
    """A copy that no other test has evaluated."""
    robots.forget()
    shutil.copytree(trained_run.path, tmp_path / "run")
    return open_run(tmp_path / "run")


def target(**changes):
    """An override of the robot."""
    return (f"targets.robot={json.dumps({'env': 'tests.robots:Robot', 'confirm': 'never', **changes})}",)


def evaluated(run, *, yes=False, overrides=(), **changes):
    request = Request(("robot",), overrides=overrides or (target(**changes) if changes else ()), yes=yes)
    return evaluate(run, request, Progress.silent())


def rows(run):
    with (run.path / "targets/robot/steps.csv").open() as file:
        return list(csv.DictReader(file))


def comparable(run):
    """The log without what a clock or a second attempt changes, finished episodes only."""
    kept = {}
    for row in rows(run):
        kept.setdefault(row.pop("episode"), []).append({k: v for k, v in row.items() if k != "time"})
    ended = [own for own in kept.values() if own[-1]["terminated"] == "1" or own[-1]["truncated"] == "1"]
    return [row for own in ended for row in own]


def test_every_step_is_counted_logged_and_told(run):
    result = evaluate(run, Request(), Progress.silent())
    entry = result["targets"]["robot"]
    assert list(entry["shots"]) == ["0", "1", "2"]
    assert all(len(shot["episodes"]) == 3 for shot in entry["shots"].values())
    # 3 episodes at each of 3 numbers of shots, 2 to adapt: nothing else was begun, and nothing reset besides.
    assert robots.EVENTS["reset"] == 11 and robots.EVENTS["made"] == robots.EVENTS["closed"]
    own = entry["external"]
    assert own["steps"]["total"] == robots.EVENTS["step"] == len(rows(run)) - 11
    assert own["steps"]["unfinished"] == 0 and own["episodes"] == {"evaluation": 9, "adaptation": 2}
    assert own["steps"]["adaptation"] == entry["shots"]["2"]["target_steps_used"] > 0
    assert entry["shots"]["0"]["target_steps_used"] == 0
    assert json.loads(run.evaluation.read_text()) == json.loads(json.dumps(result))


def test_the_log_says_what_happened(run):
    entry = evaluated(run)["targets"]["robot"]
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows(run):
        found.setdefault(row["episode"], []).append(row)
    judged = [own for own in found.values() if own[0]["purpose"] == "evaluation" and own[0]["shots"] == "2"]
    returns = [sum(float(row["reward"] or 0) for row in own) for own in judged]
    assert returns == entry["shots"]["2"]["episodes"]
    for own in found.values():
        assert [int(row["step"]) for row in own] == list(range(len(own)))
        assert own[0]["action[0]"] == "" and all(row["action[0]"] for row in own[1:])
        assert own[-1]["terminated"] == "1" or own[-1]["truncated"] == "1"
        assert [float(row["time"]) for row in own] == sorted(float(row["time"]) for row in own)
    with (run.path / "targets/robot/shots.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [row["shots"] for row in curve] == ["0", "1", "2"]
    assert float(curve[2]["mean"]) == pytest.approx(entry["shots"]["2"]["mean"], rel=1e-5)


def test_episodes_start_alike_at_every_number_of_shots(run):
    evaluated(run)
    starts: dict[tuple[str, str], set[str]] = {}
    for row in rows(run):
        if row["step"] == "0":
            starts.setdefault((row["purpose"], row["number"]), set()).add(row["observation[1]"])
    assert all(len(own) == 1 for own in starts.values())
    assert len(set.union(*starts.values())) == 5  # and what is adapted on is never what scores


def test_what_is_done_is_not_done_again(run):
    first = evaluated(run)
    steps = robots.EVENTS["step"]
    again = evaluated(run)
    assert robots.EVENTS["step"] == steps
    assert again["targets"]["robot"] == first["targets"]["robot"]


def test_more_episodes_are_added_to_those_there_are(run):
    first = evaluated(run)["targets"]["robot"]["shots"]["0"]["episodes"]
    before = robots.EVENTS["reset"]
    more = evaluated(run, episodes=4)["targets"]["robot"]["shots"]["0"]["episodes"]
    assert more[:3] == first and robots.EVENTS["reset"] == before + 3


def test_another_way_to_adapt_is_other_work(run):
    evaluated(run)
    before = robots.EVENTS["reset"]
    evaluate(run, Request(("robot",), finetune="bias"), Progress.silent())
    assert robots.EVENTS["reset"] == before + 2 + 6  # zero-shot is the same


@pytest.mark.parametrize("willing", [0, 2, 3, 4, 8])
def test_it_goes_on_where_it_was_told_to_stop(run, willing, tmp_path):
    whole = open_run(shutil.copytree(run.path, tmp_path / "whole"))
    expected = evaluated(whole, confirm="tests.robots:reluctant")["targets"]["robot"]
    assert len(robots.ASKED) == 11
    robots.forget()
    robots.WILLING["episodes"] = willing
    entry = evaluated(run, confirm="tests.robots:reluctant")["targets"]["robot"]
    assert entry["external"]["stopped"] == "an episode was not confirmed; the same command goes on"
    assert robots.EVENTS["reset"] == willing
    done = [returns for shot in entry["shots"].values() for returns in shot["episodes"]]
    assert len(done) == entry["external"]["episodes"]["evaluation"]
    robots.WILLING["episodes"] = 100
    assert evaluated(run, confirm="tests.robots:reluctant")["targets"]["robot"] == expected
    assert robots.EVENTS["reset"] == 11
    assert comparable(run) == comparable(whole)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_it_goes_on_after_the_robot_breaks(run, share, tmp_path):
    whole = open_run(shutil.copytree(run.path, tmp_path / "whole"))
    expected = evaluated(whole)["targets"]["robot"]
    breaks = int(share * expected["external"]["steps"]["total"]) + 1
    robots.forget()
    robots.FAILS_AT["step"] = breaks
    with pytest.raises(
        RunError, match=r"targets.robot: .* failed in step .*: OSError: a servo does not answer"
    ):
        evaluated(run)
    assert robots.EVENTS["closed"] == robots.EVENTS["made"]
    robots.FAILS_AT["step"] = None
    entry = evaluated(run)["targets"]["robot"]
    assert entry["shots"] == expected["shots"]
    assert comparable(run) == comparable(whole)
    # The steps of the broken episode stay counted, but for the one that failed.
    assert entry["external"]["steps"]["total"] == robots.EVENTS["step"] - 1


def test_ctrl_c_saves_what_there_is(run, monkeypatch):
    real = robots.Robot.step

    def step(self, action):
        if robots.EVENTS["reset"] == 3:
            raise KeyboardInterrupt
        return real(self, action)

    monkeypatch.setattr(robots.Robot, "step", step)
    with pytest.raises(Interrupted):
        evaluated(run)
    entry = run.results()["targets"]["robot"]
    assert (
        entry["external"]["stopped"] == "interrupted; the same command goes on"
        and len(entry["shots"]["0"]["episodes"]) == 2
    )
    monkeypatch.undo()
    assert evaluated(run)["targets"]["robot"]["external"]["stopped"] == ""


def test_a_row_cut_short_by_a_crash_is_dropped(run):
    expected = evaluated(run)["targets"]["robot"]["shots"]
    log = run.path / "targets/robot/steps.csv"
    text = log.read_text()
    log.write_text(text[:-7])
    assert evaluated(run)["targets"]["robot"]["shots"] == expected
    assert all(None not in row and None not in row.values() for row in rows(run))


def test_a_damaged_log_is_refused_with_its_line(run):
    evaluated(run)
    log = run.path / "targets/robot/steps.csv"
    lines = log.read_text().splitlines()
    lines[4] = lines[4].replace(",", ";", 12)
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(RunError, match=r"steps.csv:5: cannot be read"):
        evaluated(run)


@pytest.mark.parametrize("most", [1, 40, 130])
def test_no_step_beyond_the_budget(run, most):
    entry = evaluated(run, max_steps=most)["targets"]["robot"]
    own = entry["external"]
    assert own["steps"]["total"] == robots.EVENTS["step"] <= most
    assert own["stopped"].startswith(f"max_steps is {most}, of which {own['steps']['total']} are taken")
    assert own["steps"]["unfinished"] == 0  # an episode that could take more is not begun
    more = evaluated(run, max_steps=most + 70, episode_steps=10)["targets"]["robot"]["external"]
    assert more["steps"]["total"] == robots.EVENTS["step"] <= most + 70


def test_an_episode_is_cut_where_training_cuts_it(run):
    entry = evaluated(run, env="tests.robots:Plain", episode_steps=7)["targets"]["robot"]
    assert entry["shots"]["0"]["episodes"] == [7.0, 7.0, 7.0]
    assert entry["shots"]["0"]["success_rate"] == 1.0
    whole = evaluated(run, env="tests.robots:Plain", episodes=1)["targets"]["robot"]
    assert whole["shots"]["0"]["episodes"] == [1000.0]


@pytest.mark.parametrize(
    "env, message",
    [
        ("Wide", "the policy observes 4 numbers, but it shows 5 numbers"),
        ("Narrow", r"the policy's action 0 is in \[-3, 3\], but it takes only \[-1, 1\]"),
        (
            "Spaceless",
            "no environment: it makes a Spaceless, which has no observation_space and no action_space",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_done(run, env, message):
    with pytest.raises(SpecError, match=message) as caught:
        evaluated(run, env=f"tests.robots:{env}")
    assert "targets.robot.env: 'tests.robots:" in str(caught.value)
    assert not run.evaluation.exists() and not (run.path / "targets").exists()


def test_the_line_of_what_does_not_fit_is_named(tmp_path):
    text = SPEC.replace("tests.robots:Robot", "tests.robots:Wide").replace("steps: 600", "steps: 100")
    with pytest.raises(SpecError, match=r"spec.yaml:6: targets.robot.env: "):
        evaluated(trained(tmp_path, text))


def test_a_failing_sensor_ends_it(run):
    with pytest.raises(RunError, match="failed in step 1: ValueError: an observation holds nan"):
        evaluated(run, env="tests.robots:Broken")


def test_the_baseline_runs_there_only_if_it_is_asked_for(run):
    result = evaluated(run, baseline=True)
    assert set(result["policies"]["baseline"]) == {"source", "nominal", "robot"}
    assert "robot" not in result["policies"]["random"]
    assert robots.EVENTS["reset"] == 14
    assert "Without randomization in training it would be" in headline(result)


class Terminal(io.StringIO):
    """An input at which a person sits."""

    def isatty(self):
        return True


@pytest.mark.parametrize("answers, begun", [("n\n", 0), ("y\nwhat?\ny\nno\n", 2), ("all\n", 11), ("y\n", 1)])
def test_a_person_is_asked_before_every_episode(run, monkeypatch, capsys, answers, begun):
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    entry = evaluated(run, confirm="ask", max_steps=5000)["targets"]["robot"]
    assert robots.EVENTS["reset"] == begun
    assert entry["external"]["stopped"] == (
        "" if begun == 11 else "an episode was not confirmed; the same command goes on"
    )
    said = capsys.readouterr().err
    assert "robot: evaluation after 0 shots, episode 1 of 3; 0 of 5,000 steps taken" in said


def test_nobody_is_asked_where_nobody_can_answer(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    with pytest.raises(RunError, match=r"targets.robot asks before every episode .* or give --yes"):
        evaluated(run, confirm="ask")
    assert not robots.EVENTS["reset"]
    evaluated(run, confirm="ask", yes=True)
    assert robots.EVENTS["reset"] == 11


def test_two_processes_cannot_be_on_one_robot(run):
    log = run.path / "targets/robot/steps.csv"
    evaluated(run)
    code = (
        "import fcntl, sys\nf = open(sys.argv[1], 'a')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
        "print(flush=True)\ninput()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(RunError, match="another process is on this target"):
        evaluated(run)
    other.communicate("\n")


def test_report_table_and_command_line(run):
    told = CliRunner().invoke(
        app, ["evaluate", str(run.path), "--set", target(max_steps=60)[0], "--shots", "0,1"]
    )
    assert told.exit_code == 0, told.output
    assert "| robot (tests.robots:Robot) |  |  |" in told.output
    assert "steps of at most 60 were taken" in told.output and "Stopped before all was done" in told.output
    page = write_report(run).read_text()
    assert "steps of at most 60 were taken" in page and "tests.robots:Robot" in page
    refused = CliRunner().invoke(app, ["evaluate", str(run.path), "--set", "train.seed=3"])
    assert refused.exit_code == 1 and "only targets may differ" in refused.output


def test_nothing_done_at_all_still_makes_a_report(run):
    robots.WILLING["episodes"] = 0
    result = evaluated(run, confirm="tests.robots:reluctant")
    assert result["targets"]["robot"]["shots"] == {}
    assert "not confirmed" in headline(result) and "| robot" in table(result)
    assert write_report(run).exists()
    with pytest.raises(RunError, match="no target was evaluated"):
        worst_target(result)


def test_it_is_filmed_while_it_is_evaluated(run, tmp_path):
    with pytest.raises(RunError, match="no episode is run for a film"):
        record(run, "robot", tmp_path / "out.mp4", Progress.silent())
    evaluated(run, options={"render_mode": "rgb_array"})
    assert robots.EVENTS["reset"] == 11
    film = record(run, "robot", tmp_path / "out.mp4", Progress.silent())
    assert film == run.path / "videos/robot.mp4" and film.stat().st_size > 1000
    assert robots.EVENTS["reset"] == 11


def test_inspect_tells_of_it_and_makes_none(run):
    robots.forget()
    text = describe(reload(run))
    assert "robot: tests.robots:Robot, an environment of its own (nobody is asked; no limit of steps" in text
    assert not robots.EVENTS


def test_a_term_may_be_called_env():
    text = "env: InvertedPendulum-v5\nrandomize:\n  env: {type: mass, select: pole, scale: [0.8, 1.2]}\n"
    bundle = load_text(text + "targets: {far: {env: 2.0}}\n", "spec.yaml", CATALOG)
    assert bundle.targets["far"].given == {"env": 2.0} and not bundle.spec.external


TOLD = """\
env: InvertedPendulum-v5
randomize:
  pole: {type: mass, select: pole, scale: [0.8, 1.2]}
targets:
  robot: {env: "tests.robots:Robot", confirm: never}
train:
  algorithm: ALGORITHM
  steps: 600
  num_envs: 4
  baseline: false
  agent: AGENT
evaluate: {episodes: 2, shots: [0, 2]}
"""
NETWORKS = "actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100"


def other_run(folder, algorithm, agent):
    robots.forget()
    return trained(folder, TOLD.replace("ALGORITHM", algorithm).replace("AGENT", f"{{{agent}}}"))


def test_a_policy_that_acts_on_the_domain_is_refused(tmp_path):
    run = other_run(tmp_path, "universal", NETWORKS)
    with pytest.raises(RunError, match="universal acts on the true domain, which no robot can tell it"):
        evaluated(run)
    assert not robots.EVENTS


@pytest.mark.parametrize(
    "algorithm, agent",
    [
        ("rma", NETWORKS + ", history: 2, policy_steps: 300"),
        ("asymmetric", NETWORKS),
        ("recurrent_sac", NETWORKS + ", units: 8, trial: 2"),
    ],
)
def test_policies_that_find_out_or_remember_go_on_too(tmp_path, algorithm, agent):
    run = other_run(tmp_path, algorithm, agent)
    whole = open_run(shutil.copytree(run.path, tmp_path / "whole"))
    expected = evaluated(whole, confirm="tests.robots:reluctant")["targets"]["robot"]
    robots.forget()
    robots.WILLING["episodes"] = 3
    evaluated(run, confirm="tests.robots:reluctant")
    robots.WILLING["episodes"] = 100
    assert evaluated(run, confirm="tests.robots:reluctant")["targets"]["robot"] == expected
    assert robots.EVENTS["reset"] == 6 and comparable(run) == comparable(whole)


ARM = """\
env: SO101Reach-v0
randomize:
  gains: {type: kp, select: ".*", scale: [0.5, 1.0]}
targets:
  soft: {gains: 0.2}
train:
  steps: 300
  num_envs: 4
  baseline: false
  agent: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100}
evaluate: {episodes: 2, shots: [0, 1]}
"""


@pytest.fixture
def arm(tmp_path):
    """An SO-101 that another process simulates in real time, and its port."""
    spec = tmp_path / "arm.yaml"
    spec.write_text(ARM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sim2real.simulated_robot", str(spec), "--domain", "soft"]
    peer = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    assert json.loads(peer.stdout.readline()) == {"event": "listening", "port": port}
    yield port
    peer.kill()
    peer.wait()
    peer.stdout.close()


def test_an_arm_in_another_process(arm, tmp_path):
    run = trained(tmp_path, ARM)
    about = {"env": "sim2real.remote_env:RemoteEnv", "options": {"port": arm}, "confirm": "never"}
    overrides = (f"targets.robot={json.dumps(about | {'episode_steps': 20})}",)
    entry = evaluated(run, overrides=overrides)["targets"]["robot"]
    assert entry["external"]["steps"] == {"evaluation": 80, "adaptation": 20, "unfinished": 0, "total": 100}
    assert entry["shots"]["0"]["success_rate"] is not None
    times = [float(row["time"]) for row in rows(run) if row["episode"] == "1"]
    # In its own time, 50 steps a second; the machine may be slower.
    assert np.median(np.diff(times)) > 0.018
    steps = (run.path / "targets/robot/steps.csv").read_text()
    evaluated(run, overrides=overrides)
    assert (run.path / "targets/robot/steps.csv").read_text() == steps
