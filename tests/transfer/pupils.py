"""Synthetic teachers, and students that learn from them in a second."""

import torch

from sim2real.agents import make_agent
from sim2real.transfer.distillation import Distillation, DistillationConfig
from tests.agents.toys import SMALL, Identity

ENV = Identity()
SPACES = ENV.single_observation_space, ENV.single_action_space


def learner(seed=0, mean=None, std=None, **changes):
    """An actor-critic on the toy of points, untrained but with a policy that varies, or a constant one."""
    agent = make_agent("sac", *SPACES, {**SMALL, **changes}, seed)
    agent.actor.normalizer.update(torch.randn(100, 2, generator=torch.Generator().manual_seed(seed)))
    with torch.no_grad():
        agent.actor.head.weight.mul_(0.0 if mean is not None else 4.0)
        if mean is not None:
            # log std = -5 + 3.5 (tanh(raw) + 1)
            raw = torch.atanh((torch.tensor(std).log() + 5.0) / 3.5 - 1.0)
            agent.actor.head.bias.copy_(torch.cat((torch.full((2,), mean), raw.expand(2))))
    return agent


def student(*teachers, seed=0, **changes):
    """A student of agents in memory."""
    named = {f"runs/{number}": teacher for number, teacher in enumerate(teachers)}
    settings = {"teachers": tuple(named), "hidden": (32, 32), "batch_size": 64, "updates_per_step": 0.5}
    config = DistillationConfig.model_validate({**settings, **changes})
    return Distillation(*SPACES, config, seed, None, named.__getitem__)
