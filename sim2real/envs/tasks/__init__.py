"""Native tasks, each equal to the Gymnasium environment it is named after."""

from sim2real.envs.task import Task
from sim2real.envs.tasks.fetch import FetchPush, FetchReach
from sim2real.envs.tasks.locomotion import HalfCheetah, Hopper
from sim2real.envs.tasks.pendulum import InvertedDoublePendulum
from sim2real.envs.tasks.pusher import Pusher

TASKS: dict[str, type[Task]] = {
    "Hopper-v5": Hopper,
    "HalfCheetah-v5": HalfCheetah,
    "InvertedDoublePendulum-v5": InvertedDoublePendulum,
    "Pusher-v5": Pusher,
    "FetchReach-v4": FetchReach,
    "FetchPush-v4": FetchPush,
}

__all__ = ["TASKS", "FetchPush", "FetchReach", "HalfCheetah", "Hopper", "InvertedDoublePendulum", "Pusher"]
