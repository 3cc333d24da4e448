"""What contextual policies share: networks that see a chosen part of the context, and who may know what.

Their worlds show, beside the observation, the domain and the last pairs of observation and action (see
`sim2real.envs.context`). What a method makes of them is its own file. On a target whose domain nobody
knows, a learner that adapts is *deployed*: its critics see the middle of the source in place of the domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sim2real.agents.base import Transitions
from sim2real.agents.sac_config import FastSACConfig
from sim2real.agents.tqc import TQC
from sim2real.envs.wants import Wants

Knowledge = Callable[[Tensor], Tensor]
"""Maps normalized features (n, features) to what is known of the domain (n, k)."""


class ContextualConfig(FastSACConfig):
    """What every contextual policy has: keys of a spec's `train.agent` section."""

    history: int = Field(0, ge=0, le=64, description="Pairs of observation and action that are remembered.")
    deployed: bool = Field(
        False, description="Whether the domain is unknown; adaptation to a target sets it where that is so."
    )

    @property
    def wants(self) -> Wants:
        """Worlds that show their domain and a history."""
        return Wants(history=self.history)


class Chosen(nn.Module):
    """Passes on some of the features.

    Args:
        columns: Which, as slices, in order.
    """

    def __init__(self, *columns: slice) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, features: Tensor) -> Tensor:
        """Return the chosen columns `(n, chosen)` of `(n, features)`."""
        return torch.cat([features[:, own] for own in self.columns], 1)


class Informed(nn.Module):
    """Passes on the observation, and what is known of the domain: what an encoder makes of it, or else.

    Args:
        plain: Columns of the observation and the goals.
        domain: Columns of the domain.
        encoder: Maps domains `(n, d)` to what is passed on `(n, k)`; the domain itself by default.
    """

    def __init__(self, plain: slice, domain: slice, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.plain, self.domain = plain, domain
        self.encoder = encoder or nn.Identity()
        self.otherwise: Knowledge | None = None

    def truth(self, features: Tensor) -> Tensor:
        """Return what is passed on of the true domains `(n, k)`."""
        return self.encoder(features[:, self.domain])

    def forward(self, features: Tensor) -> Tensor:
        """Return `(n, plain + k)` of features `(n, features)`."""
        known = (self.otherwise or self.truth)(features)
        return torch.cat((features[:, self.plain], known), 1)

    @contextmanager
    def knowing(self, otherwise: Knowledge | None) -> Iterator[None]:
        """Pass on, inside the block, what another function says of the domain; None for the truth."""
        before, self.otherwise = self.otherwise, otherwise
        try:
            yield
        finally:
            self.otherwise = before


class Contextual(TQC):
    """An actor-critic in worlds that show their context; arguments and use as in `ActorCritic`.

    Raises:
        ValueError: If its worlds do not show what it is to see.
    """

    config: Any

    def _make_networks(self) -> dict[str, nn.Module]:
        shown = dict(self.layout.context)
        if "domain" not in shown or (self.config.history and "history" not in shown):
            raise ValueError(
                f"{type(self).__name__} needs worlds that show their context: "
                f"make_worlds(..., wants=Wants(history={self.config.history}))"
            )
        return super()._make_networks()

    @property
    def plain(self) -> slice:
        """Columns of all that the worlds show but history and domain."""
        return slice(0, min(self.history.start, self.domain.start))

    @property
    def domain(self) -> slice:
        """Columns of the domain."""
        return self.layout.columns("domain")

    @property
    def history(self) -> slice:
        """Columns of the history."""
        return self.layout.columns("history")

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        """Let the critics see the domain but no history, which says nothing that the domain does not."""
        return Chosen(self.plain, self.domain), self.plain.stop + _width(self.domain)

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step; of one on a target, nothing of the domain."""
        if self.config.deployed:
            obs, after = (self._hidden(one) for one in (transitions.obs, transitions.next_obs))
            transitions = replace(transitions, obs=obs, next_obs=after)
        super().observe(transitions)

    def _hidden(self, obs: Any) -> Any:
        """Return observations with the middle of the source for their domain."""
        return {**obs, "domain": 0.0 * obs["domain"]}


class Believing(Contextual):
    """A contextual policy that acts on what it knows of the domain: the truth, or something else."""

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        if name != "actor":
            return super()._front(name)
        return Informed(self.plain, self.domain), self.plain.stop + _width(self.domain)

    def _known(self, deterministic: bool) -> Knowledge | None:
        """Return what acting knows of the domain; None for the truth."""
        del deterministic
        return {"true": None, "permuted": self._permuted, "hidden": self._none}[self.config.context]

    def _choose(self, features: Tensor, deterministic: bool) -> Tensor:
        with self.actor.front.knowing(self._known(deterministic)):
            return super()._choose(features, deterministic)

    def _permuted(self, features: Tensor) -> Tensor:
        """Return what is known of the next world's domain: as much, and wrong."""
        return self.actor.front.truth(features.roll(1, 0))

    def _none(self, features: Tensor) -> Tensor:
        """Return what would be known of the mean domain."""
        return self.actor.front.truth(torch.zeros_like(features))


Context = Literal["true", "permuted", "hidden"]


def _width(columns: slice) -> int:
    return columns.stop - columns.start
