"""What a small arm is like is found again in what it would log, and what logs do not tell is left open."""

from pathlib import Path

import numpy as np
import pytest
from mujoco.minimize import Verbosity, least_squares

from sim2real.identify import Request
from sim2real.identify.posterior import posterior, weights
from sim2real.identify.refine import refine
from sim2real.identify.run import fit
from sim2real.identify.search import Journal
from sim2real.progress import Progress
from tests.identify.twolink import FLOATING, TERMS, TRUTH, asked, measured, objective, program, true_scores

QUIET = Progress.silent()


def found(made, *logs, candidates=160, method="both", seed=0, seconds=2.4):
    request = Request((), Path("x.yaml"), method=method, candidates=candidates, seed=seed)
    return fit(objective(made, *logs, seconds=seconds), request, Journal(None, ""), QUIET)


def off(post, truth=TRUTH):
    """How far the most likely values are from the true ones, as shares of these."""
    values = dict(zip(post.space.program.names, post.space.values(post.mean[None])[0], strict=True))
    return {name: abs(values[name] / true - 1) for name, true in truth.items()}


def test_without_noise_all_is_found_within_a_tenth():
    made = program()
    post = found(made, measured(made, log=asked(2.4)))
    assert max(off(post).values()) < 0.1, off(post)
    assert post.open == () and post.together == ()


@pytest.mark.parametrize("method", ["both", "least-squares", "evolution"])
def test_with_noise_all_that_is_told_is_found_within_a_fifth(method):
    made = program(**{key: body for key, body in TERMS.items() if key != "friction"})
    truth = {key: value for key, value in TRUTH.items() if key != "friction"}
    post = found(made, measured(made, 0.05, asked(2.4), **truth), method=method)
    assert max(off(post, truth).values()) < 0.2, off(post, truth)
    assert (np.abs(post.mean - true_scores(post, truth)) < 4 * post.std).all()


def test_what_logs_do_not_tell_keeps_its_prior_exactly():
    # The elbow is never asked to turn back, so that its play never shows.
    play = {"type": "backlash", "set": [0, 0.1], "channels": [1]}
    made = program(kp=TERMS["kp"], play=play)
    post = found(made, measured(made, 0.01, asked(2.4, still=("elbow",)), kp=0.7), method="least-squares")
    assert post.open == ("play",) and post.verdict(1) == "not determined by these logs"
    np.testing.assert_allclose(post.mean[1], 0, atol=1e-12)
    np.testing.assert_allclose(post.covariance[1], [0, 1], atol=1e-12)
    assert post.verdict(0) == "determined" and post.shrinkage[0] > 0.99


def test_what_logs_tell_only_together_is_named():
    latency = {"sent": {"type": "action_latency", "set": [0, 0.06]}}
    made = program(
        FLOATING, kp=TERMS["kp"], **latency, seen={"type": "observation_latency", "set": [0, 0.06]}
    )
    truth = {"kp": 0.7, "sent": 0.02, "seen": 0.04}
    post = found(made, measured(made, 0.01, asked(2.4), **truth), method="least-squares")
    ((one, other, rho),) = post.together
    assert {one, other} == {"sent", "seen"} and rho < -0.9
    assert post.verdict(post.space.names.index("sent")) == "only together with seen"
    v = post.space.values(post.mean[None])[0]
    assert abs(v[made.columns("sent")[0]] + v[made.columns("seen")[0]] - 0.06) < 0.006


def test_one_seed_gives_one_answer():
    made = program(kp=TERMS["kp"], armature=TERMS["armature"])
    log = measured(made, 0.05, asked(1.2), kp=0.7, armature=2.2)
    one, same, other = (
        found(made, log, candidates=24, method="evolution", seconds=1.2, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.mean, same.mean)
    np.testing.assert_array_equal(one.covariance, same.covariance)
    assert (one.mean != other.mean).all()


def test_it_is_the_least_squares_of_mujoco_on_batched_worlds():
    """As `mujoco.sysid.optimize` calls it, without a prior: noise-free, both come to the truth."""
    made = program(kp=TERMS["kp"], armature=TERMS["armature"])
    log = measured(made, log=asked(1.2), kp=0.7, armature=2.2)
    target = objective(made, log, seconds=1.2)
    plain, _ = least_squares(
        np.zeros(2), lambda x: target.errors(x.T).T, [-3 * np.ones(2), 3 * np.ones(2)], eps=1e-4,
        verbose=Verbosity.SILENT,
    )  # fmt: skip
    ours, _ = refine(target, np.zeros(2), 60, QUIET)
    np.testing.assert_allclose(ours, plain, atol=1e-4)


def test_a_prior_correlation_is_kept_where_logs_tell_nothing():
    play = {"type": "backlash", "set": [0, 0.1], "channels": [1]}
    made = program(kp=TERMS["kp"], play=play)
    log = measured(made, 0.01, asked(2.4, still=("elbow",)), kp=0.7)
    target = objective(made, log, seconds=2.4)
    target.space.__dict__["prior"] = np.array([[1, 0.8], [0.8, 1]])
    z, weight = refine(target, np.zeros(2), 30, QUIET)
    post = posterior(target, z, weight)
    # What is learned of one carries over to the other, as for any two correlated normals.
    np.testing.assert_allclose(z[1], 0.8 * z[0], atol=1e-3)
    np.testing.assert_allclose(post.covariance[1, 1], 1 - 0.8**2, atol=1e-2)


def test_errors_that_are_alike_count_as_one():
    made = program(kp=TERMS["kp"])
    target = objective(made, measured(made, 0.0, asked(2.4), kp=0.7), seconds=1.2)
    rng = np.random.default_rng(0)
    white = 0.01 * rng.normal(size=len(target.joint))
    slow = np.convolve(white, np.ones(9) / 3, "same")  # as large, and alike over nine rows
    few, many = (np.mean(weights(target, errors)) ** -2 for errors in (slow, white))
    assert 0.9e-4 < many < 1.6e-4 and 4 < few / many < 12


@pytest.mark.slow
def test_the_posterior_is_as_wide_as_its_errors():
    """In 20 arms drawn from the prior: (found − true) / spread has a root mean square of about one."""
    made = program()
    rng, ratios = np.random.default_rng(1), []
    for seed in range(20):
        space = objective(made, asked(2.4), seconds=2.4).space
        v = space.values(rng.normal(size=(1, made.d)).clip(-1.5, 1.5))[0]
        v[-1] = 0.005 * np.round(v[-1] / 0.005)
        truth = dict(zip(made.names, v, strict=True))
        post = found(made, measured(made, 0.05, asked(4.8), seed=seed, **truth), candidates=300)
        ratios.append((post.mean - true_scores(post, truth)) / post.std)
    rms = np.sqrt(np.mean(np.square(ratios), axis=0))
    print(dict(zip(made.names, rms.round(2), strict=True)))
    assert 0.6 < np.sqrt(np.mean(np.square(ratios))) < 1.5


def test_pieces_that_no_world_survives_do_not_stop_it():
    made = program(kp=TERMS["kp"], pull={"type": "gravity", "set": {"log_uniform": [9.0, 1e15]}})
    target = objective(made, asked(1.2), seconds=1.2)
    errors = target.errors(np.array([[0.0, -6.0], [0.0, 3.0]]))
    assert np.isfinite(errors).all() and (errors[1] == np.pi).all() and np.abs(errors[0]).max() < np.pi
