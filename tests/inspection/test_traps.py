"""Every trap planted in tests/traps is found by `sim2real inspect`, and said in one line."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sim2real.cli import app

TRAPS = yaml.safe_load((Path(__file__).parent.parent / "traps" / "traps.yaml").read_text())


def inspected(path):
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_there_are_many():
    assert len(TRAPS) >= 25


@pytest.mark.parametrize("trap", TRAPS, ids=[trap["what"].replace(" ", "-") for trap in TRAPS])
def test_the_trap_is_found(trap, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    path = tmp_path / "trap.yaml"
    path.write_text(f"env: tests.traps.worlds:Scene\n{trap['spec']}\n")
    text = inspected(path)
    assert re.search(trap["found"], text), text
    # It is the reason, and not a mistake in planting it.
    assert not re.search("unknown (key|randomizer|environment)", text), text


def test_a_sound_spec_has_no_complaints(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    path = tmp_path / "sound.yaml"
    path.write_text(
        "env: tests.traps.worlds:Scene\nrandomize:\n"
        "  m: {type: mass, select: puck|tile, scale: [0.5, 2]}\n"
        "  f: {type: friction, select: 'puck|floor', scale: [0.5, 1.5], share: true}\n"
        "  p: {type: pair_friction, select: disc_floor, scale: [0.5, 1.5]}\n"
        "  l: {type: action_latency, set: [0 ms, 20 ms]}\n"
    )
    text = inspected(path)
    for word in ("NO EFFECT", "UNSTABLE", "warnings"):
        assert word not in text, text
    assert "all stable" in text
