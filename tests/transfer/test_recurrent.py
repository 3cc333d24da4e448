"""Policies with a memory: trained, resumed, evaluated and adapted by what they lived through."""

import numpy as np
import pytest
import torch

from sim2real.agents import Collector, RandomAgent
from sim2real.agents.base import Remembers, elsewhere
from sim2real.envs.domains import fixed
from sim2real.envs.wants import Wants
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.zeroshot import worlds
from sim2real.progress import Progress
from sim2real.rollout import run_episodes
from sim2real.runs import open_run
from sim2real.session import CATALOG, Session, fresh_agent, reload, trained_agent, training_env
from sim2real.spec import Evaluate, SpecError, load_text
from sim2real.train import train
from sim2real.transfer.finetune import begin
from sim2real.transfer.registry import wants_of
from tests.continuing import assert_same, begun_with, interrupted

SPEC = """
env: PointGoals-v0
env_options: {{goals: 1}}
randomize:
  pull: {{type: external_force, select: point, axes: xy, add: [-8 N, 8 N]}}
targets:
  against: {{pull.x: -9}}
train: {{algorithm: {algorithm}, steps: {steps}, num_envs: 4, baseline: false, agent: {{{own}}}}}
evaluate: {{episodes: 4, shots: [0, 2]}}
"""
OFF_POLICY = "learning_starts: 100, actor_hidden: [16], critic_hidden: [16], updates_per_step: 0.1"
OWN = {
    "rl2": "units: 8, hidden: [16], horizon: 20, minibatches: 2, epochs: 2, trial: 2",
    "recurrent_sac": f"{OFF_POLICY}, units: 8, batch_size: 8, sequence: 6, trial: 2",
    "history_sac": f"{OFF_POLICY}, history: 3, batch_size: 16",
}
RECURRENT = ("rl2", "recurrent_sac")


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


@pytest.fixture(scope="module", params=RECURRENT)
def remembering(request, tmp_path_factory):
    """A finished run of each method that remembers, of few steps."""
    made = begun(tmp_path_factory.mktemp(request.param), request.param, steps=200)
    train(made, Progress.silent())
    return made


def method(run):
    return reload(run).spec.train.algorithm


def networks(agent):
    return [tensor for network in agent.networks.values() for tensor in network.state_dict().values()]


def untrained(algorithm, own=""):
    bundle = load_text(text(algorithm, own=own), "spec.yaml", CATALOG)
    env = training_env(bundle, "policy")
    agent = fresh_agent(bundle, env)
    env.close()
    return bundle, agent


def test_resuming_is_as_if_never_interrupted(run, tmp_path):
    stopped = begun(tmp_path, method(run))
    for stop in (300, 452):
        interrupted(stopped, stop)
    train(stopped, Progress.silent())
    again, whole = trained_agent(open_run(stopped.path))[0], trained_agent(run)[0]
    assert_same(networks(again), networks(whole))
    if method(run) in RECURRENT:
        assert torch.equal(again.memory.hidden, whole.memory.hidden) and again.memory.hidden.any()


def test_it_learns_and_is_evaluated_like_any_other(run):
    agent = trained_agent(run)[0]
    assert agent.updates > 0
    result = evaluate(run, Request(), Progress.silent())
    shots = result["targets"]["against"]["shots"]
    assert set(shots) == {"0", "2"} and shots["2"]["target_steps_used"] > 0


def test_a_copy_acts_alike_and_shares_nothing(remembering):
    agent = trained_agent(remembering)[0]
    twin = agent.clone()
    env = worlds(reload(remembering), 4, None, 1)
    shown, _ = env.reset(seed=0)
    for _ in range(3):
        assert np.array_equal(agent.act(shown), twin.act(shown))
        shown, *_ = env.step(np.full((4, 2), 0.5))
    twin.memory.hidden += 1.0
    assert not torch.equal(agent.memory.hidden, twin.memory.hidden)


def test_acting_elsewhere_leaves_the_memory_alone(remembering):
    """As validation does in the midst of training."""
    agent = trained_agent(remembering)[0]
    assert isinstance(agent, Remembers) and not isinstance(RandomAgent(agent.action_space, 0), Remembers)
    before = agent.memory.hidden.clone()
    env = worlds(reload(remembering), 7, None, 1)
    first = run_episodes(agent, env, 3).returns
    assert torch.equal(agent.memory.hidden, before)
    assert np.array_equal(run_episodes(agent, env, 3).returns, first)
    shown, _ = env.reset(seed=3)
    shown, *_ = env.step(np.zeros((7, 2)))
    with pytest.raises(ValueError, match=r"act there inside `with agent\.elsewhere"):
        agent.act(shown)
    with elsewhere(agent):
        agent.act(shown)


def test_what_is_shown_decides_and_zeroed_it_does_not(remembering):
    """The same observation after another past is answered otherwise, unless the past is zeroed."""
    env = worlds(reload(remembering), 4, None, 1)
    for memory in ("kept", "zeroed"):
        agent, answers = trained_agent(remembering)[0].clone({"memory": memory}, keep_replay=False), []
        for past in (-1.0, 1.0):
            shown, _ = env.reset(seed=0)
            agent.act(shown, deterministic=True)
            other, *_ = env.step(np.full((4, 2), past))
            agent.act(other, deterministic=True)
            last = {**other, "observation": 0.0 * other["observation"]}
            answers.append(agent.act(last, deterministic=True))
        assert np.array_equal(*answers) == (memory == "zeroed")


def test_on_a_target_it_lives_through_episodes_and_learns_nothing(remembering):
    """What it had in mind after two episodes is what the scored ones begin with: by hand."""
    bundle, agent = reload(remembering), trained_agent(remembering)[0]
    place = fixed(bundle.targets["against"].v)
    copies = {}
    for k, copy, used in adapt(agent, worlds(bundle, 1, place, 1), (0, 1, 2), bundle.spec.evaluate, 7):
        copies[k] = copy.clone()
        assert (used > 0) == (k > 0)
        assert_same(networks(copy), networks(agent))
    assert not copies[0].memory.first.any() and not copies[0].memory.recalled.any()

    twin = begin(agent, bundle.spec.evaluate, 7)
    collector = Collector(worlds(bundle, 1, place, 1), 7)
    while len(collector._episodes) < 2:
        action = twin.act(collector.obs)
        step = collector.step(action)
        twin.observe(step)
    lived = copies[2].memory
    assert torch.equal(lived.first, twin.memory.hidden) and lived.first.any()
    last = [*action[0], step.reward[0], 1.0]  # the action's bounds are −1 and 1
    assert np.allclose(lived.recalled[0], last)
    assert not torch.equal(copies[1].memory.first, lived.first)

    scored = worlds(bundle, 3, place, 1)
    shown, _ = scored.reset(seed=11)
    with elsewhere(copies[2]):
        acted = copies[2].act(shown, deterministic=True)
    raw = copies[2].layout.flatten(shown)
    raw[:, 2:6] = lived.recalled
    inputs = copies[2]._features(raw, copies[2].actor.normalizer(raw))
    summary = copies[2].actor.encoder(inputs[None], lived.first.expand(3, -1).contiguous())[0]
    best = copies[2].actor.gaussian(summary)[0].tanh()
    assert np.allclose(acted, copies[2].actor.to_bounds(best).detach().numpy(), atol=1e-6)


def test_other_ways_to_adapt_are_refused(remembering):
    agent = trained_agent(remembering)[0]
    for settings in ({"finetune": "bias"}, {"finetune": "scratch"}, {"shots": (0, 5), "warm_episodes": 2}):
        with pytest.raises(ValueError, match="adapts by what it remembers"):
            begin(agent, Evaluate.model_validate(settings), 0)


def test_an_on_policy_learner_observes_only_what_it_did(tmp_path):
    _, agent = untrained("rl2")
    session = Session(begun(tmp_path, "rl2"), "policy")
    step = session.loop.step()
    with pytest.raises(ValueError, match="act first"):
        agent.observe(step)
    session.env.close()


def test_untrained_its_updates_are_due_after_a_horizon_and_one_step(tmp_path):
    session = Session(begun(tmp_path, "rl2"), "policy")
    agent = session.loop.agent
    for number in range(45):
        session.loop.step()
        # 20 steps and one are there after the 21st; the next step learns from them: 2 epochs of 2 batches.
        assert agent.updates == 4 * ((number + 1 >= 22) + (number + 1 >= 42))
    session.env.close()


def test_zeroed_from_the_start_is_a_learner_without_memory():
    for algorithm in RECURRENT:
        bundle, agent = untrained(algorithm, "memory: zeroed")
        x = torch.randn(4, 2, agent.inputs)
        assert torch.allclose(agent.actor.encoder(x)[3], agent.actor.encoder(x[3:])[0], atol=1e-6)
        assert wants_of(algorithm, bundle.spec.train.agent) == Wants(recall=True, episodes=2)


def test_a_history_is_seen_by_both_and_zeroed_by_none():
    _, agent = untrained("history_sac")
    random = np.random.default_rng(0)
    shown = {key: random.normal(size=(5, space.shape[0])) for key, space in agent.observation_space.items()}
    past = {**shown, "history": np.roll(shown["history"], 1, 0)}
    told = {**shown, "domain": np.roll(shown["domain"], 1, 0)}
    action = torch.zeros(5, 2)

    def value(own, obs):
        with torch.no_grad():
            return own.critic(own.actor.normalizer(own.layout.flatten(obs)), action)

    zeroed = agent.clone({"memory": "zeroed"})
    for own, same in ((agent, False), (zeroed, True)):
        assert np.array_equal(own.act(shown, True), own.act(past, True)) == same
        assert torch.equal(value(own, shown), value(own, past)) == same
        assert np.array_equal(own.act(shown, True), own.act(told, True))
        assert torch.equal(value(own, shown), value(own, told))


def test_wrong_settings_are_said_with_their_place():
    for algorithm, own, says in (
        ("recurrent_sac", "n_step: 3", "n_step"),
        ("recurrent_sac", "her: true", "her"),
        ("recurrent_sac", "memory: some", "memory"),
        ("rl2", "clip: 0", "clip"),
        ("rl2", "horizons: 3", "horizons"),
    ):
        with pytest.raises(SpecError, match=rf"train\.agent\.{says}"):
            load_text(text(algorithm, own=own), "spec.yaml", CATALOG)
