"""How large a policy is, and how wide a student of a wanted size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def parameters(agent: Any) -> int:
    """Count the weights and biases of an agent's policy, without its critics and observation statistics."""
    return sum(parameter.numel() for parameter in agent.actor.parameters())


def policy_parameters(features: int, actions: int, hidden: Sequence[int]) -> int:
    """Count the weights and biases of a Gaussian policy with heads for mean and log deviation.

    Args:
        features: Size of an observation.
        actions: Size of an action.
        hidden: Widths of the hidden layers.
    """
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise((features, *hidden, 2 * actions)))


def widths_for(
    share: float, features: int, actions: int, teacher: Sequence[int] = (256, 256)
) -> tuple[int, int]:
    """Return two equal hidden widths whose policy is nearest in size to a share of a teacher's.

    Rusu et al. (2015, section 4) distil to 25 %, 7 % and 4 %.

    Args:
        share: Of the teacher's parameters, above 0.
        features: Size of an observation.
        actions: Size of an action.
        teacher: Widths of the teacher's hidden layers.

    Raises:
        ValueError: If the share is not above 0.
    """
    if not share > 0:
        raise ValueError(f"A student needs a share of its teacher's parameters above 0, given {share}.")
    wanted = share * policy_parameters(features, actions, teacher)
    above = 1
    while policy_parameters(features, actions, (above, above)) < wanted:
        above += 1
    near = (above, max(1, above - 1))
    width = min(near, key=lambda w: abs(policy_parameters(features, actions, (w, w)) - wanted))
    return width, width
