"""Choosing an OpenGL library, and doing without one."""

import os
import subprocess
import sys

import pytest

import sim2real

MISSING = {"egl": "libNothing.so.1", "osmesa": "libNothing.so.2"}
THERE = "libc.so.6"


@pytest.mark.parametrize(
    ("libraries", "wanted", "chosen"),
    [
        ({"egl": THERE, "osmesa": THERE}, "", "egl"),
        ({"egl": "libNothing.so.1", "osmesa": THERE}, "", "osmesa"),
        ({"egl": THERE, "osmesa": THERE}, "osmesa", "osmesa"),
        ({"egl": THERE, "osmesa": "libNothing.so.1"}, "osmesa", "egl"),
        (MISSING, "", "disable"),
        (MISSING, "egl", "disable"),
        (MISSING, "glfw", "glfw"),
    ],
)
def test_the_best_library_there_is_chosen(monkeypatch, libraries, wanted, chosen):
    monkeypatch.setattr(sim2real, "_OPENGL", libraries)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("MUJOCO_GL", wanted)
    sim2real._choose_opengl()
    assert os.environ["MUJOCO_GL"] == chosen


def test_a_display_is_left_to_mujoco(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    sim2real._choose_opengl()
    assert "MUJOCO_GL" not in os.environ


def test_without_opengl_worlds_run_and_a_picture_says_what_to_install():
    code = (
        "import sim2real\nfrom sim2real.envs.make import make_vector\n"
        "from sim2real.worlds import RenderingUnavailableError\n"
        "env = make_vector('Hopper-v5', 2, render_mode='rgb_array')\nenv.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
        "try:\n    env.render()\nexcept RenderingUnavailableError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert "apt-get install libegl1" in out.stdout
    assert "libosmesa6" in out.stdout


@pytest.mark.parametrize("first", ["mujoco", "gymnasium_robotics"])
def test_pictures_do_not_depend_on_who_imports_mujoco_first(first):
    code = (
        f"import {first}\nimport sim2real\nfrom sim2real.envs.make import make_vector\n"
        "env = make_vector('Hopper-v5', 1, render_mode='rgb_array')\nenv.reset(seed=0)\n"
        "print(env.render()[0].std() > 0)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
