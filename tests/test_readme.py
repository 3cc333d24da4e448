"""What the README shows works as it stands there."""

import re
import runpy
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from sim2real.envs import nominal_model
from sim2real.session import CATALOG
from sim2real.spec import Program, load_text
from sim2real.worlds import Worlds

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
    spec, more, envs, curriculum, robot = blocks("yaml")
    bundle = load_text(spec, "README.yaml", CATALOG)
    assert list(bundle.targets) == ["heavy", "ice", "laggy"]
    program = load_text(f"env: Hopper-v5\n{more}", "README.yaml", CATALOG).program
    assert program.drifts and program.d == 3
    members = load_text(envs, "README.yaml", CATALOG).members
    assert [part.held_out for part in members.values()] == [False, True]
    taught = load_text(spec.partition("train:")[0] + curriculum, "README.yaml", CATALOG)
    robot = robot.replace("my_arm:RealArm", "gymnasium:Env")
    arm = load_text(f"env: Hopper-v5\n{robot}", "README.yaml", CATALOG).spec.external["arm"]
    assert (arm.max_steps, arm.episodes, arm.confirm) == (8000, 5, "ask")
    assert taught.spec.train.curriculum == {"type": "doraemon", "success": 1600}


@pytest.mark.filterwarnings("ignore:.*out of date", "ignore:.*Deprecat")
def test_the_environments_shown_are_made(tmp_path, monkeypatch):
    shown = run(blocks("python")[0], tmp_path, monkeypatch)
    assert shown["env"].num_envs == 64
    assert isinstance(shown["one"], gym.Env)
    assert shown["hand"].reset(seed=0)[1]["domain"].shape == (shown["hand"].program.d,)
    assert shown["seen"].reset(seed=0)[0].shape == (64, 64, 64, 3)


def test_the_randomizer_shown_is_nominal_at_nominal(tmp_path, monkeypatch):
    cls = run(blocks("python")[1], tmp_path, monkeypatch)["SlipResistance"]
    program = Program(nominal_model("Hopper-v5"), {"slip": cls(type="slip")})
    worlds = Worlds(program, 2)
    worlds.set_domains(np.arange(2), np.array([program.nominal, [4.0]]))
    assert [worlds.model(i).opt.impratio for i in range(2)] == [program.model.opt.impratio, 4.0]


def test_every_folder_and_file_it_names_is_there():
    architecture = TEXT.partition("## Architecture")[2].split("```")[1]
    for name in re.findall(r"^\s*([\w/]+/|\w+\.py)(?=\s)", architecture, re.M):
        places = [ROOT / name, ROOT / "sim2real" / name]
        assert any(place.exists() for place in places), name


def test_pictures_it_shows_are_there():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / path).stat().st_size < 1_000_000
