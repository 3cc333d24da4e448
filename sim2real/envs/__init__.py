"""Tasks on worlds, as Gymnasium environments."""

from sim2real.envs.registry import NATIVE, make_task, nominal_model, register

__all__ = ["NATIVE", "make_task", "nominal_model", "register"]
