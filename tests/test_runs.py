"""Run folders: never overwritten, never half written, and clear about what cannot be used."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from sim2real.runs import Run, RunError, create_run, open_run, to_arrays, write_atomically, write_json


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run("spec", "env: Hopper-v5\n", 3, tmp_path / "run")


def test_a_run_folder_says_how_it_was_made(run):
    meta = open_run(run.path).meta()
    assert meta["seed"] == 3
    assert {"mujoco", "torch", "python"} <= set(meta["versions"])
    assert run.spec.read_text() == "env: Hopper-v5\n"


def test_a_run_is_never_overwritten(run):
    with pytest.raises(RunError, match="exists already"):
        create_run("spec", "env: Pusher-v5\n", 0, run.path)
    assert run.spec.read_text() == "env: Hopper-v5\n"


def test_default_folders_are_grouped_by_spec_and_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = create_run("walk", "env: Hopper-v5\n", 7)
    assert made.path.parent.as_posix() == "runs/walk"
    assert made.path.name.endswith("-s7")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"not a run folder \(it has no meta.json\)"):
        open_run(tmp_path)


def test_checkpoints_keep_tensors_arrays_and_plain_values(run):
    state = {"a": torch.arange(3), "b": np.eye(2), "c": [1, 2.5, "x", None, True], "d": {"e": np.arange(4)}}
    run.policy.save(state)
    loaded = to_arrays(run.policy.load())
    np.testing.assert_array_equal(loaded["b"], np.eye(2))
    np.testing.assert_array_equal(loaded["d"]["e"], np.arange(4))
    assert loaded["c"] == [1, 2.5, "x", None, True]


def test_a_truncated_checkpoint_is_named(run):
    run.policy.save({"a": torch.arange(1000)})
    content = run.policy.checkpoint.read_bytes()
    run.policy.checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"latest.pt: damaged, or not a checkpoint"):
        run.policy.load()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01."])
def test_a_file_that_is_no_checkpoint_is_named(run, content):
    run.policy.checkpoint.parent.mkdir()
    run.policy.checkpoint.write_bytes(content)
    with pytest.raises(RunError, match=r"latest.pt: (damaged|not a checkpoint)"):
        run.policy.load()


def test_a_foreign_checkpoint_is_refused(run):
    run.policy.checkpoint.parent.mkdir()
    torch.save({"model": torch.zeros(1)}, run.policy.checkpoint)
    with pytest.raises(RunError, match="not a checkpoint of this toolkit"):
        run.policy.load()


def test_a_checkpoint_of_another_spec_is_refused(run):
    run.policy.save({"a": 1})
    run.spec.write_text("env: Pusher-v5\n")
    with pytest.raises(RunError, match="belongs to another spec"):
        run.policy.load()


def test_a_missing_checkpoint_is_named(run):
    with pytest.raises(RunError, match="there is no checkpoint yet"):
        run.baseline.load()


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def broken(number):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_killing_a_writer_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from sim2real.runs import write_atomically\n"
        "i = 0\nwhile True:\n"
        "    write_atomically(Path(sys.argv[1]), bytes([i % 256]) * 3_000_000)\n    i += 1\n"
    )
    for pause in (0.0, 0.013, 0.029):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1
        path.unlink()


def test_curves_drop_a_row_cut_short_and_rows_past_the_checkpoint(run):
    for step in (100, 200, 300):
        run.policy.append({"step": step, "return": step / 10})
    with run.policy.metrics.open("a") as file:
        file.write("400")
    assert [row["step"] for row in run.policy.rows()] == ["100", "200", "300"]
    run.policy.forget_after(200)
    assert run.policy.metrics.read_text() == "step,return\n100,10\n200,20\n"


def test_two_processes_do_not_train_in_one_place(run):
    with run.policy.locked(), pytest.raises(RunError, match="another process"), run.policy.locked():
        pass
    with run.policy.locked():
        pass


def test_numbers_that_are_not_finite_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": [1.0, float("nan")], "b": float("inf")})
    assert (tmp_path / "x.json").read_text() == '{\n "a": [\n  1.0,\n  null\n ],\n "b": null\n}\n'
