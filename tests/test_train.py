"""Training from a spec: exact continuation, clean interruption, any environment, failures counted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sim2real.progress import Progress
from sim2real.runs import RunError, open_run
from sim2real.session import Session, trained_agent
from sim2real.spec import SpecError
from sim2real.train import is_finished, start, train, train_part
from tests.continuing import assert_same, curves, interrupted, parameters

SMALL = """\
env: {env}
randomize:
{terms}
train:
  steps: {steps}
  num_envs: 4
  checkpoint_every: 200
  baseline: {baseline}
  agent: {{actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100}}
"""
TERMS = """\
  torso: {type: mass, select: torso, scale: [0.6, 1.4]}
  delay: {type: action_latency, set: [0 ms, 20 ms]}
  noise: {type: observation_noise, set: [0, 0.01]}
"""


def spec(folder: Path, env="Hopper-v5", terms=TERMS, steps=600, baseline="false") -> Path:
    path = folder / "small.yaml"
    path.write_text(SMALL.format(env=env, terms=terms or "  {}", steps=steps, baseline=baseline))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run = start(spec(folder), (), folder / "run")
    train(run, Progress.silent())
    return run


def test_the_same_seed_gives_the_same_policy_bit_for_bit(whole, tmp_path):
    run = start(spec(tmp_path), (), tmp_path / "run")
    train(run, Progress.silent())
    assert_same(parameters(run), parameters(whole))
    assert curves(run) == curves(whole)


def test_another_seed_gives_another_policy(whole, tmp_path):
    run = start(spec(tmp_path), ("train.seed=1",), tmp_path / "run")
    train(run, Progress.silent())
    assert not torch.equal(parameters(run)[-1], parameters(whole)[-1])


@pytest.mark.parametrize("stop", [48, 248, 404])
def test_resuming_from_a_saved_step_is_as_if_never_interrupted(whole, tmp_path, stop):
    run = start(spec(tmp_path), (), tmp_path / "run")
    interrupted(run, stop)
    train(run, Progress.silent())
    assert_same(parameters(run), parameters(whole))
    assert curves(run) == curves(whole)


def test_resuming_after_a_kill_repeats_what_was_lost(whole, tmp_path):
    run = start(spec(tmp_path), (), tmp_path / "run")
    session = Session(run, "policy")
    while session.loop.steps < 380:  # past the checkpoint at 200, without saving
        session.step(Progress.silent())
    session.report()
    session.env.close()
    train(run, Progress.silent())
    assert_same(parameters(run), parameters(whole))
    assert curves(run) == curves(whole)


def test_a_finished_run_has_nothing_left_to_do(whole):
    before = whole.policy.checkpoint.read_bytes()
    train_part(whole, "policy", Progress.silent())
    assert trained_agent(whole)[1] == 600
    assert is_finished(whole.path)
    assert not is_finished(whole.path.parent)
    assert whole.policy.checkpoint.read_bytes() == before


def test_goal_tasks_resume_exactly_too(tmp_path):
    terms = "  delay: {type: observation_latency, set: [0 ms, 50 ms]}"
    runs = []
    for name in ("whole", "parts"):
        folder = tmp_path / name
        folder.mkdir()
        run = start(spec(folder, "FetchReach-v4", terms, 400), (), folder / "run")
        if name == "parts":
            interrupted(run, 252)
        train(run, Progress.silent())
        runs.append(parameters(run))
    assert_same(*runs)


def launch(*words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "sim2real.cli", "train", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_sigint_saves_and_sigkill_loses_only_the_last_interval(tmp_path):
    out = tmp_path / "run"
    path = spec(tmp_path, steps=1_000_000, baseline="true")
    process = launch(str(path), "--out", str(out))
    wait_for(out / "baseline" / "checkpoints" / "latest.pt", process)
    wait_for(out / "checkpoints" / "latest.pt", process)
    process.send_signal(signal.SIGINT)
    printed, shown = process.communicate(timeout=60)
    assert process.returncode == 130, (printed, shown)
    assert f"sim2real train --resume {out}" in printed
    assert "Traceback" not in printed + shown
    run = open_run(out)
    at = run.policy.load()["step"]
    assert at > 0 and run.baseline.load()["step"] > 0

    process = launch("--resume", str(out))
    while run.policy.load()["step"] <= at:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert run.policy.load()["step"] > at
    assert run.policy.load()["step"] % 200 < 4
    end = time.monotonic() + 60
    while time.monotonic() < end:  # the orphaned baseline notices, saves and leaves
        try:
            with run.baseline.locked():
                break
        except RunError:
            time.sleep(0.05)
    else:
        pytest.fail("the baseline went on after its parent was killed")


def test_the_baseline_trains_on_nominal_worlds_only(tmp_path):
    run = start(spec(tmp_path, baseline="true"), (), tmp_path / "run")
    session = Session(run, "baseline")
    session.step(Progress.silent())
    worlds = session.env.worlds
    assert (worlds.values == worlds.program.nominal).all()
    session.env.close()


def test_policy_and_baseline_train_side_by_side(whole, tmp_path):
    run = start(spec(tmp_path, baseline="true"), (), tmp_path / "run")
    train(run, Progress.silent())
    assert trained_agent(run, "baseline")[1] == 600
    assert run.baseline.rows()
    assert len(os.listdir(run.path / "tensorboard")) == 1


def test_unstable_worlds_are_counted_and_their_domains_kept(tmp_path):
    # MuJoCo takes an acceleration beyond 1e10 for a simulation gone wrong.
    terms = "  pull: {type: gravity, set: {choice: [9.81, 1e13]}}"
    run = start(spec(tmp_path, terms=terms), (), tmp_path / "run")
    interrupted(run, 300)
    train(run, Progress.silent())  # the failures from before are remembered
    failures = json.loads((run.path / "failures.json").read_text())
    assert {entry["values"]["pull"] for entry in failures} == {1e13}
    assert sum(float(row["failed"]) for row in run.policy.rows()) == len(failures)
    assert all(torch.isfinite(value).all() for value in parameters(run))


def test_it_trains_on_any_mujoco_environment_of_gymnasium(tmp_path):
    terms = "  legs: {type: mass, select: '.*leg.*', scale: [0.5, 2]}"
    run = start(spec(tmp_path, "Walker2d-v5", terms, 200), (), tmp_path / "run")
    train(run, Progress.silent())
    assert trained_agent(run)[1] == 200


@pytest.mark.parametrize(
    "env", ["gymnasium.envs.classic_control:PendulumEnv", "tests.foreign:CountingVectorEnv"]
)
def test_it_trains_on_a_class_by_its_name(tmp_path, env):
    run = start(spec(tmp_path, env, "", 200), (), tmp_path / "run")
    train(run, Progress.silent())
    assert trained_agent(run)[1] == 200


def test_it_trains_on_a_foreign_environment_with_latency(tmp_path):
    terms = "  delay: {type: action_latency, set: [0 ms, 20 ms]}"
    path = spec(tmp_path, "gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv", terms, 200)
    run = start(path, (), tmp_path / "run")
    train(run, Progress.silent())
    assert trained_agent(run)[1] == 200


def test_what_a_foreign_environment_cannot_take_is_refused_at_load(tmp_path):
    terms = "  delay: {type: action_latency, set: [0 ms, 20 ms]}"
    path = spec(tmp_path, "gymnasium.envs.classic_control:PendulumEnv", terms, 200)
    with pytest.raises(SpecError, match="has no MuJoCo model"):
        start(path, (), tmp_path / "run")
