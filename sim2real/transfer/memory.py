"""What policies with a memory share of their settings, and what they want of their worlds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from sim2real.envs.wants import Wants


class MemoryConfig(BaseModel):
    """What every policy with a memory has: keys of a spec's `train.agent` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: PositiveInt = Field(64, description="Gated recurrent units of each network.")
    trial: PositiveInt = Field(
        1, description="Episodes in one domain, throughout which a policy remembers in training."
    )
    returns: Literal["trial", "episode"] = Field(
        "trial", description="What is maximized: a trial's return, over all its episodes, or each episode's."
    )
    memory: Literal["kept", "zeroed"] = Field(
        "kept", description="Whether the past is remembered; zeroed is a control without any."
    )
    deployed: bool = Field(
        False, description="Whether it lives on a target, where it learns nothing; adaptation sets it."
    )

    @property
    def wants(self) -> Wants:
        """Worlds that show what was done and what it brought, and keep a domain for a trial."""
        return Wants(recall=True, episodes=self.trial)
