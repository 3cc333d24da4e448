"""Bands of the posterior predictive cover what they say, whatever the noise is made of."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.identify.predict import covered, residuals
from tests.identify.twolink import asked, measured, objective, program


def log_of(position):
    return replace(asked(0.02 * len(position)), position=position)


@pytest.mark.parametrize("noise", [lambda r, n: r.normal(size=n), lambda r, n: r.standard_t(2, size=n)])
def test_a_band_of_the_right_noise_covers_nine_tenths(noise):
    rng = np.random.default_rng(0)
    n, wave = 4000, np.sin(np.arange(4000) / 50)[:, None] * [1.0, 2.0]
    spread = {name: np.sort(0.01 * noise(rng, 5000)) for name in ("shoulder", "elbow")}
    log = log_of(wave + 0.01 * np.stack([noise(rng, n), noise(rng, n)], axis=1))
    assert covered(log, wave[None], spread) == pytest.approx(0.9, abs=0.015)


def test_what_the_posterior_leaves_open_widens_it():
    rng = np.random.default_rng(1)
    n, true = 200, np.zeros((200, 2))
    spread = {name: np.sort(0.001 * rng.normal(size=2000)) for name in ("shoulder", "elbow")}
    log = log_of(true)
    off = 0.02 * np.ones((1, n, 1))
    assert covered(log, true[None] + off, spread) == 0.0
    around = 0.02 * np.linspace(-2, 2, 16)[:, None, None]
    assert covered(log, true[None] + around, spread) == 1.0


def test_unstable_draws_and_rows_not_measured_do_not_count():
    rng = np.random.default_rng(2)
    spread = {name: np.sort(0.01 * rng.normal(size=2000)) for name in ("shoulder", "elbow")}
    position = np.zeros((100, 2))
    lost = np.full((1, 100, 2), np.nan)
    assert covered(log_of(position), np.concatenate([position[None], lost]), spread) == 1.0
    assert np.isnan(covered(log_of(position), lost, spread))
    position[:50] = np.nan
    assert covered(log_of(position), np.zeros((1, 100, 2)), spread) == 1.0


def test_residuals_are_what_the_pieces_leave():
    made = program()
    log = measured(made, noise=0.05, seed=3)
    own = objective(made, log)
    z = np.zeros(len(own.space.columns))
    found, errors = residuals(own, z), own.errors(z[None])[0]
    assert set(found) == {"shoulder", "elbow"}
    for j, name in enumerate(own.joints):
        np.testing.assert_array_equal(found[name], np.sort(-errors[own.joint == j]))
