"""Universal policies (Yu et al. 2017, arXiv 1702.02453, section III.A): the policy sees the domain it is in.

No robot can tell it that, so on a target it is an oracle: what knowing the dynamics would be worth.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sim2real.transfer.contextual import Believing, Context, ContextualConfig


class UniversalConfig(ContextualConfig):
    """Universal policy (Yu et al. 2017): actor and critics see the domain; on a target an oracle."""

    context: Context = Field(
        "true", description="What acting is told: the truth, another world's domain, or the mean one."
    )


class Universal(Believing):
    """A policy that is told the domain; arguments and use as in `ActorCritic`."""

    def _hidden(self, obs: Any) -> Any:
        """Return observations as they are: an oracle is told of targets too."""
        return obs
