"""Logs of a simulated SO-101, whose every cause is known."""

from dataclasses import replace

import numpy as np

from sim2real.logs import Log
from sim2real.replay import Player
from tests.plant import program_on

NAME = "SO101Reach-v0"
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def program(**terms):
    return program_on(NAME, **terms)


def domain(made, **given):
    v = made.nominal.copy()
    for name, value in given.items():
        v[made.columns(name)] = value
    return v


def asked(n=60, period=0.02, name="motion"):
    """Commands that begin at rest in the pose of zeros; nothing is measured but that."""
    time = period * np.arange(n)
    wave = 0.5 * np.sin(2 * np.pi * np.outer(time, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])) * [1, 1, 1, 1, 1, 0.2]
    return Log(name, name, time, JOINTS, np.zeros((n, 6)), wave)


def logged(made, v, log=None):
    """What a robot in the domain `v` would log."""
    log = log or asked()
    return replace(log, position=Player(made, v, threads=1).play(log)[0])
