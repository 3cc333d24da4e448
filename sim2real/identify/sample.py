"""The posterior by simulation: importance sampling that begins with Laplace's approximation and adapts.

Samples come from Student's t around the approximation, whose tails are heavier than a posterior's. In further
rounds they come from one around what was found so far, and all of them are weighted by the mixture of all
proposals: adaptive multiple importance sampling (Cornuet et al. 2012, arXiv 0907.1254). The likelihood is the
one that `posterior` approximates, with the same weights of errors.

Only directions about which logs say something are sampled (the likelihood-informed subspace of Cui et al.
2014, arXiv 1403.4680). Along the others the approximation stays, so that what logs do not tell keeps its
prior exactly, and does not thin out the samples.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.objective import Objective
from sim2real.identify.posterior import TOLD, Posterior, Sampling, weights
from sim2real.identify.space import FARTHEST
from sim2real.progress import Progress

Floats = NDArray[np.float64]
_FREEDOM = 5.0
"""Degrees of freedom of Student's t."""
_WANTED, _DRAWN, _ROUNDS = 10, 20, 4
"""Effective samples that are enough, and samples drawn in each round, for each direction; rounds at most."""


@dataclass
class _Proposals:
    """Student's t, one for each round, and what was drawn from them."""

    rng: np.random.Generator
    centres: list[Floats] = field(default_factory=list[Floats])
    roots: list[Floats] = field(default_factory=list[Floats])

    def draw(self, centre: Floats, covariance: Floats, count: int) -> Floats:
        """Draw samples (count, r) from one more proposal."""
        root = np.linalg.cholesky(covariance)
        self.centres.append(centre)
        self.roots.append(np.array(root, dtype=np.float64))
        wide = np.sqrt(_FREEDOM / self.rng.chisquare(_FREEDOM, (count, 1)))
        return centre + wide * self.rng.normal(size=(count, len(centre))) @ root.T

    def log_density(self, x: Floats) -> Floats:
        """Return the log density of samples (n, r) under all proposals mixed, but for a constant: (n,)."""
        found: list[Floats] = []
        for centre, root in zip(self.centres, self.roots, strict=True):
            off = np.linalg.solve(root, (x - centre).T)
            tail = -0.5 * (_FREEDOM + x.shape[1]) * np.log1p(np.sum(off**2, axis=0) / _FREEDOM)
            found.append(tail - float(np.log(np.diag(root)).sum()))
        return np.logaddexp.reduce(found) - np.log(len(found))


def sample(objective: Objective, found: Posterior, seed: int, progress: Progress) -> Posterior:
    """Return a posterior with the moments of weighted samples; the given one if too few of them count.

    Args:
        objective: Errors of candidates.
        found: Laplace's approximation, around the most likely scores.
        seed: Of the samples.
        progress: Where to show it.
    """
    axes, told = _axes(found)
    inner, rest, size = axes[:, told], axes[:, ~told], int(told.sum())
    if not size:
        return found
    weight = weights(objective, objective.errors(found.best[None])[0])
    proposals, drawn, likely = _Proposals(np.random.default_rng(seed)), list[Floats](), list[Floats]()
    centre, covariance = np.zeros(size), np.eye(size)
    sampling = Sampling(0, 0.0, _WANTED * size)
    progress.begin("sample", _ROUNDS)
    for number in range(1, _ROUNDS + 1):
        drawn.append(proposals.draw(centre, covariance, _DRAWN * size))
        likely.append(_log_posterior(objective, weight, found.best + drawn[-1] @ inner.T))
        x = np.concatenate(drawn)
        mean, spread, effective = _moments(x, np.concatenate(likely) - proposals.log_density(x))
        sampling = replace(sampling, samples=len(x), effective=effective)
        progress.move("sample", number, str(sampling))
        # Few samples say little of a covariance: then most of the proposal stays.
        trust = 1.0 if sampling.enough else effective / (effective + size)
        centre, covariance = (1 - trust) * centre + trust * mean, (1 - trust) * covariance + trust * spread
        if sampling.enough:
            break
    progress.end("sample")
    if not sampling.enough:
        return replace(found, sampling=sampling)
    whole = inner @ covariance @ inner.T + rest @ rest.T
    return Posterior(found.space, found.best + inner @ centre, (whole + whole.T) / 2, found.best, sampling)


def _axes(found: Posterior) -> tuple[Floats, NDArray[np.bool_]]:
    """Return A (k, k), with z = z* + A x and x standard normal, and along which columns logs tell (k,)."""
    root = np.linalg.cholesky(found.space.prior)
    information = np.linalg.inv(found.covariance) - found.space.precision
    gain, turn = np.linalg.eigh(root.T @ information @ root)
    gain = np.maximum(gain, 0.0)
    axes = np.array(root @ turn / np.sqrt(1 + gain), dtype=np.float64)
    return axes, gain / (1 + gain) > TOLD


def _log_posterior(objective: Objective, weight: Floats, z: Floats) -> Floats:
    """Return it for scores (n, k), but for a constant, with errors weighted by (m,)."""
    misfit = np.sum((objective.errors(z) * weight) ** 2, axis=1)
    prior = np.einsum("nk,kl,nl->n", z, objective.space.precision, z)
    return np.where(np.abs(z).max(axis=1) <= FARTHEST, -0.5 * (misfit + prior), -np.inf)


def _moments(x: Floats, log_weight: Floats) -> tuple[Floats, Floats, float]:
    """Return mean (r,) and covariance (r, r) of weighted samples (n, r), and how many they are worth."""
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    mean, twice = share @ x, float(share @ share)
    spread = (x - mean).T @ ((x - mean) * share[:, None]) / max(1 - twice, 1e-9)
    return mean, spread, 1 / twice
