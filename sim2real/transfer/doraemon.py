"""DORAEMON: the distribution of greatest entropy on which the policy still succeeds often enough."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt

from sim2real.transfer.curriculum import BELOW_ONE, Curriculum, CurriculumSettings, Ended, Floats

_TINY = 2.0**-64
"""Below any quantile that is drawn, scipy's inverse gives NaN."""
_SLACK = 1e-6
"""How far a constraint may be missed, relative to its bound."""


class DORAEMONSettings(CurriculumSettings):
    """Maximum entropy under a success rate (Tiboni et al. 2024): Beta marginals widen from nominal."""

    independent: ClassVar[bool] = True

    type: Literal["doraemon"] = "doraemon"
    success: float | None = Field(
        None, description="return from which on an episode succeeds; by default the task's own notion"
    )
    alpha: float = Field(0.5, gt=0, lt=1, description="success rate to keep")
    max_kl: float = Field(0.05, gt=0, description="how far one update may move [nat]")
    episodes_per_update: PositiveInt = Field(50, description="episodes between two updates")
    concentration: float = Field(
        200.0,
        gt=2,
        description="a + b of the Beta(a, b) that each parameter starts with, its mode at nominal",
    )

    @property
    def without_success(self) -> str:
        """What to write if the task has no notion of success."""
        return "success: RETURN, from which on one does" if self.success is None else ""


class DORAEMON(Curriculum):
    """Independent Beta(a, b) marginals, updated after every `episodes_per_update` episodes.

    An update solves equation 4 of Tiboni et al., arXiv 2311.01885: maximise the entropy H(φ) subject to
    G(φ) >= alpha and KL(φ ‖ φ₀) <= max_kl, where φ₀ is the present distribution and
    G(φ) = 1/K Σ p_φ(q_k) / p_k(q_k) σ_k the success rate, importance-weighted from the distribution p_k that
    episode k was really drawn from (with many worlds some began before the last update). Where φ₀ itself
    succeeds too rarely, G is first maximised in the same ball; entropy is added only if that reaches alpha.

    `phi` is all a and then all b (2 d,), each at least 1, so that every marginal has one mode.
    """

    settings: DORAEMONSettings

    def __init__(self, settings: DORAEMONSettings, nominal: Floats) -> None:
        super().__init__(settings, nominal)
        spare = settings.concentration - 2.0
        self.phi = np.concatenate([1.0 + spare * nominal, 1.0 + spare * (1.0 - nominal)])
        self._batch: list[tuple[Floats, Floats, bool]] = []
        self._rate = self._moved = float("nan")

    def quantiles(self, phi: Floats, u: Floats, coin: Floats) -> Floats:
        """Return quantiles (k, d) by the inverse CDFs of the marginals."""
        from scipy.special import betaincinv

        a, b = np.split(phi, 2, axis=1)
        return np.minimum(betaincinv(a, b, np.where(u < _TINY, 0.0, u)), BELOW_ONE)

    def observe(self, ended: Ended) -> None:
        """Collect episodes; update when there are enough."""
        wanted = self.settings.success
        success = ended.success == 1.0 if wanted is None else ended.reward >= wanted
        for row in zip(ended.q, ended.phi, success, strict=True):
            self._batch.append((row[0].copy(), row[1].copy(), bool(row[2])))
            if len(self._batch) == self.settings.episodes_per_update:
                q, drawn_from, won = (np.array(column) for column in zip(*self._batch, strict=True))
                self._batch.clear()
                self._update(Evidence(q, drawn_from, won))

    def _update(self, evidence: "Evidence") -> None:
        before = self.phi
        self.phi = improve(before, evidence, self.settings.alpha, self.settings.max_kl)
        self._rate = float(evidence.success.mean())
        self._moved = divergence(np.log(self.phi), before)[0]

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the 5th and the 95th percentile of each marginal (d,) and (d,)."""
        none = np.zeros((1, 2))
        ends = [np.full((1, len(self.nominal)), p) for p in (0.05, 0.95)]
        low, high = (self.quantiles(self.phi[None], end, none)[0] for end in ends)
        return low, high

    def metrics(self) -> dict[str, float]:
        """Return the entropy [nat per parameter], and the last update's success rate and KL [nat]."""
        entropy = entropy_of(np.log(self.phi))[0] / len(self.nominal)
        return {"entropy": entropy, "success": self._rate, "kl": self._moved}

    def state_dict(self) -> dict[str, Any]:
        """Return the marginals and the episodes since the last update."""
        batch = [[q.copy(), phi.copy(), won] for q, phi, won in self._batch]
        return {**super().state_dict(), "batch": batch, "rate": self._rate, "moved": self._moved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self._batch = [(q.copy(), phi.copy(), won) for q, phi, won in state["batch"]]
        self._rate, self._moved = state["rate"], state["moved"]


class Evidence:
    """Episodes that tell how often a distribution would succeed.

    Args:
        q: Where each ran (k, d).
        drawn_from: The Beta parameters it was drawn with (k, 2 d).
        success: Whether it succeeded (k,).
    """

    def __init__(self, q: Floats, drawn_from: Floats, success: Any) -> None:
        self.success = np.asarray(success, np.bool_)
        won = q[self.success].clip(1e-12, 1.0 - 1e-12)
        self._logs = np.concatenate([np.log(won), np.log1p(-won)], axis=1)
        self._before = _log_density(drawn_from[self.success], self._logs)

    def rate(self, x: Floats) -> tuple[float, Floats]:
        """Return the importance-weighted success rate of the marginals exp(x) (2 d,), and its gradient."""
        from scipy.special import digamma

        phi = np.exp(x)
        a, b = np.split(phi, 2)
        weights = np.exp(_log_density(phi[None], self._logs) - self._before) / len(self.success)
        score = self._logs - digamma(phi) + np.tile(digamma(a + b), 2)
        return float(weights.sum()), (weights @ score) * phi


def _log_density(phi: Floats, logs: Floats) -> Floats:
    """Return log Π_j Beta(q_j; a_j, b_j) (k,) from log q and log(1 - q), side by side (k, 2 d)."""
    from scipy.special import betaln

    a, b = np.split(phi, 2, axis=1)
    return ((phi - 1.0) * logs).sum(axis=1) - betaln(a, b).sum(axis=1)


def entropy_of(x: Floats) -> tuple[float, Floats]:
    """Return the entropy [nat] of the marginals exp(x) (2 d,), and its gradient (2 d,)."""
    from scipy.special import betaln, digamma, polygamma

    phi = np.exp(x)
    a, b = np.split(phi, 2)
    spread = a + b - 2.0
    value = betaln(a, b) - (a - 1.0) * digamma(a) - (b - 1.0) * digamma(b) + spread * digamma(a + b)
    slope = np.tile(spread * polygamma(1, a + b), 2) - (phi - 1.0) * polygamma(1, phi)
    return float(value.sum()), slope * phi


def divergence(x: Floats, before: Floats) -> tuple[float, Floats]:
    """Return KL(exp(x) ‖ before) [nat] between marginals (2 d,), and its gradient in x (2 d,)."""
    from scipy.special import betaln, digamma, polygamma

    phi = np.exp(x)
    (a, b), (a0, b0) = np.split(phi, 2), np.split(before, 2)
    less = a0 + b0 - a - b
    value = betaln(a0, b0) - betaln(a, b) + less * digamma(a + b)
    value = float(value.sum() + ((phi - before) * digamma(phi)).sum())
    return value, ((phi - before) * polygamma(1, phi) + np.tile(less * polygamma(1, a + b), 2)) * phi


Valued = Callable[[Floats], tuple[float, Floats]]


def improve(phi: Floats, evidence: Evidence, alpha: float, max_kl: float) -> Floats:
    """Return the parameters (2 d,) that one update of DORAEMON moves to from `phi` (2 d,)."""
    start = np.log(phi)

    def near(x: Floats) -> tuple[float, Floats]:
        value, slope = divergence(x, phi)
        return (max_kl - value) / max_kl, -slope / max_kl

    def often(x: Floats) -> tuple[float, Floats]:
        value, slope = evidence.rate(x)
        return (value - alpha) / alpha, slope / alpha

    if often(start)[0] < 0.0:
        start = _maximise(often, start, (near,))
        if often(start)[0] < 0.0:
            return np.exp(start)
    return np.exp(_maximise(entropy_of, start, (near, often)))


def _maximise(goal: Valued, start: Floats, constraints: tuple[Valued, ...]) -> Floats:
    """Maximise from a feasible start where all constraints are >= 0; never return what breaks one."""
    from scipy.optimize import minimize

    bound = max(20.0, float(start.max()) + 1.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a trial step beyond the bounds is clipped, and says so
        found = minimize(
            lambda x: -goal(x)[0],
            start,
            jac=lambda x: -goal(x)[1],
            bounds=[(0.0, bound)] * len(start),
            constraints=[
                {"type": "ineq", "fun": lambda x, c=c: c(x)[0], "jac": lambda x, c=c: c(x)[1]}
                for c in constraints
            ],
            method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-10},
        ).x
    found = np.clip(np.where(np.isfinite(found), found, start), 0.0, bound)
    for share in 0.5 ** np.arange(30):  # a solver may stop a little outside: step back towards the start
        x = start + share * (found - start)
        if all(c(x)[0] >= -_SLACK for c in constraints) and goal(x)[0] >= goal(start)[0]:
            return x
    return start
