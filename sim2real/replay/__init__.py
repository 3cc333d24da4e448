"""Real motions in simulation: logged commands through a spec's domains, beside what was measured."""

from sim2real.replay.compare import Motion, Replay
from sim2real.replay.play import Player
from sim2real.replay.robot import Robot, robot_of
from sim2real.replay.run import (
    IDENTIFIED,
    Request,
    chosen,
    constants,
    player_in,
    prepared,
    reading,
    replay,
    span,
)

__all__ = [
    "IDENTIFIED",
    "Motion",
    "Player",
    "Replay",
    "Request",
    "Robot",
    "chosen",
    "constants",
    "player_in",
    "prepared",
    "reading",
    "replay",
    "robot_of",
    "span",
]
