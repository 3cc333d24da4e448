"""gymnasium-robotics and dm_control on this MuJoCo: broken without our patch, whole with it."""

import subprocess
import sys
import warnings

import gymnasium as gym
import gymnasium_robotics
import mujoco
import numpy as np
import pytest
from gymnasium_robotics.utils import mujoco_utils

from sim2real.envs.compat import patch_gymnasium_robotics
from sim2real.envs.foreign import find

gym.register_envs(gymnasium_robotics)

TRY = """
import warnings; warnings.simplefilter("ignore")
{imports}
import gymnasium as gym, gymnasium_robotics
gym.register_envs(gymnasium_robotics)
try:
    gym.make("FetchReach-v4").reset()
    print("works")
except AssertionError:
    print("AssertionError")
"""
SUITE = """
import warnings; warnings.simplefilter("ignore")
{imports}
try:
    from dm_control import suite
    suite.load("cartpole", "swingup").reset()
    print("works")
except Exception as error:
    print(type(error).__name__)
"""
CURED = [
    "FetchReach-v4",
    "FetchPush-v4",
    "FetchSlide-v4",
    "FetchPickAndPlace-v4",
    "HandReach-v3",
    "HandManipulateBlock-v1",
    "HandManipulateEgg_ContinuousTouchSensors-v1",
    "HandManipulatePen_BooleanTouchSensors-v1",
    "AdroitHandDoor-v1",
    "AdroitHandHammer-v1",
    "AdroitHandPen-v1",
    "AdroitHandRelocate-v1",
    "FrankaKitchen-v1",
    "PointMaze_UMaze-v3",
    "AntMaze_UMaze-v5",
]


def outcome(text, imports, folder):
    command = [sys.executable, "-c", text.format(imports=imports)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return (done.stdout.strip().splitlines() or [done.stderr])[-1]


@pytest.mark.parametrize(
    ("imports", "expected"),
    [("", "AssertionError"), ("import sim2real", "works"), ("import gymnasium_robotics, sim2real", "works")],
)
def test_gymnasium_robotics_needs_the_cure_and_gets_it_whoever_is_imported_first(imports, expected, tmp_path):
    assert outcome(TRY, imports, tmp_path) == expected


@pytest.mark.parametrize("imports", ["import sim2real", "import dm_control, sim2real"])
def test_dm_control_needs_the_cure_and_gets_it(imports, tmp_path):
    pytest.importorskip("dm_control")
    assert outcome(SUITE, "", tmp_path) != "works"
    assert outcome(SUITE, imports, tmp_path) == "works"


def test_a_spec_may_name_dm_control_if_it_is_there():
    pytest.importorskip("dm_control")
    env = find("dm_control/cartpole-swingup-v0")()
    assert env.reset()[0]["position"].shape == (3,)


def test_without_dm_control_its_names_say_what_to_install(monkeypatch):
    for name in ("dm_control", "shimmy"):
        monkeypatch.setitem(sys.modules, name, None)
    for key in [key for key in gym.registry if key.startswith("dm_control/")]:
        monkeypatch.delitem(gym.registry, key)
    with pytest.raises(ValueError, match=r"pip install 'sim2real\[dm-control\]'"):
        find("dm_control/cartpole-swingup-v0")


@pytest.mark.parametrize("name", CURED)
def test_every_family_works(name):
    patch_gymnasium_robotics()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's and gymnasium-robotics' own
        env = gym.make(name)
        env.reset(seed=0)
        env.action_space.seed(0)
        observation, *_ = env.step(env.action_space.sample())
        env.close()
    if isinstance(observation, dict):
        observation = observation["observation"]
    assert np.isfinite(observation).all()


def test_patching_twice_is_harmless():
    patch_gymnasium_robotics()
    once = mujoco_utils.mujoco, mujoco_utils.reset_mocap_welds
    patch_gymnasium_robotics()
    assert (mujoco_utils.mujoco, mujoco_utils.reset_mocap_welds) == once
    assert mujoco_utils.mujoco.MjModel is mujoco.MjModel
    assert np.int32(3) == mujoco_utils.mujoco.mjtJoint.mjJNT_HINGE


def test_setconst_leaves_the_welds_of_a_patched_fetch_alone():
    patch_gymnasium_robotics()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = gym.make("FetchSlide-v4").unwrapped.model
    before = model.eq_data.copy()
    mujoco.mj_setConst(model, mujoco.MjData(model))
    np.testing.assert_array_equal(model.eq_data, before)
