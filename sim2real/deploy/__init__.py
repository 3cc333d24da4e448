"""A policy on a robot: a fixed-rate loop that always ends in a safe stop; needs NumPy and onnxruntime."""

from sim2real.deploy.contract import Contract, ContractError
from sim2real.deploy.loop import Loop, Safety, run
from sim2real.deploy.policy import Policy
from sim2real.deploy.report import Report

__all__ = ["Contract", "ContractError", "Loop", "Policy", "Report", "Safety", "run"]
