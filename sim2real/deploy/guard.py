"""What a policy asks for, made safe: within limits, and no faster than allowed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.deploy.contract import Contract, ContractError

Floats = NDArray[np.float64]


class Guard:
    """Keeps actions within the contract's limits, the ranges of joints, limits of your own, and a rate.

    A robot that is found outside its limits is brought back at that rate.

    Args:
        contract: The policy's.
        rate: Fastest change of an action [its unit/s], for each or for all, beside the contract's; None for
            no other.
        low: Least actions, for each or for all, beside the contract's; None for those alone.
        high: Largest actions.

    Attributes:
        low: Least actions (a,).
        high: Largest actions (a,).
        changed: How often the limits, and how often the rate, changed what was asked for.

    Raises:
        ContractError: If limits leave nothing, or are not one for each action.
    """

    def __init__(
        self,
        contract: Contract,
        rate: float | Sequence[float] | None = None,
        low: float | Sequence[float] | None = None,
        high: float | Sequence[float] | None = None,
    ) -> None:
        actions, ranges = contract.action, {joint.name: joint for joint in contract.joints}
        self.low, self.high = (np.array([getattr(one, end) for one in actions]) for end in ("low", "high"))
        for i, one in enumerate(actions):
            joint = ranges.get(one.joint or "")
            if joint is not None and joint.low is not None and joint.high is not None:
                ends = sorted((one.gear * joint.low, one.gear * joint.high))
                self.low[i], self.high[i] = max(self.low[i], ends[0]), min(self.high[i], ends[1])
        self.low = np.maximum(self.low, _each("low", low, -np.inf, len(actions)))
        self.high = np.minimum(self.high, _each("high", high, np.inf, len(actions)))
        if wrong := [one.name for one, a, b in zip(actions, self.low, self.high, strict=True) if not a < b]:
            raise ContractError(f"limits leave nothing of {', '.join(wrong)}")
        trained = np.array([np.inf if one.rate is None else one.rate for one in actions])
        self._own = _each("rate", rate, np.inf, len(actions)) * contract.period
        self._step = np.minimum(self._own, trained * contract.period)
        if not (self._step > 0).all():
            raise ContractError(f"a rate limit must be above 0, given {rate}")
        self.changed = {"limits": 0, "rate": 0}

    def __call__(self, asked: Floats, before: Floats | None) -> tuple[Floats, Floats]:
        """Return what is done (a,) of what is asked for (a,), and what the policy is to remember of it (a,).

        A policy was trained where the contract's rate is kept beyond its sight, and remembers what it asked
        for as if there were none; what limits of your own change is news to it.

        Args:
            asked: By the policy.
            before: What was done last, or where the robot was found; None if nobody knows.
        """
        within = np.clip(asked, self.low, self.high)
        self.changed["limits"] += bool((within != asked).any())
        if before is None:
            return within, within
        done = np.clip(within, before - self._step, before + self._step)
        self.changed["rate"] += bool((done != within).any())
        return done, np.clip(within, before - self._own, before + self._own)


def _each(name: str, value: float | Sequence[float] | None, otherwise: float, count: int) -> Floats:
    given = np.asarray(otherwise if value is None else value, float)
    if given.shape not in ((), (1,), (count,)):
        raise ContractError(f"{name} takes one number, or {count} of them, given {given.size}")
    return np.broadcast_to(given, (count,))
