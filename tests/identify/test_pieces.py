"""Pieces of logs, the journal of a search, margins by their closed forms, and what is never searched."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from randomizers import LogUniform, Normal, TruncatedNormal, Uniform
from sim2real.identify.margins import margin, moments
from sim2real.identify.run import Request, fit
from sim2real.identify.search import Journal, evolve
from sim2real.identify.segments import segments
from sim2real.identify.space import space_of
from sim2real.progress import Progress
from tests.identify.twolink import asked, objective, program


def test_pieces_begin_where_the_robot_was_and_as_it_moved():
    time = 0.02 * np.arange(200)
    path = np.stack([0.3 - 0.2 * (time - 1) + 0.5 * (time - 1) ** 2, 0.1 * time], axis=1)
    pieces = segments([replace(asked(4.0), position=path)], 1.0, 99)
    assert len(pieces) == 4 and all(len(piece.log) == 50 for piece in pieces)
    first, second = pieces[:2]
    np.testing.assert_array_equal(first.log.position, path[:50])
    assert first.log.velocity is None and first.counted.sum() == 49
    # In the middle of a motion, as a parabola through the rows around; what is not settled does not count.
    np.testing.assert_allclose(second.log.position[0], [0.3, 0.1], atol=1e-9)
    np.testing.assert_allclose(second.log.velocity[0], [-0.2, 0.1], atol=1e-9)
    assert second.counted.sum() == 35 and not second.counted[:15].any()


def test_pieces_are_spread_from_the_slowest_to_the_fastest():
    logs = [asked(4.0, name="one"), asked(8.0, name="two")]
    rate = np.repeat([7, 1, 9, 3, 2, 4, 6, 5, 0, 11, 10, 8], 50)  # of each second of both, its rank
    command = np.cumsum(0.02 * rate)[:, None] * [1.0, -1.0]
    logs = [replace(logs[0], command=command[:200]), replace(logs[1], command=command[200:])]
    pieces = segments(logs, 1.0, 4)
    assert [(piece.log.name, round(piece.log.time[0])) for piece in pieces] == [
        ("one", 0), ("two", 1), ("two", 4), ("two", 5),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"no log has 9 s.* the longest has 7\.98 s: give a shorter --piece"):
        segments(logs, 9.0, 4)


def test_rows_that_were_not_measured_do_not_count():
    log = asked(2.0)
    log.position[10] = np.nan
    (piece,) = segments([log], 2.0, 1)
    assert not piece.counted[10] and piece.counted[11]


def bowl(z):
    return np.sum((z - 1.0) ** 2, axis=1)


def test_a_search_goes_on_bit_for_bit(tmp_path):
    whole, _ = evolve(bowl, 3, 60, 5, Journal(None, ""), Progress.silent())
    calls = []

    def stopping(z):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(z))
        return bowl(z)

    path = tmp_path / "s.json"
    with pytest.raises(KeyboardInterrupt):
        evolve(stopping, 3, 60, 5, Journal(path, "key"), Progress.silent())
    assert len(json.loads(path.read_text())["losses"]) == 3
    again = []
    resumed, _ = evolve(
        lambda z: again.append(1) or bowl(z), 3, 60, 5, Journal(path, "key"), Progress.silent()
    )
    np.testing.assert_array_equal(resumed, whole)
    assert len(again) + 3 == len(Journal(path, "key").losses) + 1  # and the mean of the last generation
    # Another problem, or a damaged file, begins anew.
    assert Journal(path, "other").losses == []
    path.write_text("{")
    assert Journal(path, "key").losses == []


def test_what_was_found_is_kept(tmp_path):
    path, mean, covariance = tmp_path / "found.search.json", np.array([0.1, 1 / 3]), np.eye(2) / 7
    Journal(path, "key").keep(mean, covariance)
    found = Journal(path, "key").found
    assert found is not None and Journal(path, "other").found is None
    np.testing.assert_array_equal(found[0], mean)
    np.testing.assert_array_equal(found[1], covariance)


def test_a_fit_that_is_known_is_not_made_again(tmp_path):
    own = objective(program(), asked())
    journal = Journal(tmp_path / "found.search.json", "key")
    size = len(own.space.columns)
    journal.keep(np.arange(size) / 7, np.eye(size) / 3)
    found = fit(own, Request((), tmp_path / "x.yaml"), journal, Progress.silent())
    assert own.candidates == 0
    np.testing.assert_array_equal(found.mean, np.arange(size) / 7)


def test_margins_by_their_closed_forms():
    assert margin(Normal(2.0, 3.0), 0.5, 0.1) == Normal(3.5, 3.0 * 0.1)
    np.testing.assert_allclose(moments(Normal(2.0, 3.0), 0.5, 0.1), (3.5, 0.3))
    # A score that is standard normal is the prior itself.
    np.testing.assert_allclose(moments(Uniform(1.0, 3.0), 0, 1), (2.0, 2 / 12**0.5), rtol=2e-3)
    whole = margin(Uniform(1.0, 3.0), 0, 1)
    assert isinstance(whole, TruncatedNormal)
    q = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(whole.ppf(q), 1 + 2 * q, atol=0.01)
    # One that is well known is normal, with the slope of the quantile function: here 2 φ(0).
    sharp = margin(Uniform(1.0, 3.0), 0, 0.01)
    assert sharp.support == (1.0, 3.0)
    np.testing.assert_allclose((sharp.mean, sharp.std), (2.0, 0.02 * stats.norm.pdf(0)), rtol=1e-3)
    decade = margin(LogUniform(0.1, 10), 0, 0.01)
    np.testing.assert_allclose(
        (decade.mean, decade.std), (1.0, 0.01 * stats.norm.pdf(0) * np.log(100)), rtol=1e-2
    )


@pytest.mark.parametrize("prior", [Uniform(0.0, 1.0), LogUniform(0.1, 10.0)])
@pytest.mark.parametrize(("mean", "std"), [(3.0, 0.3), (-2.0, 0.8), (5.9, 0.01), (0.0, 0.5)])
def test_margins_at_the_ends_of_a_prior_are_distributions(prior, mean, std):
    own = margin(prior, mean, std)
    q = np.linspace(0.05, 0.95, 19)
    wanted = prior.ppf(stats.norm.cdf(mean + std * stats.norm.ppf(q)))
    width = prior.support[1] - prior.support[0]
    assert np.abs(own.ppf(q) - wanted).max() < 0.06 * width


def test_what_acts_by_chance_or_is_left_out_is_not_searched():
    made = program(
        kp={"type": "kp", "select": "shoulder", "scale": [0.5, 2]},
        noise={"type": "observation_noise", "set": [0, 0.1]},
        late={"type": "action_jitter", "set": [0, 0.1]},
        shove={"type": "push", "select": "lower", "set": [0, 5]},
        clock={"type": "timestep", "set": [0.002, 0.005]},
        worn={"type": "damping", "select": "elbow", "scale": {"choice": [1, 2]}},
        fixed={"type": "armature", "select": "elbow", "scale": 1.5},
        coarse={"type": "quantization", "set": [0, 0.1], "channels": [1]},
    )
    space = space_of(made, made.nominal)
    assert space.names == ("kp", "coarse")
    assert set(space.left) == {"noise", "late", "shove", "clock", "worn"}
    v = space.values(np.zeros((1, 2)))[0]
    assert v[0] == 1.25 and v[-1] == 0.05
    np.testing.assert_array_equal(np.delete(v, [0, 7]), np.delete(made.nominal, [0, 7]))
    assert space_of(made, made.nominal, ["coarse"]).names == ("coarse",)
    with pytest.raises(ValueError, match="did you mean 'coarse'"):
        space_of(made, made.nominal, ["coarze"])
    with pytest.raises(
        ValueError, match="no term under randomize is left to identify; noise: acts by chance"
    ):
        space_of(made, made.nominal, ["noise"])
