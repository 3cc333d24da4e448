"""A small arm whose every cause is known, and what it would log."""

from dataclasses import replace

import mujoco
import numpy as np

from sim2real.identify.objective import Objective
from sim2real.identify.segments import segments
from sim2real.identify.space import space_of
from sim2real.logs import Log
from sim2real.replay import Player
from sim2real.spec import Program
from tests.plant import read_term

XML = """
<mujoco><option timestep="0.005" integrator="implicitfast"><flag contact="disable"/></option>
  <default><geom type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.5"/>
    <joint axis="0 1 0" damping="0.3" armature="0.02" frictionloss="0.1"/><position kp="20"/></default>
  <worldbody><body name="upper"><joint name="shoulder"/><geom/>
    <body name="lower" pos="0.3 0 0"><joint name="elbow"/><geom/></body></body></worldbody>
  <actuator><position name="shoulder" joint="shoulder"/><position name="elbow" joint="elbow"/></actuator>
</mujoco>"""
MODEL = mujoco.MjModel.from_xml_string(XML)
FLOATING = MODEL.__copy__()
FLOATING.opt.gravity[:] = 0
TERMS = {
    "kp": {"type": "kp", "select": "shoulder", "scale": {"log_uniform": [0.3, 3.0]}},
    "damping": {"type": "damping", "select": "shoulder", "scale": [0.3, 3.0]},
    "friction": {"type": "friction_loss", "select": "elbow", "scale": [0.2, 4.0]},
    "armature": {"type": "armature", "select": "elbow", "scale": [0.3, 3.0]},
    "delay": {"type": "action_latency", "set": [0, 0.06]},
}
TRUTH = {"kp": 0.7, "damping": 2.0, "friction": 1.8, "armature": 2.2, "delay": 0.03}


def program(model=MODEL, **terms):
    return Program(model, {key: read_term(body) for key, body in (terms or TERMS).items()})


def asked(seconds=4.0, name="motion", still=()):
    time = np.arange(0, seconds, 0.02)
    phase = np.outer(time, [0.7, 1.1]) * 2 * np.pi
    wave = 0.5 * np.sin(phase) + 0.3 * np.sign(np.sin(2.3 * phase))
    wave[:, [("shoulder", "elbow").index(joint) for joint in still]] = 0.0
    return Log(name, name, time, ("shoulder", "elbow"), np.zeros((len(time), 2)), wave)


def measured(made, noise=0.0, log=None, seed=0, **truth):
    """What the arm would log in a domain, with noise of so much of each joint's standard deviation."""
    v = made.nominal.copy()
    for name, value in (truth or TRUTH).items():
        v[made.columns(name)] = value
    log = log or asked()
    position = Player(made, v, threads=1).play(log)[0]
    rng = np.random.default_rng(seed)
    shaken = position + noise * position.std(axis=0) * rng.normal(size=position.shape)
    return replace(log, position=shaken)


def objective(made, *logs, seconds=4.0, count=8):
    space = space_of(made, made.nominal)
    return Objective(space, lambda v: Player(made, v, threads=1, smooth=True), segments(logs, seconds, count))


def true_scores(post, truth):
    """The scores of the true values, by bisection."""
    low, high = np.full((2, len(post.mean)), 6.0) * [[-1], [1]]
    wanted = np.array([truth[name] for name in post.space.names])
    for _ in range(50):
        middle = (low + high) / 2
        above = post.space.values(middle[None])[0][post.space.columns] >= wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
