"""Learners: they see a vector environment and nothing of what simulates it."""

from __future__ import annotations

from sim2real.agents.base import Agent, Observation, RandomAgent, RewardFn, Transitions
from sim2real.agents.collect import Collector, Episode
from sim2real.agents.compose import Composed
from sim2real.agents.crossq import CrossQ
from sim2real.agents.loop import Loop
from sim2real.agents.registry import AGENTS, make_agent
from sim2real.agents.sac import SAC
from sim2real.agents.sac_config import CrossQConfig, FastSACConfig, SACConfig, SoftQConfig
from sim2real.agents.soft_q import SoftQ
from sim2real.agents.tqc import TQC

__all__ = [
    "AGENTS",
    "SAC",
    "TQC",
    "Agent",
    "Collector",
    "Composed",
    "CrossQ",
    "CrossQConfig",
    "Episode",
    "FastSACConfig",
    "Loop",
    "Observation",
    "RandomAgent",
    "RewardFn",
    "SACConfig",
    "SoftQ",
    "SoftQConfig",
    "Transitions",
    "make_agent",
]
