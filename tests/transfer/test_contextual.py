"""Contextual policies: who may know the domain, what is estimated, and that all of it goes on bit for bit."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from sim2real.agents import make_agent
from sim2real.envs.domains import fixed
from sim2real.envs.wants import Wants
from sim2real.evaluation.estimator import estimator_r2, r2
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.zeroshot import worlds
from sim2real.progress import Progress
from sim2real.runs import open_run
from sim2real.session import CATALOG, Session, fresh_agent, reload, trained_agent, training_env
from sim2real.spec import SpecError, load_text
from sim2real.train import train
from sim2real.transfer.registry import METHODS, wants_of
from tests.continuing import assert_same, begun_with, interrupted, parameters

SPEC = """
env: PointGoals-v0
env_options: {{goals: 1}}
randomize:
  pull: {{type: external_force, select: point, axes: xy, add: [-8 N, 8 N]}}
targets:
  against: {{pull.x: -9}}
train:
  algorithm: {algorithm}
  steps: {steps}
  num_envs: 4
  baseline: false
  agent: {{learning_starts: 100, actor_hidden: [16, 16], critic_hidden: [16, 16], batch_size: 32,
    updates_per_step: 0.25, {own}}}
evaluate: {{episodes: 4, shots: [0, 1]}}
"""
PHASES = "history: 3, policy_steps: 400, estimator_hidden: [32]"
OWN = {"universal": "", "asymmetric": "history: 3", "up_osi": PHASES, "rma": f"{PHASES}, latent: 4"}
ESTIMATING = ("up_osi", "rma")
BLIND = ("asymmetric", *ESTIMATING)


def text(algorithm, steps=600, own=""):
    return SPEC.format(algorithm=algorithm, steps=steps, own=", ".join(filter(None, (OWN[algorithm], own))))


def begun(folder, algorithm, name="run", **changes):
    return begun_with(folder, text(algorithm, **changes), name)


@pytest.fixture(scope="module", params=OWN)
def run(request, tmp_path_factory):
    """A finished run of each method."""
    made = begun(tmp_path_factory.mktemp(request.param), request.param)
    train(made, Progress.silent())
    return made


def method(run):
    return reload(run).spec.train.algorithm


def showing(run, n=6):
    """Observations of some worlds of the source a few steps into their episodes."""
    env = worlds(reload(run), n, None, threads=1)
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        observation, *_ = env.step(np.tile([0.3, -0.2], (n, 1)))
    return observation


def told(observation, domain):
    return {**observation, "domain": domain}


def test_who_acts_on_the_true_domain(run):
    """Permuting it, or showing one that cannot be, changes what an oracle does and no bit of the others."""
    agent, shown = trained_agent(run)[0], showing(run)
    before = agent.act(shown, deterministic=True)
    for domain in (np.roll(shown["domain"], 1, 0), np.full_like(shown["domain"], 50.0)):
        after = agent.act(told(shown, domain), deterministic=True)
        assert np.array_equal(before, after) == (method(run) in BLIND)


def test_who_acts_on_the_past(run):
    agent, shown = trained_agent(run)[0], showing(run)
    if "history" in shown:
        other = {**shown, "history": np.roll(shown["history"], 1, 0)}
        assert not np.array_equal(agent.act(shown, True), agent.act(other, True))
    assert ("history" in shown) == (method(run) in BLIND)


def test_critics_see_the_domain_and_no_history(run):
    agent, shown = trained_agent(run)[0], showing(run)
    action = torch.zeros(6, 2)

    def values(obs):
        with torch.no_grad():
            return agent.critic(agent.actor.normalizer(agent.layout.flatten(obs)), action)

    assert not torch.equal(values(shown), values(told(shown, np.roll(shown["domain"], 1, 0))))
    if "history" in shown:
        assert torch.equal(values(shown), values({**shown, "history": np.roll(shown["history"], 1, 0)}))


def test_on_a_target_nothing_is_learned_from_its_domain(run):
    """But by an oracle: with another domain told, every bit of what the others learn is the same."""
    bundle, agent = reload(run), trained_agent(run)[0]
    found = bundle.targets["against"]
    learned = []
    for shift in (0.0, 3.0):
        env = worlds(bundle, 1, fixed(found.v), threads=1)
        scaled = env._scaled
        env._scaled = lambda domain, scaled=scaled, shift=shift: scaled(domain) + shift
        *_, (k, copy, used) = adapt(agent, env, (0, 1), bundle.spec.evaluate, 7)
        assert k == 1 and used > 0 and copy.updates > 0
        learned.append(copy.actor.state_dict())
    same = all(torch.equal(learned[0][key], learned[1][key]) for key in learned[0])
    assert same == (method(run) in BLIND)


def test_it_is_evaluated_like_any_other(run):
    result = evaluate(run, Request(), Progress.silent())
    assert set(result["targets"]["against"]["shots"]) == {"0", "1"}
    names = {"up_osi": ["pull.x", "pull.y"], "rma": ["encoding"]}.get(method(run))
    assert list(result.get("estimator_r2", [])) == (names or [])


def test_resuming_is_as_if_never_interrupted(run, tmp_path):
    stopped = begun(tmp_path, method(run))
    for stop in (300, 452):
        interrupted(stopped, stop)
    train(stopped, Progress.silent())
    assert_same(parameters(open_run(stopped.path)), parameters(run))


@pytest.mark.parametrize("algorithm", ESTIMATING)
def test_the_first_phase_goes_by_the_truth_and_the_second_leaves_the_policy_alone(tmp_path, algorithm):
    session = Session(begun(tmp_path, algorithm), "policy")
    agent = session.loop.agent
    while session.loop.steps < 400:
        session.step(Progress.silent())
    early = {key: value.clone() for key, value in agent.actor.state_dict().items()}
    estimator = {key: value.clone() for key, value in agent.estimator.state_dict().items()}
    agent._credit = type(agent._credit)(0)  # updates that the first phase has earned would be the second's
    while session.loop.steps < 600:
        session.step(Progress.silent())
    assert all(torch.equal(value, agent.actor.state_dict()[key]) for key, value in early.items())
    assert any(not torch.equal(estimator[key], value) for key, value in agent.estimator.state_dict().items())
    assert np.isfinite(agent.metrics()["estimator_r2"])
    session.env.close()


@pytest.mark.parametrize("algorithm", ESTIMATING)
def test_the_second_phase_goes_on_with_the_best_policy_of_the_first(tmp_path, algorithm):
    session = Session(begun(tmp_path, algorithm), "policy")
    agent, told_truth = session.loop.agent, []
    for steps, value in ((200, 5.0), (300, 7.0), (380, 6.0)):
        while session.loop.steps < steps:
            session.step(Progress.silent())
        agent.validate(lambda one, value=value: (told_truth.append(one.config.context), value)[1])
        if value == 7.0:
            best = {key: tensor.clone() for key, tensor in agent.actor.state_dict().items()}
    again = untrained(algorithm)
    again.load_state_dict(agent.state_dict())
    assert again._best[0] == 7.0
    while session.loop.steps < 480:
        session.step(Progress.silent())
    assert all(torch.equal(value, agent.actor.state_dict()[key]) for key, value in best.items())
    agent.validate(lambda one: pytest.fail("the policy is chosen"))
    assert told_truth == ["true"] * 3
    session.env.close()


@pytest.mark.parametrize("algorithm", ESTIMATING)
def test_exploring_knows_the_truth_in_the_first_phase_only(algorithm):
    agent = untrained(algorithm)
    assert agent._known(False) is None and agent._known(True) == agent.estimate
    agent.steps = 400
    assert agent._known(False) == agent.estimate
    for copy in (agent.clone({"deployed": True}, keep_replay=False), agent.clone({"context": "hidden"})):
        assert copy._known(False) is not None


def untrained(algorithm, own=""):
    bundle = load_text(text(algorithm, own=own), "spec.yaml", CATALOG)
    env = training_env(bundle, "policy")
    agent = fresh_agent(bundle, env)
    env.close()
    return agent


@pytest.mark.parametrize("algorithm", ["universal", *ESTIMATING])
def test_controls_act_on_another_worlds_domain_or_on_the_mean_one(algorithm):
    truth = untrained(algorithm, "context: 'true'")
    random = np.random.default_rng(0)
    shown = {key: random.normal(size=(5, space.shape[0])) for key, space in truth.observation_space.items()}
    rolled = told(shown, np.roll(shown["domain"], 1, 0))
    permuted = truth.clone({"context": "permuted"})
    assert np.array_equal(permuted.act(shown, True), truth.act(rolled, True))
    hidden = truth.clone({"context": "hidden"})
    assert np.array_equal(hidden.act(shown, True), hidden.act(rolled, True))
    assert not np.array_equal(hidden.act(shown, True), truth.act(shown, True))


def test_the_encoder_is_trained_with_the_policy_and_what_is_estimated_is_what_it_says(tmp_path):
    session = Session(begun(tmp_path, "rma", steps=400), "policy")
    agent = session.loop.agent
    before = agent.actor.front.encoder[0].weight.clone()
    while session.loop.steps < 400:
        session.step(Progress.silent())
    assert not torch.equal(before, agent.actor.front.encoder[0].weight)
    shown = showing(session.bundle and open_run(tmp_path / "run"))
    estimates, truths = agent.compared(shown)
    features = agent.actor.normalizer(agent.layout.flatten(shown))
    assert torch.equal(truths, agent.actor.front.encoder(features[:, agent.domain]))
    assert torch.equal(estimates, agent.estimator(features[:, agent.history])) and truths.shape == (6, 4)
    session.env.close()


@pytest.mark.slow
def test_a_pull_is_found_out_from_where_commands_have_led(tmp_path):
    """A single move tells it, without noise; but a point pulled past its goal, on the x axis, rests
    against the end of the y axis for long, where moves tell only which end that is."""
    run = begun(tmp_path, "up_osi", steps=20_000)
    train(run, Progress.silent())
    found = estimator_r2(reload(run), trained_agent(run)[0], reload(run).spec.evaluate)
    assert set(found) == {"pull.x", "pull.y"}
    assert found["pull.x"] > 0.9 and found["pull.y"] > 0.6


def test_r2_by_hand():
    truth = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
    estimate = torch.tensor([[0.5, 4.0], [2.0, 9.0]])
    # Missed by 0.25 of a spread of 2; the second column does not vary.
    pair = torch.stack([estimate, truth])
    assert r2(pair, ["a", "b"]) == {"a": pytest.approx(1 - 0.25 / 2)}
    # As one quantity the second's misses count too: 1 and 16.
    assert r2(pair, ["c", "c"]) == {"c": pytest.approx(1 - 17.25 / 2)}


def test_only_contextual_methods_ask_for_context():
    assert wants_of("universal", {}) == Wants(history=0)
    assert wants_of("up_osi", {"policy_steps": 10, "history": 5}) == Wants(history=5)
    assert wants_of("fast_sac", {}) == wants_of("distillation", {"teachers": ["a"]}) == Wants()
    assert set(OWN) <= set(METHODS)


def test_wrong_settings_are_said_with_their_place():
    for own, says in (
        ("history: 0", "history"),
        ("context: wrong", "context"),
        ("latent: 2", "latent"),
    ):
        wrong = (
            text("up_osi").replace("history: 3", own)
            if own.startswith("history")
            else text("up_osi", own=own)
        )
        with pytest.raises(SpecError, match=rf"train\.agent\.{says}"):
            load_text(wrong, "spec.yaml", CATALOG)
    with pytest.raises(SpecError, match=r"train\.agent.*policy_steps"):
        load_text(text("up_osi").replace("policy_steps: 400, ", ""), "spec.yaml", CATALOG)


def test_where_nothing_varies_there_is_no_domain_to_act_on():
    head, _, rest = text("universal").partition("randomize:")
    still = f"{head}train:{rest.partition('train:')[2]}"
    with pytest.raises(SpecError, match=r"train\.algorithm: universal acts on what it knows of the domain"):
        load_text(still, "spec.yaml", CATALOG)


def test_its_worlds_must_show_a_context():
    box = gym.spaces.Box(-1, 1, (3,))
    with pytest.raises(ValueError, match="context"):
        METHODS["universal"].make(box, box, METHODS["universal"].config(), 0, None, None)
    assert make_agent("fast_sac", box, box, {}, 0)
