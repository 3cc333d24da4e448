"""gymnasium-robotics on this MuJoCo: broken without our patch, whole with it."""

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

gym.register_envs(gymnasium_robotics)

WITHOUT = """
import warnings; warnings.simplefilter("ignore")
import sim2real, gymnasium as gym, gymnasium_robotics
gym.register_envs(gymnasium_robotics)
try:
    gym.make("FetchReach-v4")
except AssertionError:
    print("AssertionError")
"""

CURED = [
    "FetchReach-v4",
    "FetchPush-v4",
    "FetchSlide-v4",
    "FetchPickAndPlace-v4",
    "HandReach-v3",
    "HandManipulateBlock-v1",
    "FrankaKitchen-v1",
]


def test_the_patch_is_needed(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip().splitlines()[-1:] == ["AssertionError"], done.stderr


@pytest.mark.parametrize("name", CURED)
def test_the_patch_cures(name):
    patch_gymnasium_robotics()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's and gymnasium-robotics' own
        env = gym.make(name)
        env.reset(seed=0)
        env.action_space.seed(0)
        observation, *_ = env.step(env.action_space.sample())
        env.close()
    assert np.isfinite(observation["observation"]).all()


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
