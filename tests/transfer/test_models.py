"""Model-based methods: what plans are worth, other rewards, contexts, imagined batches, and going on."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch

from sim2real.agents import Transitions
from sim2real.agents.dynamics import Imagined
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.progress import Progress
from sim2real.runs import open_run
from sim2real.session import CATALOG, Session, trained_agent
from sim2real.spec import SpecError, load_text
from sim2real.train import train
from sim2real.transfer.mbpo import Ring
from sim2real.transfer.registry import METHODS, wants_of
from tests.agents.test_sac import same
from tests.continuing import begun_with, interrupted

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
  checkpoint_every: 50
  agent: {{learning_starts: 40, model_hidden: [16, 16], {own}}}
evaluate: {{episodes: 2, shots: [0, 1]}}
"""
PLANNED = "horizon: 3, candidates: 8, elites: 2, iterations: 2"
PLANNING = f"batch_size: 160, updates_per_step: 0.25, value_actions: 2, {PLANNED}"
OWN = {
    "pets": PLANNING,
    "cadm": f"{PLANNING}, history: 3",
    "mbpo": "actor_hidden: [16, 16], critic_hidden: [16, 16], batch_size: 40, updates_per_step: 0.5, "
    "model_updates: 0.5, rollout_every: 50, rollouts: 60, rollout_length: 2, imagined_capacity: 100",
}


def text(algorithm, steps=120, own=""):
    return SPEC.format(algorithm=algorithm, steps=steps, own=", ".join(filter(None, (OWN[algorithm], own))))


def begun(folder, algorithm, name="run", **changes):
    return begun_with(folder, text(algorithm, **changes), name)


@pytest.fixture(scope="module", params=OWN)
def run(request, tmp_path_factory):
    """A finished run of each method."""
    made = begun(tmp_path_factory.mktemp(request.param), request.param)
    train(made, Progress.silent())
    return made


def agent_of(algorithm, obs=2, own=None, **settings):
    """An untrained agent in worlds of `obs` numbers and one action between -2 and 2."""
    method = METHODS[algorithm]
    space = gym.spaces.Box(-np.inf, np.inf, (obs,))
    if algorithm == "cadm":
        shown = {"observation": space, "history": gym.spaces.Box(-np.inf, np.inf, (3 * (obs + 1),))}
        space = gym.spaces.Dict({**shown, "domain": gym.spaces.Box(-np.inf, np.inf, (1,))})
    config = method.config.model_validate({"model_hidden": [8], "learning_starts": 0, **settings})
    return method.make(space, gym.spaces.Box(-2.0, 2.0, (1,)), config, 0, None, None)


def fed(agent, steps=30, worlds=2, seed=0):
    """The agent after some steps of a world that moves by its action, ends beyond 1, and pays x."""
    random = np.random.default_rng(seed)
    for _ in range(steps):
        obs, action = random.normal(size=(worlds, 2)), random.uniform(-2, 2, (worlds, 1)).astype(np.float32)
        after = obs + action
        no = np.zeros(worlds, bool)
        ended = after[:, 0] > 1.0
        agent.observe(Transitions(obs, action, after[:, 0], after, ended, no, ~no, ~no, no))
    return agent


def test_it_is_evaluated_and_adapts_like_any_other(run):
    result = evaluate(run, Request(), Progress.silent())
    shots = result["targets"]["against"]["shots"]
    assert set(shots) == {"0", "1"} and shots["1"]["target_steps_used"] > 0


def test_resuming_is_as_if_never_interrupted(run, tmp_path):
    algorithm = Session(run, "policy").bundle.spec.train.algorithm
    stopped = begun(tmp_path, algorithm)
    for stop in (60, 92):
        interrupted(stopped, stop)
    train(stopped, Progress.silent())
    first, second = (trained_agent(open_run(one.path))[0].state_dict() for one in (stopped, run))
    first.pop("curves"), second.pop("curves")
    assert same(first, second)


def test_acting_needs_only_the_policys_state_and_each_worlds_own_observation(run):
    agent = trained_agent(run)[0]
    obs = {k: np.random.default_rng(0).normal(size=(5, space.shape[0])) for k, space in shown(agent).items()}
    obs = obs if isinstance(agent.observation_space, gym.spaces.Dict) else obs["observation"]
    together = agent.act(obs, deterministic=True)
    agent.act(obs)
    one = {k: v[3:4] for k, v in obs.items()} if isinstance(obs, dict) else obs[3:4]
    assert np.allclose(agent.act(one, deterministic=True)[0], together[3], atol=1e-5)
    other = type(agent)(agent.observation_space, agent.action_space, agent.config, 5)
    other.load_policy_state_dict(agent.policy_state_dict())
    assert np.array_equal(other.act(obs, deterministic=True), together)


def shown(agent):
    space = agent.observation_space
    return space.spaces if isinstance(space, gym.spaces.Dict) else {"observation": space}


class Steady(torch.nn.Module):
    """A model by which each step pays the action, moves by it, and goes on with probability 0.5."""

    def imagine(self, inputs, unit, noise=None):
        state, action = inputs[..., :2], inputs[..., -1]
        return Imagined(state + action[..., None], action, torch.full_like(action, 0.5))


def test_a_plan_is_worth_its_rewards_while_the_task_goes_on_and_the_value_behind_it():
    agent = agent_of("pets", gamma=0.9, horizon=3)
    agent.actor.dynamics = Steady()
    agent.value = lambda features, none: features[:, 0].expand(2, -1)
    plans = torch.tensor([[[[1.0], [0.5], [-1.0]], [[0.0], [0.0], [0.0]]]])
    worth = agent.returns(torch.tensor([[0.3, 0.0]]), torch.zeros(1, 0), plans)
    on = 0.9 * 0.5
    assert torch.allclose(worth[0, 0], torch.tensor(1 + on * 0.5 - on**2 + on**3 * (0.3 + 0.5)))
    assert torch.allclose(worth[0, 1], torch.tensor(on**3 * 0.3))


def cold(obs, action, after):
    """Paid for a negative first entry after a step; actions and observations are raw."""
    assert action.abs().max() <= 2.0
    return -after[:, 0]


def test_another_reward_needs_no_new_sample_and_leaves_the_model_alone():
    agent = fed(agent_of("pets", gamma=0.5, updates_per_step=2, horizon=2), 60)
    agent.update()
    still = np.zeros((1, 2))
    assert agent.act(still, deterministic=True)[0, 0] > 0.3
    before = agent.state_dict()
    other = agent.rewarded(f"{__name__}:cold", updates=60)
    assert same(before, agent.state_dict())
    assert other.act(still, deterministic=True)[0, 0] < -1.0
    assert same(other.actor.state_dict(), agent.actor.state_dict()) and other.steps == agent.steps
    assert not same(other.value.state_dict(), agent.value.state_dict())
    with pytest.raises(ValueError, match="nothing was"):
        agent_of("pets").rewarded(f"{__name__}:cold")


def test_a_given_reward_is_asked_in_the_units_of_the_environment():
    agent = fed(agent_of("pets", reward=f"{__name__}:cold"))
    raw = torch.tensor([[[0.7, -0.2]], [[-0.4, 0.1]]])
    unit, mean = agent._unit, agent.actor.normalizer.mean.float()
    given = agent._given((raw - mean) / unit, torch.zeros(2, 1, 1), (raw + 1.0 - mean) / unit)
    assert torch.allclose(given, torch.tensor([[-1.7], [-0.6]]), atol=1e-5)


def test_the_value_learns_what_is_to_come():
    """One state that pays 1 and goes on for ever is worth 1 / (1 - gamma)."""
    agent = agent_of("pets", gamma=0.5, updates_per_step=10, value_lr=1e-2, tau=0.1)
    no, obs = np.zeros(2, bool), np.zeros((2, 2))
    for _ in range(10):
        agent.observe(Transitions(obs, np.zeros((2, 1), np.float32), np.ones(2), obs, no, no, no, ~no, no))
    agent.update()
    assert agent.value(torch.zeros(1, 2), torch.zeros(1, 0)).mean().item() == pytest.approx(2.0, abs=0.1)


def test_a_value_is_that_of_the_action_taken_or_of_a_better_one_that_is_imagined():
    agent = fed(agent_of("pets", gamma=0.5, value_actions=50))
    agent.actor.dynamics = Steady()
    agent.value_target = lambda features, none: torch.zeros(2, len(features))
    batch = next(agent._batches(agent.replay, 1))
    backup, real = agent._backup(batch), batch.reward
    assert (backup >= real).all() and torch.equal(backup[real > 1.0], real[real > 1.0])
    # The best of 50 uniform actions, which pay what they are, is nearly 1.
    assert ((backup[real < 0.4] > 0.4) & (backup[real < 0.4] <= 1.0)).all()


def test_partial_adaptation_moves_only_what_it_names():
    agent = fed(agent_of("pets", updates_per_step=1))
    agent.update()
    copy = fed(agent.clone({"trainable": "last_layer"}, keep_replay=False), seed=1)
    copy.update()
    before, after = agent.actor.dynamics.state_dict(), copy.actor.dynamics.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"head.weight", "head.bias"}


def test_a_context_is_made_of_the_history_and_nothing_of_the_domain():
    assert wants_of("cadm", {"history": 5}).history == 5
    with pytest.raises(ValueError, match="show a context"):
        box = gym.spaces.Box(-1, 1, (3,))
        METHODS["cadm"].make(box, box, METHODS["cadm"].config(), 0, None, None)
    random = np.random.default_rng(1)
    for told, sees in (("context", True), ("nothing", False)):
        agent = agent_of("cadm", history=3, told=told)
        obs = {key: random.normal(size=(4, space.shape[0])) for key, space in shown(agent).items()}
        before = agent.act(obs, deterministic=True)
        made = agent.actor.context(agent.layout.flatten(obs))
        assert made.shape == (4, 8 if sees else 0)
        moved = {**obs, "history": obs["history"] + 1.0}
        assert torch.equal(agent.actor.context(agent.layout.flatten(moved)), made) == (not sees)
        elsewhere = {**obs, "domain": obs["domain"] + 5.0}
        assert torch.equal(agent.actor.context(agent.layout.flatten(elsewhere)), made)
        assert before.shape == (4, 1)


def test_a_move_is_what_was_seen_done_and_changed_and_the_order_of_moves_does_not_matter():
    agent = agent_of("cadm", history=3)
    random = np.random.default_rng(2)
    agent.actor.normalizer.update(torch.from_numpy(random.normal(3, 2, (50, agent.layout.size))))
    agent.actor.dynamics.scale.update(torch.from_numpy(random.normal(0, 0.5, (50, 3))))
    place, scale = agent.actor.normalizer, agent.actor.dynamics.scale
    first, then, now, action = (random.normal(size=(1, k)) for k in (2, 2, 2, 2))
    pairs = np.concatenate([np.zeros((1, 3)), first, action[:, :1], then, action[:, 1:]], 1)
    features = agent.actor.normalizer(
        agent.layout.flatten({"observation": now, "history": pairs, "domain": [[0.0]]})
    )
    moves, happened = agent.actor.moves(features)
    assert happened.tolist() == [[0.0, 1.0, 1.0]]
    for k, (seen, after) in enumerate([(first, then), (then, now)]):
        changed = (after - seen - scale.mean[:2].numpy()) / scale.var[:2].sqrt().numpy()
        placed = (seen - place.mean[:2].numpy()) / place.var[:2].sqrt().numpy()
        expected = np.concatenate([placed, action[:, k : k + 1], changed], 1)
        assert np.allclose(moves[:, k + 1], expected, atol=1e-4)
    context = agent.actor.encoder(moves, happened)
    swapped = agent.actor.encoder(moves[:, [0, 2, 1]], happened)
    never = agent.actor.encoder(moves + torch.tensor([[[7.0], [0.0], [0.0]]]), happened)
    assert torch.allclose(swapped, context, atol=1e-6) and torch.allclose(never, context, atol=1e-6)
    assert not torch.allclose(agent.actor.encoder(2 * moves, happened), context, atol=1e-3)


def test_the_encoder_learns_from_both_directions():
    agent = agent_of("cadm", history=3)
    random = np.random.default_rng(0)
    n, no = 2, np.zeros(2, bool)

    def seen():
        return {key: random.normal(size=(n, space.shape[0])) for key, space in shown(agent).items()}

    for _ in range(5):
        action = random.uniform(-1, 1, (n, 1)).astype(np.float32)
        agent.observe(Transitions(seen(), action, np.ones(n), seen(), no, no, no, ~no, no))
    batch = next(agent._batches(agent.replay, 1))
    weight = agent.actor.encoder.each[0].weight
    (both,) = torch.autograd.grad(agent._model_loss(batch)[0], weight)
    forward = agent.clone({"backward": 0.0})
    weight = forward.actor.encoder.each[0].weight
    (alone,) = torch.autograd.grad(forward._model_loss(batch)[0], weight)
    assert both.abs().sum() > 0 and alone.abs().sum() > 0 and not torch.equal(both, alone)


def test_imagined_steps_are_those_of_the_model_and_end_as_it_says():
    agent = fed(agent_of("mbpo", rollouts=40, rollout_length=1, gamma=0.9))
    agent.dynamics.imagine = lambda inputs, unit, noise: Imagined(
        inputs[..., :2] + 1.0, inputs[..., 2], (inputs[..., 0] > 0).float()
    )
    agent._imagine(agent.replay)
    obs, action, reward, after, discount = agent._read(agent.imagined._rows[:40])
    normalizer = agent.actor.normalizer
    assert torch.allclose(normalizer(after), normalizer(obs) + 1.0, atol=1e-4)
    assert torch.allclose(reward, action[:, 0])
    assert torch.allclose(discount, 0.9 * (normalizer(obs)[:, 0] > 0))


@pytest.mark.parametrize(("ratio", "real"), [(0.0, 0), (0.25, 8), (1.0, 32)])
def test_a_batch_has_its_share_of_what_really_happened(ratio, real):
    agent = fed(agent_of("mbpo", rollouts=40, real_ratio=ratio, batch_size=32))
    agent._imagine(agent.replay)
    agent.imagined._rows[:, 3] = 77.0
    batches = list(agent._batches(agent.replay, 11))
    assert len(batches) == 11
    for batch in batches:
        assert len(batch.reward) == 32 and int((batch.reward != 77.0).sum()) == real


def test_nothing_is_learned_of_imagined_worlds_before_there_are_any():
    agent = agent_of("mbpo", learning_starts=20, rollouts=10, rollout_every=10, updates_per_step=1)
    fed(agent, 10)
    assert agent.update() == 0 and agent.imagined is None
    fed(agent, 1)
    assert agent.update() == 2 and agent.imagined is not None
    copy = agent.clone(keep_replay=False)
    assert copy.imagined is None and copy.steps == 0
    assert same(agent.clone().state_dict(), agent.state_dict())


def test_what_is_imagined_first_comes_of_a_model_that_learned_in_the_warm_up(monkeypatch):
    agent = agent_of("mbpo", learning_starts=20, rollouts=10, rollout_every=10, model_updates=0.5)
    done, imagine = [], agent._imagine
    monkeypatch.setattr(agent, "_update_model", lambda replay: done.append(len(replay)))
    monkeypatch.setattr(agent, "_imagine", lambda replay: (done.append("imagined"), imagine(replay)))
    for steps in range(1, 12):
        fed(agent, 1)
        agent.update()
        assert len(done) == (0 if steps < 10 else 10 if steps == 10 else 12)
    assert done == [20] * 10 + [22, "imagined"]


def test_a_ring_keeps_the_newest_rows():
    ring, generator = Ring(4, 1), torch.Generator().manual_seed(0)
    ring.put(torch.arange(3.0)[:, None])
    assert set(ring.sample(60, generator)[:, 0].tolist()) == {0.0, 1.0, 2.0}
    ring.put(torch.arange(3.0, 6.0)[:, None])
    assert set(ring.sample(60, generator)[:, 0].tolist()) == {2.0, 3.0, 4.0, 5.0}
    other = Ring(4, 1)
    other.load_state_dict(ring.state_dict())
    other.put(torch.tensor([[9.0]]))
    ring.put(torch.tensor([[9.0]]))
    assert same(other.state_dict(), ring.state_dict())


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("members: 3", "multiple of members, 3"),
        ("candidates: 8, elites: 9", "at most, given 9"),
        ("candidates: 7", "candidates"),
        ("reward: nowhere.at:all", "reward 'nowhere.at:all' cannot be loaded"),
        ("her: true", "the same whatever the goal"),
        ("n_step: 3", "n_step"),
    ],
)
def test_wrong_settings_are_said_with_their_place(own, says):
    key = own.partition(":")[0]
    lines = text("pets", own=own)
    if key in PLANNING:
        lines = text("pets").replace(PLANNING, f"batch_size: 160, {own}")
    with pytest.raises(SpecError, match=says):
        load_text(lines, "spec.yaml", CATALOG)


def test_leaning_and_place_of_the_balance_task():
    from assets.mjcf.balance import AWAY, at, away
    from sim2real.envs import make_task
    from sim2real.envs.task import State

    task = make_task("assets.mjcf.balance:Balance", {"place": 0.5})
    angles = math.pi + np.array([0.0, 0.39, 0.41, -0.41, 0.0])
    qpos = np.stack([[0.5, 0.5, 0.5, 0.5, 1.16], angles], 1)
    state = State({"qpos": qpos, "qvel": np.zeros((5, 2))})
    assert task.terminated(state).tolist() == [False, False, True, True, True]
    assert task.reward(state, state, None)[0] == 1.0 and at(np.array([1.0]), 0.5)[0] == pytest.approx(
        math.exp(-1)
    )
    seen = task.observe(state)
    assert seen[1, 1] == pytest.approx(math.sin(0.39)) and seen[1, 2] == pytest.approx(1 - math.cos(0.39))
    after = torch.as_tensor(seen)
    assert AWAY == 0.5 and torch.allclose(
        away(after, after, after), torch.as_tensor(task.reward(state, state, None))
    )
