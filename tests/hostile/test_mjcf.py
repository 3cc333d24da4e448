"""Broken MJCF files: each gives one message with the file's name, and none ends the interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.mjcf import BROKEN, FINE, GYMNASIUM, SLOW

ROOT = Path(__file__).parents[2]


def outcomes(folder, *names):
    """Run cases in one process; by (name, through): exit code, output, what went wrong."""
    command = [sys.executable, str(ROOT / "tests" / "hostile" / "mjcf.py"), str(folder), *names]
    # A new interpreter: whatever kills it is a failed case, not the end of the tests.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    rows = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("case ")]
    assert rows, done.stderr
    return {(name, through): rest for name, through, *rest in rows}, done


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return outcomes(tmp_path_factory.mktemp("mjcf"))


def check(outcome, name, words):
    code, output, odd = outcome
    assert not odd
    assert code == 2, output
    assert "Traceback" not in output
    assert len(output.encode()) < 4096
    line = output.rstrip("\n")
    assert line.startswith(("s.yaml:1: env: ", "s.yaml:2: env_options: "))
    assert "\n" not in line
    assert f"{name}.xml" in line
    assert words in line


def skip_where_all_is_readable(name):
    if name == "unreadable" and os.geteuid() == 0:
        pytest.skip("root may read everything")


@pytest.mark.parametrize("name", BROKEN)
def test_a_task_of_ones_own(name, ran):
    skip_where_all_is_readable(name)
    check(ran[0][name, "task"], name, BROKEN[name][1])


@pytest.mark.parametrize("name", GYMNASIUM)
def test_an_environment_of_gymnasium(name, ran):
    skip_where_all_is_readable(name)
    check(ran[0][name, "gymnasium"], name, "")


@pytest.mark.parametrize("name", FINE)
def test_odd_but_fine(name, ran):
    code, output, odd = ran[0][name, "task"]
    assert (code, odd) == (0, ""), output


def test_the_process_survives(ran):
    assert ran[1].returncode == 0, ran[1].stderr
    assert "Traceback" not in ran[1].stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_what_would_take_all_time_or_memory(name, tmp_path):
    check(outcomes(tmp_path, "good", name)[0][name, "task"], name, SLOW[name][1])
