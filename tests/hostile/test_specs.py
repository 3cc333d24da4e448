"""Whatever stands in a spec file, the answer is one short message: no traceback, no wait, no crash."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from hostile.big import BIG, SLOW
from hostile.small import BAD, CART, ENV, FINE, OVERRIDES, USUAL_PATTERNS, select
from sim2real.cli import app
from sim2real.session import CATALOG
from sim2real.spec import SpecError, load, load_text

GOOD = f"{ENV}randomize:\n{CART}"


@contextmanager
def seconds(limit):
    """Fail, where what is inside takes more processor time than that, or a minute more by the clock."""

    def stop(*_):
        raise TimeoutError(f"took more than {limit} s")

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, limit), signal.SIGALRM: (signal.ITIMER_REAL, 60 + limit)}
    before = {one: signal.signal(one, stop) for one in timers}
    for timer, time in timers.values():
        signal.setitimer(timer, time)
    try:
        yield
    finally:
        for one, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(one, before[one])


def write(folder, content):
    path = folder / "s.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(text, path, words, start=None):
    """A message: short, plain, and about this file, with a line."""
    assert words in text
    assert len(text.encode()) < 4096
    for line in text.splitlines():
        assert line.startswith((f"{path}:", start or f"{path}:"))
        assert line.isprintable()
        for jargon in ("Traceback", "pydantic", "Input should"):
            assert jargon not in line
    place = text.removeprefix(f"{path}:").partition(":")[0]
    assert start or place.isdigit()


def refused(path, words, overrides=(), limit=5, start=None):
    """Load a file and give it to the command line: both must refuse it, in the same words."""
    with seconds(limit), pytest.raises(SpecError) as caught:
        load(path, CATALOG, overrides)
    check(str(caught.value), path, words, start)
    return str(caught.value)


def told(path, overrides=(), limit=5):
    """Return what `sim2real inspect` says about a spec that it refuses."""
    with seconds(limit):
        options = [word for assignment in overrides for word in ("--set", assignment)]
        result = CliRunner().invoke(app, ["inspect", str(path), *options])
    assert isinstance(result.exception, SystemExit), result.output
    assert result.exit_code == 2
    return result.output.rstrip("\n")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_spec_has_one_message(name, tmp_path):
    content, words = BAD[name]
    path = write(tmp_path, content)
    assert refused(path, words) == told(path)


@pytest.mark.parametrize("name", BIG)
def test_a_big_spec_has_one_short_message(name, tmp_path):
    make, words = BIG[name]
    refused(write(tmp_path, make()), words)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_huge_spec_has_one_short_message(name, tmp_path):
    make, words = SLOW[name]
    path = write(tmp_path, make())
    check(told(path, limit=15), path, words)


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_bad_override_has_one_message(name, tmp_path):
    assignment, words = OVERRIDES[name]
    path = write(tmp_path, GOOD)
    assert refused(path, words, (assignment,), start="--set: ") == told(path, (assignment,))


def test_many_overrides(tmp_path):
    path = write(tmp_path, GOOD)
    refused(path, "more mistakes", tuple(f"a{i}=1" for i in range(2000)), start="--set: ")


@pytest.mark.parametrize("name", FINE)
def test_odd_but_fine(name):
    with seconds(5):
        load_text(FINE[name], "s.yaml", CATALOG)


def test_what_odd_numbers_mean():
    bundle = load_text(FINE["leading_zero_is_decimal"], "s.yaml", CATALOG)
    assert bundle.program.parameters[0].distribution.support == (1, 2)
    bundle = load_text(FINE["digits_of_any_script"], "s.yaml", CATALOG)
    assert bundle.program.parameters[0].distribution.support == (0.9, 1)


@pytest.mark.parametrize("pattern", USUAL_PATTERNS)
def test_a_usual_pattern_is_not_refused(pattern):
    load_text(select(pattern), "s.yaml", CATALOG)


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "missing", "too long a name", "below a file"])
def test_what_is_no_file(kind, tmp_path):
    path = {"endless": "/dev/zero", "folder": tmp_path, "too long a name": tmp_path / ("x" * 300)}.get(kind)
    if path is None:
        path = write(tmp_path, GOOD) / "x" if kind == "below a file" else tmp_path / "s.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    for command in ("inspect", "train"):
        with seconds(5):
            result = CliRunner().invoke(app, [command, str(path)])
        assert isinstance(result.exception, SystemExit), result.output
        assert result.exit_code == 2
        check(result.output.rstrip("\n"), path, "cannot be read")


def test_the_name_of_the_file_is_shown_plainly(tmp_path):
    path = tmp_path / "\x1b[31m\u202e\n名.yaml"
    path.write_text("env: 3\n")
    assert told(path) == f"{tmp_path}/\\x1b[31m\\u202e\\n名.yaml:1: env: must be a name, given 3"


@pytest.mark.parametrize("words", [["inspect", "pipe"], ["train", "s.yaml", "--set", "env=[[["]])
def test_in_a_process_of_its_own(words, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path, GOOD)
    command = [sys.executable, "-m", "sim2real.cli", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
