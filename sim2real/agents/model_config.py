"""The settings of models of the dynamics, which several methods share."""

from __future__ import annotations

from pydantic import BaseModel, Field, PositiveInt

from sim2real.agents.sac_config import Widths


class ModelConfig(BaseModel):
    """What everything with a model of the dynamics has."""

    members: PositiveInt = Field(5, description="Networks in the ensemble.")
    model_hidden: Widths = Field((64, 64), description="Widths of each network's hidden layers.")
    model_lr: float = Field(1e-3, gt=0, description="Adam step size of the ensemble.")
