"""Model-agnostic meta-learning (Finn et al. 2017, arXiv 1703.03400) of a policy, by its gradient."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import Tensor, minimum

from sim2real.agents.episodes import Batch
from sim2real.transfer.gradient_meta import GradientMeta, GradientMetaConfig


class MAMLConfig(GradientMetaConfig):
    """MAML (Finn et al. 2017): a policy that one policy-gradient step on a new task makes good there."""

    inner_steps: int = Field(
        1, ge=0, description="Inner steps of each task in training; 0 trains one policy for all tasks alike."
    )
    first_order: bool = Field(
        False, description="Whether the inner step's own derivative is left out (FOMAML)."
    )
    meta_epochs: PositiveInt = Field(5, description="Adam steps on each trial.")
    clip: float = Field(
        0.2, gt=0, lt=1, description="How far likelihood ratios count, from 1 (Schulman et al. 2017)."
    )

    @property
    def rounds(self) -> int:
        """Episodes of a trial: one before each inner step, and one that says what they were good for."""
        return self.inner_steps + 1


class MAML(GradientMeta):
    """A policy such that what inner steps make of it does well; arguments and use as in `GradientMeta`.

    The outer step is that of ProMP (Rothfuss et al. 2019), in place of the paper's trust region: a few
    steps of Adam up the clipped objective of PPO, each time from the parameters that the recomputed inner
    steps lead to.
    """

    config: MAMLConfig

    def _meta_step(self, batches: list[Batch], acted: Tensor) -> None:
        """Do `meta_epochs` steps down `loss`."""
        for _ in range(self.config.meta_epochs):
            loss = self.loss(batches, len(acted))
            self._optimizer.descend(loss)
            self._note(meta_loss=loss)

    def loss(self, batches: list[Batch], tasks: int) -> Tensor:
        """Return minus the clipped objective of the adapted policies, as a function of `theta`.

        Args:
            batches: What each round showed: all but the last are for inner steps.
            tasks: k.
        """
        theta = self.theta.expand(tasks, -1)
        for number, batch in enumerate(batches[:-1]):
            theta = self.inner_step(theta, batch, number, graph=not self.config.first_order)
        ratio, advantage = self.ratio(theta, batches[-1]), batches[-1].advantage
        near = ratio.clamp(1.0 - self.config.clip, 1.0 + self.config.clip)
        return -batches[-1].mean(minimum(ratio * advantage, near * advantage)).mean()
