"""The learners by name, as the spec file's `train.algorithm` names them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from gymnasium import spaces

from sim2real.agents.base import Agent, RewardFn
from sim2real.agents.crossq import CrossQ
from sim2real.agents.off_policy import OffPolicy
from sim2real.agents.sac import SAC
from sim2real.agents.sac_config import (
    CrossQConfig,
    FastSACConfig,
    OffPolicyConfig,
    SACConfig,
    SoftQConfig,
)
from sim2real.agents.soft_q import SoftQ
from sim2real.agents.tqc import TQC


class Entry(NamedTuple):
    """A learner and the model that validates its hyper-parameters."""

    agent: type[OffPolicy]
    config: type[OffPolicyConfig]


AGENTS: dict[str, Entry] = {
    "fast_sac": Entry(TQC, FastSACConfig),
    "sac": Entry(SAC, SACConfig),
    "crossq": Entry(CrossQ, CrossQConfig),
    "soft_q": Entry(SoftQ, SoftQConfig),
}


def make_agent(
    name: str,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    config: Mapping[str, Any],
    seed: int,
    compute_reward: RewardFn | None = None,
) -> Agent:
    """Make a learner by name from plain hyper-parameters.

    Args:
        name: A key of `AGENTS`.
        observation_space: Space of one world's observations.
        action_space: Space of one world's actions.
        config: Hyper-parameters that differ from the defaults.
        seed: Seed of the learner's weights and draws.
        compute_reward: The environment's goal reward, for hindsight.

    Raises:
        ValueError: If no learner has that name, or a hyper-parameter is unknown or out of range.
    """
    if name not in AGENTS:
        close = difflib.get_close_matches(name, AGENTS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No learner is called {name!r}; there are {', '.join(AGENTS)}.{hint}")
    entry = AGENTS[name]
    settings = entry.config.model_validate(dict(config))
    return entry.agent(observation_space, action_space, settings, seed, compute_reward)
