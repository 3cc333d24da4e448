"""Native tasks: Gymnasium's, each equal to its original; some of our own; and the base of yours."""

from sim2real.envs.task import Task
from sim2real.envs.tasks.adroit import AdroitHandDoor
from sim2real.envs.tasks.ant import Ant
from sim2real.envs.tasks.arms import PlanarArm
from sim2real.envs.tasks.corridors import PointCorridors
from sim2real.envs.tasks.fetch import FetchReach
from sim2real.envs.tasks.fetch_objects import FetchPickAndPlace, FetchPush, FetchSlide
from sim2real.envs.tasks.humanoid import Humanoid
from sim2real.envs.tasks.line import PointLine
from sim2real.envs.tasks.locomotion import HalfCheetah, Hopper, Swimmer, Walker2d
from sim2real.envs.tasks.mjcf import MjcfTask
from sim2real.envs.tasks.navigation import PointNavigation
from sim2real.envs.tasks.pendulum import InvertedDoublePendulum, InvertedPendulum
from sim2real.envs.tasks.points import PointGoals
from sim2real.envs.tasks.pusher import Pusher
from sim2real.envs.tasks.reacher import Reacher
from sim2real.envs.tasks.so101 import SO101Reach
from sim2real.envs.tasks.so101_push import SO101Push
from sim2real.envs.tasks.so101_track import SO101Track
from sim2real.envs.tasks.wind import PointWind

TASKS: dict[str, type[Task]] = {
    "Hopper-v5": Hopper,
    "Walker2d-v5": Walker2d,
    "HalfCheetah-v5": HalfCheetah,
    "Swimmer-v5": Swimmer,
    "Ant-v5": Ant,
    "Humanoid-v5": Humanoid,
    "InvertedPendulum-v5": InvertedPendulum,
    "InvertedDoublePendulum-v5": InvertedDoublePendulum,
    "Reacher-v5": Reacher,
    "Pusher-v5": Pusher,
    "FetchReach-v4": FetchReach,
    "FetchPush-v4": FetchPush,
    "FetchSlide-v4": FetchSlide,
    "FetchPickAndPlace-v4": FetchPickAndPlace,
    "AdroitHandDoor-v1": AdroitHandDoor,
    "PointGoals-v0": PointGoals,
    "PointCorridors-v0": PointCorridors,
    "PointLine-v0": PointLine,
    "PlanarArm-v0": PlanarArm,
    "PointNavigation-v0": PointNavigation,
    "PointWind-v0": PointWind,
    "SO101Reach-v0": SO101Reach,
    "SO101Track-v0": SO101Track,
    "SO101Push-v0": SO101Push,
}

__all__ = [
    "TASKS",
    "AdroitHandDoor",
    "Ant",
    "FetchPickAndPlace",
    "FetchPush",
    "FetchReach",
    "FetchSlide",
    "HalfCheetah",
    "Hopper",
    "Humanoid",
    "InvertedDoublePendulum",
    "InvertedPendulum",
    "MjcfTask",
    "PlanarArm",
    "PointCorridors",
    "PointGoals",
    "PointLine",
    "PointNavigation",
    "PointWind",
    "Pusher",
    "Reacher",
    "SO101Push",
    "SO101Reach",
    "SO101Track",
    "Swimmer",
    "Walker2d",
]
