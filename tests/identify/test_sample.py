"""A posterior by samples: exact where it is normal, nearer elsewhere, the prior where logs tell nothing."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import sim2real.identify.sample as module
from sim2real.identify.posterior import Posterior, posterior, weights
from sim2real.identify.refine import refine
from sim2real.identify.sample import sample
from sim2real.identify.space import Space, space_of
from sim2real.progress import Progress
from tests.identify.twolink import TERMS, asked, measured, objective, program

QUIET = Progress.silent()


@dataclass
class Told:
    """An objective whose errors are `law` of the scores (n, k) → (n, m)."""

    space: Space
    law: object
    many: int

    def __post_init__(self):
        self.joints, self.joint, self.piece = ("j",), np.zeros(self.many, int), np.zeros(self.many, int)

    def errors(self, z):
        return self.law(z)


def space(*names):
    made = program(**{name: TERMS[name] for name in names})
    return space_of(made, made.nominal)


def noise(many, rng):
    return 0.1 * rng.normal(size=many)


def test_it_is_laplace_where_that_is_exact():
    rng = np.random.default_rng(0)
    slopes, off = rng.normal(size=(60, 3)), noise(60, rng)
    told = Told(space("kp", "damping", "friction"), lambda z: z @ slopes.T - off, 60)
    weight = weights(told, told.errors(np.zeros((1, 3)))[0])
    precision = (slopes * weight[:, None] ** 2).T @ slopes + np.eye(3)
    peak = np.linalg.solve(precision, slopes.T @ (weight**2 * off))
    found = sample(told, Posterior(told.space, peak, np.linalg.inv(precision)), 0, QUIET)
    assert found.sampling.enough and found.sampling.samples == 60  # one round is enough
    np.testing.assert_allclose(found.mean, peak, atol=0.4 * found.std.min())
    np.testing.assert_allclose(found.std, np.sqrt(np.diag(np.linalg.inv(precision))), rtol=0.25)
    np.testing.assert_array_equal(found.best, peak)


def test_it_is_nearer_than_laplace_where_errors_bend():
    rng = np.random.default_rng(1)
    off = noise(30, rng)
    told = Told(space("kp"), lambda z: np.exp(1.5 * z) * np.full(30, 0.02) - off, 30)
    grid, peak, p = np.linspace(-6, 6, 4001), np.full(1, -1.0), np.ones(4001)
    for _ in range(3):  # The weights are those at the peak, as for Laplace's approximation.
        weight = weights(told, told.errors(peak[None])[0])
        log_p = -0.5 * (np.sum((told.errors(grid[:, None]) * weight) ** 2, axis=1) + grid**2)
        p = np.exp(log_p - log_p.max()) / np.exp(log_p - log_p.max()).sum()
        peak = grid[[int(np.argmax(p))]]
    mean = p @ grid
    std = np.sqrt(p @ (grid - mean) ** 2)
    laplace = posterior(told, peak, weights(told, told.errors(peak[None])[0]))
    many = []
    for seed in range(8):
        found = sample(told, laplace, seed, QUIET)
        assert found.sampling.enough
        many.append((found.mean[0], found.std[0]))
    near = np.mean(many, axis=0)
    assert abs(near[0] - mean) < 0.3 * abs(peak[0] - mean), (near, mean, peak)
    assert abs(near[1] / std - 1) < max(0.1, 0.5 * abs(laplace.std[0] / std - 1)), (near, std, laplace.std)


def test_what_logs_do_not_tell_keeps_its_prior_exactly():
    play = {"type": "backlash", "set": [0, 0.1], "channels": [1]}
    made = program(kp=TERMS["kp"], damping=TERMS["damping"], play=play)
    log = measured(made, 0.05, asked(1.2, still=("elbow",)), kp=0.7, damping=2.0)
    target = objective(made, log, seconds=1.2)
    z, weight = refine(target, np.zeros(3), 40, QUIET)
    found = sample(target, posterior(target, z, weight), 0, QUIET)
    assert found.sampling.enough and found.sampling.wanted == 20  # two directions, and not three
    np.testing.assert_allclose(found.mean[2], 0, atol=1e-9)
    np.testing.assert_allclose(found.covariance[2], [0, 0, 1], atol=1e-9)
    assert found.open == ("play",)


def test_too_few_samples_leave_laplace_and_say_so(monkeypatch):
    monkeypatch.setattr(module, "_ROUNDS", 1)
    # Far narrower than the posterior is: nearly all samples lie at its middle, and the farthest count most.
    told = Told(space("kp", "damping"), lambda z: np.repeat(z, 5, axis=1) - 1.0, 10)
    given = Posterior(told.space, np.full(2, 0.9), 0.0009 * np.eye(2))
    found = sample(told, given, 0, QUIET)
    assert not found.sampling.enough
    np.testing.assert_array_equal(found.covariance, given.covariance)
    assert str(found.sampling).startswith("Laplace's approximation, for 40 samples, worth ")
    assert str(replace(found.sampling, effective=25.2)) == "40 samples, worth 25 independent ones"


def test_nothing_that_is_told_needs_no_samples():
    told = Told(space("kp"), lambda z: pytest.fail("not asked"), 5)
    given = Posterior(told.space, np.zeros(1), np.eye(1))
    assert sample(told, given, 0, QUIET) is given
