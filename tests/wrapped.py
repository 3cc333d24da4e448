"""Helpers of the tests of wrapped environments, and environments as their users write them."""

import copy

import gymnasium as gym
import mujoco
import numpy as np
import plant
import pytest
from gymnasium.envs.mujoco import MujocoEnv

from sim2real.envs.hosts import Host, begin
from sim2real.envs.wrapper import RandomizedEnv
from sim2real.spec import Program

LATE = {"type": "action_latency", "set": [0, 0.04]}
OLD = {"type": "observation_latency", "set": [0, 0.04]}
MASS = {"type": "mass", "select": "torso", "scale": [0.5, 2]}


def made(name, **options):
    if name not in gym.registry:
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
    return gym.make(name, **options)


def nominal(env):
    begin(env)
    return copy.copy(Host(env).model)


def wrap(env, domains=None, seed=0, world=0, **terms):
    """Wrap an environment, by its id or made already."""
    env = made(env) if isinstance(env, str) else env
    read = {key: plant.read_term(body) for key, body in terms.items()}
    return RandomizedEnv(env, Program(nominal(env), read), domains, seed, world)


def numbers(observation):
    return observation["observation"] if isinstance(observation, dict) else observation


def dm_control(name):
    shimmy = pytest.importorskip("shimmy")
    pytest.importorskip("dm_control")
    gym.register_envs(shimmy)
    return gym.make(f"dm_control/{name}-v0")


def roll(env, seed, steps=15):
    seen = [env.reset(seed=seed)[0]]
    for step in range(steps):
        seen.append(env.step(np.sin(step + np.arange(env.action_space.shape[0])).astype(np.float32))[0])
    return np.array(seen)


def record(env):
    """Let a wrapped environment write down the controls of every physics step."""
    controls, host = [], env.host

    def take_steps(nstep):
        controls.extend([host.data.ctrl.copy()] * nstep)
        Host.take_steps(host, nstep)

    host.take_steps = take_steps
    return controls


ARM = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="arm"><joint name="hinge" axis="0 1 0" damping="0.1"/>
      <geom name="rod" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02"/>
      <body name="fore" pos="0.3 0 0"><joint name="elbow" axis="0 1 0" damping="0.1"/>
        <geom name="stick" type="capsule" fromto="0 0 0 0.2 0 0" size="0.02"/></body></body>
    <body name="hand" mocap="true"><geom size="0.01" contype="0" conaffinity="0"/></body>
  </worldbody>
  <actuator>
    <motor name="m1" joint="hinge" ctrlrange="-1 1"/>
    <motor name="m2" joint="elbow" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


class Arm(gym.Env):
    """An environment as a user writes one: plain MuJoCo, float32 observations in a dictionary."""

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(ARM)
        self.data = mujoco.MjData(self.model)
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        box = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.observation_space = gym.spaces.Dict({"where": box, "speed": gym.spaces.Tuple([box])})

    def _get_obs(self):
        return {"where": self.data.qpos.astype("f4"), "speed": (self.data.qvel.astype("f4"),)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.np_random.uniform(-0.1, 0.1, 2)
        return self._get_obs(), {}

    def step(self, action):
        self.data.ctrl[:] = action
        self.simulate()
        return self._get_obs(), 0.0, False, False, {}

    def simulate(self):
        mujoco.mj_step(self.model, self.data, 4)


class OwnClock(Arm):
    """Says nowhere how many physics steps it takes."""


class OwnLoop(Arm):
    """Closes a loop of its own between its physics steps."""

    def simulate(self):
        for _ in range(4):
            mujoco.mj_step(self.model, self.data)
            self.data.ctrl[:] -= self.data.qvel


class Placed(Arm):
    """Its actions are positions."""

    def step(self, action):
        self.data.qpos[:] = action
        return super().step(np.zeros(2))


class Halves(Arm):
    """Steps by halves."""

    def simulate(self):
        mujoco.mj_step1(self.model, self.data)
        mujoco.mj_step2(self.model, self.data)


class Renewed(Arm):
    """Makes a new model at every reset."""

    def reset(self, *, seed=None, options=None):
        self.model = mujoco.MjModel.from_xml_string(ARM)
        self.data = mujoco.MjData(self.model)
        return super().reset(seed=seed, options=options)


class Repeated(Arm):
    """Calls its own step twice."""

    def step(self, action):
        super().step(action)
        return super().step(action)


class OwnMjcf(MujocoEnv):
    """A user's own MJCF in Gymnasium's base class."""

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"], "render_fps": 50}  # noqa: RUF012

    def __init__(self, path):
        space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
        super().__init__(str(path), 4, space, default_camera_config={})

    def _get_obs(self):
        return np.concatenate([self.data.qpos, self.data.qvel])

    def reset_model(self):
        self.set_state(self.init_qpos + self.np_random.uniform(-0.1, 0.1, 2), self.init_qvel)
        return self._get_obs()

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self._get_obs(), 0.0, False, False, {}
