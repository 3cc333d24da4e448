"""A task of one's own: an MJCF file and a class beside it, named in a spec as `package.module:Class`."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim2real.envs import make_task, nominal_model
from sim2real.envs.make import make_vector, make_worlds
from sim2real.envs.registry import is_native, load_class
from sim2real.envs.vector import TaskVectorEnv
from sim2real.progress import Progress
from sim2real.spec import Program
from sim2real.train import start, train_part

ROOT = Path(__file__).parents[2]
NAME = "assets.mjcf.swing_up:SwingUp"
SPEC = ROOT / "assets/specs/swing_up.yaml"

OWN = '''
from sim2real.envs.tasks import MjcfTask

class Slide(MjcfTask):
    """A block on a rail."""

    file = "slide.xml"
    frame_skip = 2
    observation_size = 2

    def __init__(self, heavy: bool = False) -> None:
        self.heavy = heavy

    def reset_state(self, random):
        return {"qpos": self.uniform_start(random, 0.1), "qvel": random.uniform(0, 0, self.nv)}

    def observe(self, state):
        return state.qpos.repeat(2, 1)

    def reward(self, before, state, action):
        return -abs(state.qpos[:, 0])

NUMBER = 3
'''
SLIDE = """<mujoco><worldbody><body name="block"><joint name="rail" type="slide" axis="1 0 0"/>
<geom size="0.1"/></body></worldbody><actuator><motor joint="rail" ctrlrange="-1 1"/></actuator></mujoco>"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_slide.py").write_text(OWN)
    (tmp_path / "slide.xml").write_text(SLIDE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "own_slide:Slide"
    sys.modules.pop("own_slide", None)


def test_the_example_has_under_40_lines():
    text = (ROOT / "assets/mjcf/swing_up.py").read_text()
    assert len(text.splitlines()) < 40
    assert ast.get_docstring(ast.parse(text))


def test_a_class_beside_its_mjcf_is_a_native_task(own):
    assert is_native(own) and is_native("Hopper-v5")
    assert not is_native("own_slide:NUMBER") and not is_native("CartPole-v1")
    assert nominal_model(own).nu == 1 and make_task(own, {"heavy": True}).heavy
    env = make_worlds(own, {}, Program(make_task(own).compile(), {}), 3)
    assert isinstance(env, TaskVectorEnv) and env.reset(seed=0)[0].shape == (3, 2)


def test_a_subclass_elsewhere_keeps_its_parents_file(own):
    parent = load_class(own)
    child = type("Child", (parent,), {"__module__": __name__})
    assert child().xml == parent().xml == Path("slide.xml").resolve()


@pytest.mark.parametrize(
    "name, options, says",
    [
        ("own_slide:Slid", {}, "environment 'own_slide:Slid' cannot be loaded"),
        ("nowhere:Slide", {}, "No module named 'nowhere'"),
        ("own_slide:Slide", {"heavi": True}, "own_slide:Slide has no option 'heavi'; did you mean 'heavy'?"),
        ("own_slide:NUMBER", {}, "unknown environment 'own_slide:NUMBER'"),
    ],
)
def test_what_is_wrong_is_said(own, name, options, says):
    with pytest.raises(ValueError) as error:
        make_task(name, options)
    assert says in str(error.value)


def test_the_working_directory_is_searched_where_python_does_not(own):
    code = "from sim2real.envs.registry import is_native; print(is_native('own_slide:Slide'))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_the_examples_spec_randomizes_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    env = make_vector(NAME, 8, SPEC)
    env.reset(seed=0)
    pole, slider = (env.program.model.body("pole").id, env.program.model.joint("slider").dofadr[0])
    models = [env.worlds.model(i) for i in range(8)]
    for values in ([m.body_mass[pole] for m in models], [m.dof_damping[slider] for m in models]):
        assert len(np.unique(values)) == 8
    names = list(env.program.names)
    late = env.worlds.values[:, names.index("control_delay")] > 0.015
    before = env.worlds.bind("ctrl").copy()
    assert (before == 0).all() and late.any()
    env.step(np.ones((8, 1)))
    # 30 ms is longer than the control step of 20 ms: what is sent last has not arrived everywhere.
    assert (env.worlds.bind("ctrl")[~late] == 1).all()
    delayed = env.worlds.values[:, names.index("control_delay")] > 0.0226
    assert (env.worlds.bind("ctrl")[delayed] == 0).all()


def test_the_example_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = SPEC.read_text().replace(
        "{steps: 200_000}",
        "{steps: 600, num_envs: 4, agent: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, "
        "learning_starts: 100, updates_per_step: 1.0}}",
    )
    path = tmp_path / "small.yaml"
    path.write_text(text)
    run = start(path, (), tmp_path / "run")
    train_part(run, "policy", Progress.silent())
    rows = run.policy.rows()
    assert rows and all(np.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))
