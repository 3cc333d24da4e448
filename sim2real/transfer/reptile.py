"""Reptile (Nichol et al. 2018, arXiv 1803.02999), with policy gradients for its inner steps."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from sim2real.agents.episodes import Batch
from sim2real.transfer.gradient_meta import GradientMeta, GradientMetaConfig


class ReptileConfig(GradientMetaConfig):
    """Reptile (Nichol et al. 2018): a policy near to what several steps on any task make of it."""

    inner_steps: int = Field(
        3, ge=2, description="Inner steps of each task in training; one alone would be joint training."
    )

    @property
    def rounds(self) -> int:
        """Episodes of a trial: one before each inner step."""
        return self.inner_steps


class Reptile(GradientMeta):
    """A policy that is drawn to those that tasks made of it; arguments and use as in `GradientMeta`."""

    config: ReptileConfig

    def _meta_step(self, batches: list[Batch], acted: Tensor) -> None:
        """Take the last inner step, and give Adam the way back from the tasks' mean for a gradient."""
        adapted = self.inner_step(acted, batches[-1], len(batches) - 1)
        back = self.theta.detach() - adapted.detach().mean(0)
        loss = (self.theta * back).sum()
        self._optimizer.descend(loss)
        self._note(meta_loss=back.norm())
