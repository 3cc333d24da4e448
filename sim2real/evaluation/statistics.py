"""Summaries of episodes that are honest about their uncertainty."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim2real.rollout import Episodes

Floats = NDArray[np.float64]
RESAMPLES = 2000
"""Bootstrap resamples of an interval."""


def iqm(values: Floats, axis: int = -1) -> Any:
    """Return the interquartile mean: the mean of the middle half (Agarwal et al. 2021)."""
    return stats.trim_mean(values, 0.25, axis=axis)


def iqm_interval(values: Floats, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the percentile-bootstrap interval of the interquartile mean of values (n,).

    The episodes are resampled, so it speaks of this trained policy, not of other training seeds.
    """
    middle = float(iqm(values))
    if np.ptp(values) == 0:
        return middle, middle
    result = stats.bootstrap(
        (values,), iqm, n_resamples=RESAMPLES, confidence_level=level, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    # Rounding in the resampled means may put an end a hair past the estimate itself.
    low, high = result.confidence_interval
    return min(float(low), middle), max(float(high), middle)


def worst_decile(values: Floats) -> float:
    """Return the mean of the worst tenth of values (n,), of at least one (CVaR at 10 %)."""
    return float(np.sort(values)[: max(1, len(values) // 10)].mean())


def summarize(episodes: Episodes, target_steps_used: int) -> dict[str, Any]:
    """Return the summary that `evaluation.json` holds for one target and shot."""
    success = None if episodes.success is None else float(episodes.success.mean())
    found = _summary(episodes.returns, success, int(episodes.failed.sum()), target_steps_used)
    measures = {name: float(values.mean()) for name, values in episodes.measures.items()}
    return found | ({"measures": measures} if measures else {})


def pooled(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the summary of the episodes of several, which have equally many, as if they were of one.

    Success counts where it is defined.
    """
    returns = np.concatenate([one["episodes"] for one in summaries])
    known = [one["success_rate"] for one in summaries if one["success_rate"] is not None]
    failed, used = (sum(one[key] for one in summaries) for key in ("failed_episodes", "target_steps_used"))
    return _summary(returns, float(np.mean(known)) if known else None, failed, used)


def _summary(values: Floats, success: float | None, failed: int, used: int) -> dict[str, Any]:
    return {
        "episodes": values.tolist(),
        "mean": float(values.mean()),
        "iqm": float(iqm(values)),
        "ci95": list(iqm_interval(values)),
        "worst_decile": worst_decile(values),
        "success_rate": success,
        "failed_episodes": failed,
        "target_steps_used": used,
    }
