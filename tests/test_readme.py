"""What the README shows works as it stands there."""

import re
import runpy
from pathlib import Path

import gymnasium as gym
import numpy as np

from randomizers import nominal_field
from sim2real.envs import nominal_model
from sim2real.spec import load_text
from sim2real.train import CATALOG

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


def run(code: str, folder: Path, monkeypatch) -> dict:
    monkeypatch.chdir(ROOT)
    path = folder / "shown.py"
    path.write_text(code)
    return runpy.run_path(str(path))


def test_the_first_command_stands_within_a_hundred_words():
    assert len(TEXT[: TEXT.index("tools/demo")].split()) <= 100


def test_the_spec_shown_loads():
    (spec,) = blocks("yaml")
    bundle = load_text(spec, "README.yaml", CATALOG)
    assert list(bundle.targets) == ["heavy", "ice", "laggy"]


def test_the_environments_shown_are_made(tmp_path, monkeypatch):
    shown = run(blocks("python")[0], tmp_path, monkeypatch)
    assert shown["env"].num_envs == 64
    assert isinstance(shown["one"], gym.Env)


def test_the_randomizer_shown_is_nominal_at_nominal(tmp_path, monkeypatch):
    cls = run(blocks("python")[1], tmp_path, monkeypatch)["GravityTilt"]
    term, model = cls(type="gravity_tilt"), nominal_model("Hopper-v5")
    nominal = [p.nominal for p in term.parameters(model).values()]
    fields = {"opt.gravity": np.repeat(nominal_field(model, "opt.gravity")[None], 2, axis=0)}
    term.apply(np.array([nominal, [0.1, 0.2]]), model, fields)
    np.testing.assert_array_equal(fields["opt.gravity"][0], model.opt.gravity)
    # Turning a vector keeps its length, but for rounding.
    np.testing.assert_allclose(np.linalg.norm(fields["opt.gravity"][1]), 9.81, rtol=1e-14)


def test_every_folder_and_file_it_names_is_there():
    architecture = TEXT.partition("## Architecture")[2].split("```")[1]
    for name in re.findall(r"^\s*([\w/]+/|\w+\.py)(?=\s)", architecture, re.M):
        places = [ROOT / name, ROOT / "sim2real" / name]
        assert any(place.exists() for place in places), name


def test_pictures_it_shows_are_there():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / path).stat().st_size < 1_000_000
