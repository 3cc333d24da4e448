"""The policy of a trained agent as a graph of tensors: from what a robot shows to actions in its units."""

from __future__ import annotations

import copy
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from sim2real.agents import Agent
from sim2real.agents.recurrent import Remembering
from sim2real.agents.replay import ObservationLayout
from sim2real.agents.soft_q import SoftQ
from sim2real.runs import RunError
from sim2real.transfer.contextual import Believing
from sim2real.transfer.pets import PETS

FED = ("history", "recall")
"""Parts of the context that a robot's loop can tell a policy."""


@runtime_checkable
class _Decides(Protocol):
    layout: ObservationLayout

    def decide(self, raw: Tensor) -> Tensor:
        """Return the best actions; see `OffPolicy.decide`."""
        ...


class Graph(nn.Module):
    """A policy as an exporter traces it; what the robot cannot tell is the middle of the source, and unused.

    Args:
        agent: Whose policy; it is copied.
        algorithm: Its name, for messages.

    Attributes:
        layout: How observation and context become what the policy sees.
        inputs: Names and widths of what it is fed, in order.

    Raises:
        RunError: If it cannot act on what a robot can tell.
    """

    def __init__(self, agent: Agent, algorithm: str) -> None:
        super().__init__()
        _refuse(agent, algorithm)
        self.agent: Any = _frozen(agent)
        self.layout: ObservationLayout = self.agent.layout
        told = {key: width for key, width in self.layout.context if key in FED}
        self.inputs = {"observation": self.layout.plain, **told}
        self.remembers = isinstance(agent, Remembering)
        if self.remembers:
            self.inputs["hidden"] = self.agent.config.units

    @property
    def outputs(self) -> list[str]:
        """Names of what comes out."""
        return ["action", "next_hidden"] if self.remembers else ["action"]

    def forward(self, *fed: Tensor) -> Any:
        """Return actions `(n, act)`, and the hidden states after them if there are any.

        Args:
            fed: What `inputs` names, `(n, width)` each.
        """
        told = dict(zip(self.inputs, fed, strict=True))
        parts = [told["observation"]]
        for key, width in self.layout.context:
            parts.append(told[key] if key in told else fed[0].new_zeros(fed[0].shape[0], width))
        raw = torch.cat(parts, 1)
        return self.agent.decide_after(raw, told["hidden"]) if self.remembers else self.agent.decide(raw)


def _frozen(agent: Agent) -> Agent:
    """Return a copy whose parameters are constants."""
    made = copy.copy(agent)
    for name, value in vars(agent).items():
        if isinstance(value, nn.Module | Tensor):
            setattr(made, name, copy.deepcopy(value).requires_grad_(False))
    return made


def _refuse(agent: Agent, algorithm: str) -> None:
    layout = getattr(agent, "layout", None)
    if isinstance(agent, SoftQ):
        raise RunError(
            f"{algorithm} cannot be exported: it takes the best of many drawn actions, and where two are "
            "equally good rounding decides, so that no other runtime could be held to it"
        )
    if isinstance(agent, PETS):
        raise RunError(
            f"{algorithm} cannot be exported: it searches for each action in imagined worlds, so that there "
            "is no policy; mbpo learns one with the same kind of model"
        )
    if not isinstance(agent, _Decides | Remembering) or layout is None:
        raise RunError(f"{algorithm} cannot be exported: its policy is no graph of one observation")
    if {"proprioception", "task", "robot"} & set(dict(layout.context)):
        raise RunError(f"{algorithm} cannot be exported: it was trained in a set of environments, and a "
                       "robot is one; train in that one")  # fmt: skip
    config = cast(Any, agent).config
    if isinstance(agent, Believing) and config.context in ("true", "permuted"):
        raise RunError(
            f"{algorithm} cannot be exported: it acts on the true domain, which no robot can tell it; "
            "up_osi and rma estimate it, history_sac and asymmetric do without"
        )
