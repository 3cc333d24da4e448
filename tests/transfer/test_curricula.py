"""Curricula on toys whose optimum is known in closed form, and in the spec that names them."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import betainc, betaln, psi
from scipy.stats import beta

from sim2real.catalog import KINDS
from sim2real.session import CATALOG
from sim2real.spec import Program, SpecError, load_text
from sim2real.transfer.curricula import CURRICULA, make_curriculum
from sim2real.transfer.curriculum import BELOW_ONE, Ended
from sim2real.transfer.doraemon import Evidence, divergence, entropy_of, improve
from tests.spec.small import model


def episodes(curriculum, rng, n=64, score=lambda q: np.zeros(len(q)), even=False):
    """Episodes as the worlds would end them, whose return is a function of where they ran."""
    d = len(curriculum.nominal)
    # Even draws take the noise of sampling out of what is compared with a closed form.
    u = rng.permuted((np.arange(n)[:, None] + 0.5) / n + np.zeros(d), axis=0) if even else rng.random((n, d))
    coin, phi = rng.random((n, 2)), np.tile(curriculum.phi, (n, 1))
    q = curriculum.quantiles(phi, u, coin)
    reward = np.asarray(score(q), float)
    return Ended(np.arange(n), q, phi, coin, reward, np.full(n, np.nan))


def adr(nominal, **changes):
    settings = {"type": "adr", "low": 0.2, "high": 0.8, "delta": 0.02, "buffer": 10} | changes
    return make_curriculum(settings, np.array(nominal, float))


def doraemon(nominal, **changes):
    return make_curriculum({"type": "doraemon", "success": 0.5} | changes, np.array(nominal, float))


def loaded(text):
    return load_text(text, "x.yaml", CATALOG)


HOPPER = "env: Hopper-v5\nrandomize: {torso: {type: mass, select: torso, set: [3, 9]}}\n"


def refusal(curriculum, head=HOPPER, tail=""):
    with pytest.raises(SpecError) as caught:
        loaded(f"{head}train:\n  curriculum: {curriculum}\n{tail}")
    return str(caught.value)


# Automatic domain randomization


@pytest.mark.parametrize("seed", range(3))
def test_adr_stops_at_the_step_of_a_step_function(seed):
    rng, curriculum, seen = np.random.default_rng(seed), adr([0.5]), []
    for _ in range(200):
        curriculum.observe(episodes(curriculum, rng, score=lambda q: q[:, 0] < 0.7))
        seen.append(curriculum.bounds()[1][0])
    low, high = curriculum.bounds()
    assert low == 0.0  # mastered down to the end of the source
    assert max(seen) <= 0.7 + 0.02 and min(seen[100:]) >= 0.7 - 0.02
    assert curriculum.metrics()["entropy"] == pytest.approx(np.log(high - low).item())


def test_adr_narrows_only_back_to_nominal():
    rng, curriculum = np.random.default_rng(0), adr([0.5, 0.9])
    while curriculum.bounds()[0][0] > 0.3:
        curriculum.observe(episodes(curriculum, rng, score=lambda q: np.ones(len(q))))
    for _ in range(100):
        curriculum.observe(episodes(curriculum, rng))
    assert np.array_equal(curriculum.phi, [0.5, 0.9, 0.5, 0.9])
    assert curriculum.metrics()["entropy"] == -np.inf


def test_adr_draws_a_share_of_episodes_with_one_parameter_at_a_bound():
    rng, curriculum = np.random.default_rng(0), adr([0.5] * 3, boundary=0.4)
    curriculum.phi = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    q = episodes(curriculum, rng, 20_000).q
    at = (q == curriculum.phi[:3]) | (q == curriculum.phi[3:])
    assert at.sum(axis=1).max() == 1
    assert at.any(axis=1).mean() == pytest.approx(0.4, abs=0.015)
    assert at.mean(axis=0) == pytest.approx(0.4 / 3, abs=0.01)  # parameters alike
    assert (q.min(axis=0) >= curriculum.phi[:3]).all() and (q.max(axis=0) <= curriculum.phi[3:]).all()


def test_adr_judges_a_boundary_by_episodes_drawn_at_it_as_it_is_now():
    rng, curriculum = np.random.default_rng(0), adr([0.5], buffer=5)
    under_way = episodes(curriculum, rng, score=lambda q: np.ones(len(q)))
    curriculum.observe(under_way)
    moved = curriculum.phi
    assert np.allclose(moved, [0.48, 0.52])  # once each, though there were enough for several times
    curriculum.observe(under_way)
    assert curriculum.phi is moved


def test_adr_between_its_thresholds_stays():
    rng, curriculum = np.random.default_rng(0), adr([0.5])
    before = curriculum.phi
    curriculum.observe(episodes(curriculum, rng, score=lambda q: np.full(len(q), 0.5)))
    assert curriculum.phi is before
    assert curriculum.metrics()["boundary_score"] == 0.5


# DORAEMON


def best_beta(middle, width, alpha):
    """The greatest entropy of a Beta, its parameters at least 1, that keeps the success rate; by a grid."""
    a, b = np.meshgrid(np.geomspace(1, 60, 500), np.geomspace(1, 60, 500))
    rate = betainc(a, b, middle + width) - betainc(a, b, middle - width)
    entropy = betaln(a, b) - (a - 1) * psi(a) - (b - 1) * psi(b) + (a + b - 2) * psi(a + b)
    return entropy[rate >= alpha].max()


@pytest.mark.parametrize(("middle", "width", "alpha"), [(0.5, 0.1, 0.5), (0.3, 0.1, 0.5), (0.5, 0.2, 0.8)])
def test_doraemon_reaches_the_best_beta_on_an_interval(middle, width, alpha):
    curriculum = doraemon([middle], alpha=alpha, max_kl=0.05, episodes_per_update=2000)
    rng = np.random.default_rng(0)
    for _ in range(60):
        curriculum.observe(
            episodes(curriculum, rng, 2000, lambda q: abs(q[:, 0] - middle) < width, even=True)
        )
    a, b = curriculum.phi
    rate = beta.cdf(middle + width, a, b) - beta.cdf(middle - width, a, b)
    assert rate == pytest.approx(alpha, abs=0.005)
    assert curriculum.metrics()["entropy"] == pytest.approx(best_beta(middle, width, alpha), abs=0.01)


def test_doraemon_becomes_uniform_where_all_succeed():
    curriculum, rng = doraemon([0.1, 0.9], max_kl=0.5), np.random.default_rng(0)
    for _ in range(60):
        curriculum.observe(episodes(curriculum, rng, 50, lambda q: np.ones(len(q)), even=True))
    assert curriculum.phi == pytest.approx(np.ones(4), abs=0.05)
    assert curriculum.metrics()["success"] == 1.0


def test_doraemon_keeps_to_the_trust_region_and_to_the_rate():
    rng, curriculum = np.random.default_rng(3), doraemon([0.4, 0.5, 0.6], max_kl=0.1)
    for _ in range(20):
        before = curriculum.phi
        ended = episodes(curriculum, rng, 50, lambda q: abs(q - curriculum.nominal).max(axis=1) < 0.12)
        curriculum.observe(ended)
        evidence = Evidence(ended.q, ended.phi, ended.reward >= 0.5)
        assert divergence(np.log(curriculum.phi), before)[0] <= 0.1 * (1 + 1e-5)
        rate, rate_before = evidence.rate(np.log(curriculum.phi))[0], evidence.rate(np.log(before))[0]
        assert rate >= min(0.5, rate_before) - 1e-5
    assert entropy_of(np.log(curriculum.phi))[0] > entropy_of(np.log(doraemon([0.4, 0.5, 0.6]).phi))[0]


def test_doraemon_goes_back_to_where_it_succeeds_when_it_does_too_rarely():
    rng = np.random.default_rng(0)
    wide = np.array([1.0, 1.0])
    q = rng.random((400, 1))
    evidence = Evidence(q, np.tile(wide, (400, 1)), abs(q[:, 0] - 0.7) < 0.1)
    assert evidence.rate(np.log(wide))[0] < 0.25
    near = improve(wide, evidence, 0.5, 0.05)
    assert evidence.rate(np.log(near))[0] > evidence.rate(np.log(wide))[0] + 0.04
    assert divergence(np.log(near), wide)[0] == pytest.approx(0.05, rel=1e-3)  # as far as it may
    far = improve(wide, evidence, 0.5, 5.0)  # here the rate can be reached, and then entropy counts
    assert evidence.rate(np.log(far))[0] == pytest.approx(0.5, abs=1e-3)


def test_doraemon_stays_where_nothing_succeeds():
    curriculum, rng = doraemon([0.5]), np.random.default_rng(0)
    before = curriculum.phi.copy()
    curriculum.observe(episodes(curriculum, rng, 50))
    assert curriculum.phi == pytest.approx(before)
    assert curriculum.metrics()["success"] == 0.0


def test_beta_formulas():
    before, x = np.array([3.0, 2.0, 5.0, 1.5]), np.log([2.0, 4.0, 3.0, 2.5])
    (a, b), (a0, b0) = np.split(np.exp(x), 2), np.split(before, 2)
    grid = (np.arange(200_000) + 0.5) / 200_000
    logs = [(beta.logpdf(grid, a[j], b[j]), beta.logpdf(grid, a0[j], b0[j])) for j in (0, 1)]
    kl = sum((np.exp(log) * (log - log0)).mean() for log, log0 in logs)
    assert divergence(x, before)[0] == pytest.approx(kl, rel=1e-6)
    assert entropy_of(x)[0] == pytest.approx(beta(a, b).entropy().sum())
    q = np.random.default_rng(0).beta(a0, b0, (30, 2))
    evidence = Evidence(q, np.tile(before, (30, 1)), q[:, 0] < 0.6)
    for value in (entropy_of, lambda y: divergence(y, before), evidence.rate):
        numeric = approx_fprime(x, lambda y, value=value: value(y)[0], 1e-7)
        assert value(x)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-6)


def test_the_weights_are_of_the_distribution_that_each_episode_was_drawn_from():
    rng = np.random.default_rng(0)
    drawn = np.repeat([[2.0, 5.0], [6.0, 3.0]], 100_000, axis=0)
    q = rng.beta(drawn[:, :1], drawn[:, 1:])
    evidence = Evidence(q, drawn, q[:, 0] < 0.4)
    assert evidence.rate(np.log([3.0, 3.0]))[0] == pytest.approx(beta.cdf(0.4, 3, 3), abs=0.01)


def test_doraemon_starts_with_its_mode_at_nominal():
    phi = doraemon([0.0, 0.25, 0.5, BELOW_ONE]).phi.reshape(2, -1)
    assert (phi[0] - 1) / (phi.sum(axis=0) - 2) == pytest.approx([0, 0.25, 0.5, 1])
    assert phi.sum(axis=0) == pytest.approx(np.full(4, 200.0))


# All of them


@pytest.mark.parametrize("curriculum", [adr([0.2, 0.99]), doraemon([0.0, 0.9])])
def test_no_draw_leaves_the_cube(curriculum):
    curriculum.phi = curriculum.phi * np.where(np.arange(4) < 2, 0.5, 1.01).clip(None, BELOW_ONE)
    u = np.array([[0.0, 0.0], [2.0**-53, 2.0**-53], [BELOW_ONE, BELOW_ONE]])
    for side in (0.0, 0.3, 0.6, BELOW_ONE):
        coin = np.tile([0.0, side], (3, 1))
        q = curriculum.quantiles(np.tile(curriculum.phi, (3, 1)), u, coin)
        assert ((q >= 0) & (q < 1)).all()


@pytest.mark.parametrize("name", ["adr", "doraemon"])
def test_state_goes_on_as_if_never_saved(name):
    make = {"adr": adr, "doraemon": doraemon}[name]
    rng = np.random.default_rng(0)
    batches = [rng.bit_generator.random_raw() for _ in range(8)]

    def after(curriculum, numbers):
        for number in numbers:
            own = np.random.default_rng(number)
            curriculum.observe(episodes(curriculum, own, 37, lambda q: q[:, 0] < 0.6))
        return curriculum

    whole, half = after(make([0.5, 0.5]), batches), after(make([0.5, 0.5]), batches[:4])
    other = make([0.5, 0.5])
    other.load_state_dict(half.state_dict())
    assert np.array_equal(after(other, batches[4:]).phi, whole.phi)
    assert str(other.state_dict()) == str(whole.state_dict())
    assert not np.array_equal(whole.phi, make([0.5, 0.5]).phi)


@pytest.mark.parametrize(
    ("operation", "quantile"),
    [
        ("set: [1, 4]", 1 / 3),  # nominal is 2 kg
        ("set: {log_uniform: [1, 8]}", 1 / 3),
        ("set: [3, 4]", 0.0),
        ("set: [1, 1.5]", 1.0),
        ("set: {choice: [1, 2, 3, 4]}", 0.375),
        ("set: {truncated_normal: [2, 0.5, 1, 3]}", 0.5),
        ("scale: 1", 0.5),
    ],
)
def test_the_quantile_of_nominal(operation, quantile):
    head = "env: Hopper-v5\nrandomize: {m: {type: mass, select: torso, "
    term = loaded(f"{head}{operation}}}}}").spec.randomize["m"]
    arm = Program(model(), {"m": term.model_copy(update={"select": "upper"})})
    assert arm.nominal_quantiles == pytest.approx([quantile], abs=1e-9)
    assert (arm.nominal_quantiles < 1).all()


def test_what_is_wrong_with_a_curriculum_is_said_where_it_stands():
    assert refusal("{type: adrr}").startswith(
        "x.yaml:4: train.curriculum.type: unknown curriculum 'adrr'; did you mean 'adr'?"
    )
    assert "type is missing: name a curriculum (uniform, adr, doraemon, epopt)" in refusal("{low: 1}")
    assert "must be a name, given 3" in refusal("{type: 3}")
    assert "must be a mapping" in refusal("adr")
    assert "high: is missing: mean score at a boundary" in refusal("{type: adr, low: 1}")
    assert "low must be below high, given 2 and 1" in refusal("{type: adr, low: 2, high: 1}")
    assert "unknown key 'sucess'; did you mean 'success'?" in refusal("{type: doraemon, sucess: 1}")
    assert "must be below 1, given 2" in refusal("{type: doraemon, alpha: 2}")
    assert "must be a finite number" in refusal("{type: doraemon, success: .inf}")


def test_a_curriculum_that_the_environment_cannot_have_is_refused():
    assert "Hopper-v5 does not say when an episode succeeds; write success: RETURN" in refusal(
        "{type: doraemon}"
    )
    assert "write score: return" in refusal("{type: adr, low: 0, high: 1, score: success}")
    foreign = "env: gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv\nrandomize:\n"
    foreign += "  m: {type: mass, select: torso, scale: [1, 2]}\n"
    assert "epopt needs a native task" in refusal("{type: epopt}", foreign)
    loaded(f"{foreign}train: {{curriculum: {{type: uniform}}}}")
    assert "there is no term under randomize" in refusal("{type: epopt}", "env: Hopper-v5\n")
    pair = "{a: {type: mass, select: torso, scale: [1, 2]}, b: {type: mass, select: foot, scale: [1, 2]}}"
    head = f"env: Hopper-v5\nrandomize: {pair}\ncorrelate: {{g: {{terms: [a, b], correlation: 0.5}}}}\n"
    assert "takes parameters to be independent" in refusal("{type: doraemon, success: 1}", head)


def test_a_goal_task_says_itself_when_it_succeeds():
    head = "env: FetchReach-v4\nrandomize: {d: {type: action_latency, set: [0 ms, 9 ms]}}\n"
    spec = loaded(f"{head}train: {{curriculum: {{type: doraemon, alpha: 1e-1}}}}").spec
    curriculum = make_curriculum(spec.train.curriculum, np.array([0.5]))
    ended = episodes(curriculum, np.random.default_rng(0), 50)
    curriculum.observe(ended._replace(success=(np.arange(50) % 2).astype(float)))
    assert curriculum.metrics()["success"] == 0.5
    score = {"score": "success", "low": 0.1, "high": 0.4, "buffer": 5}
    other = adr([0.5], **score)
    other.observe(episodes(other, np.random.default_rng(0), 50)._replace(success=np.ones(50)))
    assert (other.phi != 0.5).all()


def test_every_curriculum_is_listed():
    listed = KINDS["methods"]()
    for name, entry in CURRICULA.items():
        assert f"train.curriculum: {{type: {name}}}" in listed[name]
        assert entry.settings.model_fields["type"].default == name
