"""Asymmetric actor-critic (Pinto et al. 2018, arXiv 1710.06542): critics see the domain, the actor does not.

The actor may see a history instead, from which it can find out by itself. Nothing of the domain is needed to
act, so that it runs on a robot as it is.
"""

from __future__ import annotations

from torch import nn

from sim2real.transfer.contextual import Chosen, Contextual, ContextualConfig


class AsymmetricConfig(ContextualConfig):
    """Privileged critics and a blind actor (Pinto et al. 2018), which may see a history instead."""


class Asymmetric(Contextual):
    """A blind policy with critics that see the domain; arguments and use as in `ActorCritic`."""

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        if name != "actor":
            return super()._front(name)
        past = self.history
        return Chosen(self.plain, past), self.plain.stop + past.stop - past.start
