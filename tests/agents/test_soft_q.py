"""Soft Q-learning: soft values and samplers against closed forms, state, and goals that are as good."""

import math
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from sim2real.agents import Loop, SoftQ, SoftQConfig, make_agent
from sim2real.agents.replay import Batch
from sim2real.agents.sampler import stein_direction
from sim2real.agents.soft_q import action_values, soft_value
from sim2real.envs.make import make_vector
from sim2real.evaluation.fewshot import adapt
from sim2real.progress import Progress
from sim2real.session import CATALOG, Session, fresh_agent, trained_agent
from sim2real.spec import Evaluate, load
from sim2real.train import start, train_part

from .toys import SMALL, transitions

SPEC = Path(__file__).parents[2] / "assets/specs/soft_q/goals.yaml"
NARROW = {**SMALL, "actor_hidden": (64, 64), "target_every": 20, "value_samples": 16}


class Known(nn.Module):
    """A critic of which everything is known."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features, action):
        return self.function(features, action)[None]


def made(actions=1, seed=0, function=None, observations=1, **changes):
    """An agent that has learned nothing, with a critic of which everything is known."""
    spaces = (gym.spaces.Box(-1.0, 1.0, (size,), np.float32) for size in (observations, actions))
    agent = SoftQ(*spaces, SoftQConfig.model_validate({**NARROW, **changes}), seed)
    if function is not None:
        agent.critic = Known(function)
    return agent


@pytest.mark.parametrize("alpha", [0.2, 1.0])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_soft_value_of_a_quadratic_is_the_gaussian_integral(alpha, d):
    # V = alpha log of the product of sqrt(pi alpha / c) (erf(sqrt(c / alpha) (1 - m)) + erf(... (1 + m))) / 2
    c, m = 2.0, 0.3
    scale = math.sqrt(c / alpha)
    edges = math.erf(scale * (1 - m)) + math.erf(scale * (1 + m))
    exact = alpha * d * math.log(math.sqrt(math.pi) / scale * edges / 2)
    agent = made(
        d, function=lambda s, a: -c * (a - m).square().sum(-1), temperature=alpha, value_samples=5000
    )
    values = agent.value(torch.zeros(40, 1))
    assert values.shape == (40,)
    assert values.mean().item() == pytest.approx(exact, abs=0.01)


def test_the_soft_value_has_the_volume_of_the_box_in_it():
    # Of a constant Q = q it is q + alpha d log 2, exactly and with any number of samples.
    np.testing.assert_allclose(soft_value(torch.full((4, 7), 3.0), 0.5, 6), 3.0 + 0.5 * 6 * math.log(2))
    # And it tends to the maximum as the temperature falls.
    values = torch.tensor([[0.0, 2.0, 1.0]])
    assert soft_value(values, 1e-4, 2).item() == pytest.approx(2.0, abs=1e-3)


def test_td_target_bootstraps_truncation_but_not_termination():
    agent = made(2, temperature=0.5)
    agent.target = Known(lambda s, a: torch.full((len(a),), 7.0))
    batch = Batch(
        obs=torch.zeros(2, 1),
        action=torch.zeros(2, 2),
        reward=torch.tensor([1.0, 2.0]),
        next_obs=torch.zeros(2, 1),
        discount=torch.tensor([0.9, 0.0]),
    )
    np.testing.assert_allclose(agent.td_target(batch), [1.0 + 0.9 * (7.0 + 2 * 0.5 * math.log(2)), 2.0])


def test_the_lesser_of_two_critics_counts():
    agent = made(2, members=2)
    features, actions = torch.zeros(3, 1), torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0))
    both = torch.stack([agent.critic(features, actions[:, k]) for k in range(5)], -1)
    values = action_values(agent.critic, features, actions)
    np.testing.assert_allclose(values.detach(), both.amin(0).detach(), atol=1e-6)
    assert (both[0] != both[1]).all()


def test_one_particle_alone_climbs_the_plain_gradient():
    raw = torch.tensor([[[0.3, -0.7]], [[1.2, 0.1]]], requires_grad=True)
    agent = made(2, function=lambda s, a: -3.0 * (a - 0.2).square().sum(-1), temperature=0.5)
    (score,) = torch.autograd.grad(agent.log_target(torch.zeros(2, 1), raw).sum(), raw)
    a = raw.detach().tanh()
    np.testing.assert_allclose(score, -6.0 * (a - 0.2) / 0.5 * (1 - a**2) - 2 * a, rtol=1e-5)
    raw = raw.detach()
    torch.testing.assert_close(stein_direction(raw, raw, score), score, rtol=0, atol=0)


def test_steins_direction_by_hand_and_its_repulsion():
    moved, fixed = torch.tensor([[[0.0]]]), torch.tensor([[[1.0], [-2.0], [3.0]]])
    score = torch.tensor([[[0.5], [1.0], [-4.0]]])
    h = 4.0 / math.log(4)
    k = np.exp(-np.array([1.0, 4.0, 9.0]) / h)
    expected = np.mean(k * [0.5, 1.0, -4.0] + k * 2 / h * (0.0 - np.array([1.0, -2.0, 3.0])))
    assert stein_direction(moved, fixed, score).item() == pytest.approx(expected, rel=1e-5)
    # Without any target, what lies on one side pushes to the other.
    pair = torch.tensor([[[0.1], [-0.1]]])
    pushed = stein_direction(pair, pair, torch.zeros_like(pair))[0, :, 0]
    assert pushed[0] > 0 > pushed[1] and pushed.sum().item() == pytest.approx(0.0, abs=1e-6)


def test_particles_of_a_gaussian_that_fit_it_stay():
    # Stein's identity: where p is sampled already, the mean direction is 0 (up to the noise of 4000 draws).
    noise = torch.Generator().manual_seed(0)
    fixed = torch.randn(1, 4000, 1, generator=noise)
    moved = torch.tensor([[[-1.0], [0.0], [0.5]]])
    assert stein_direction(moved, fixed, -fixed).abs().max() < 0.05
    assert stein_direction(moved, fixed, -4.0 * fixed).abs().max() > 0.2


SHAPES = {
    "two modes": lambda s, a: 0.3 * (0.5 * a[:, 0] - 20.0 * (a[:, 0] ** 2 - 0.25) ** 2),
    "at a bound": lambda s, a: 0.3 * 4.0 * a[:, 0],
    "flat": lambda s, a: 0.0 * a[:, 0],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sampler_draws_what_its_energy_says(shape):
    energy, alpha = SHAPES[shape], 0.3
    agent = made(function=energy, temperature=alpha, updated_particles=16)
    for rate in (3e-3, 3e-4):
        agent._optimizers["actor"].set_lr(rate)
        for _ in range(500 if rate > 1e-3 else 200):
            agent._update_sampler(torch.zeros(16, 1))
    drawn = agent.act(np.zeros((20_000, 1)))[:, 0]
    edges = np.linspace(-1, 1, 41)
    fine = torch.linspace(-1, 1, 8001, dtype=torch.float64)[:-1] + 1 / 8000
    density = np.exp(energy(None, fine[:, None]).numpy() / alpha).reshape(40, 200).sum(1)
    seen = np.histogram(drawn, edges)[0] / len(drawn)
    assert 0.5 * np.abs(seen - density / density.sum()).sum() <= 0.1


def test_the_deterministic_action_is_the_best_of_some_and_depends_on_its_observation_alone():
    def energy(features, action):
        return -(action[:, 0] - features[:, 0]).square()

    agent = made(function=energy, greedy_particles=64, normalize_observations=False)
    obs = np.linspace(-0.3, 0.3, 9)[:, None]
    before = agent.state_dict()["generator"]
    chosen = agent.act(obs, deterministic=True)
    raw = agent.actor(torch.tensor(obs, dtype=torch.float32), agent._greedy_noise).tanh()[..., 0].detach()
    best = np.abs(raw.numpy() - obs).min(1)
    np.testing.assert_allclose(np.abs(chosen - obs)[:, 0], best, atol=1e-6)
    np.testing.assert_array_equal(chosen[3:4], agent.act(obs[3:4], deterministic=True))
    assert torch.equal(agent.state_dict()["generator"], before)


def feed(agent, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        obs, following = rng.uniform(-1, 1, (2, 8, 1))
        action = rng.uniform(-1, 1, (8, 1)).astype(np.float32)
        agent.observe(transitions(obs, following, action=action, reward=rng.normal(size=8)))
        agent.update()


def test_the_target_is_copied_every_so_many_updates():
    agent = made(learning_starts=0, target_every=16)
    first = agent.target.head.bias.clone()
    feed(agent, 3)  # 8 updates a step, of which the first earns those of the first step already
    assert agent.updates == 24 and not torch.equal(agent.target.head.bias, first)
    copied = agent.target.head.bias.clone()
    assert not torch.equal(copied, agent.critic.head.bias)
    feed(agent, 1)
    assert torch.equal(agent.target.head.bias, agent.critic.head.bias)
    assert not agent.target.head.bias.requires_grad


def test_the_temperature_falls_log_linearly_and_is_kept_by_copies():
    schedule = {"temperature": 1.0, "final_temperature": 0.01, "anneal_updates": 64}
    agent = made(learning_starts=0, **schedule)
    assert agent.alpha == 1.0
    feed(agent, 4)
    assert agent.alpha == pytest.approx(0.1)
    twin = agent.clone({"trainable": "last_layer"}, keep_replay=False)
    assert twin.alpha == agent.alpha and twin.updates == 0
    assert agent.clone({"final_temperature": 0.5}).alpha == 1.0
    feed(agent, 8)
    assert agent.alpha == pytest.approx(0.01)
    assert made(temperature=0.7).alpha == 0.7


def test_resuming_is_exact(tmp_path):
    agent = made(learning_starts=0, final_temperature=0.01)
    feed(agent, 4)
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    other = made(seed=9, learning_starts=0, final_temperature=0.01)
    other.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for each in (agent, other, agent.clone()):
        feed(each, 3, seed=1)
    for name, network in agent.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, other.networks[name].state_dict()[key]), f"{name}.{key}"
    obs = np.random.default_rng(0).uniform(-1, 1, (20, 1))
    np.testing.assert_array_equal(agent.act(obs), other.act(obs))
    assert agent.alpha == other.alpha and agent.metrics() == other.metrics()


def test_a_spec_trains_resumes_and_adapts(tmp_path):
    small = ("steps=400", "num_envs=8", "agent.batch_size=16", "agent.learning_starts=200")
    small = tuple(f"train.{setting}" for setting in (*small, "agent.critic_hidden=[16]"))
    whole, halved = (start(SPEC, small, tmp_path / name) for name in ("whole", "halved"))
    train_part(whole, "policy", Progress.silent())
    session = Session(halved, "policy")
    session.loop.run_until(304)
    session.save()
    train_part(halved, "policy", Progress.silent())
    agent, other = (trained_agent(run)[0] for run in (whole, halved))
    assert isinstance(agent, SoftQ) and agent.steps == 400
    assert torch.equal(agent.critic.body[0].weight, other.critic.body[0].weight)
    assert torch.equal(agent.actor.head.weight, other.actor.head.weight)
    settings = Evaluate(finetune="last_layer", updates_per_step=0.5)
    env = make_vector("PointGoals-v0", 1)
    for k, adapted, steps in adapt(agent, env, (0, 1), settings, 0):
        changed = not torch.equal(adapted.actor.head.weight, agent.actor.head.weight)
        assert changed == (k == 1) and (k == 1) == (steps > 0)
        assert torch.equal(adapted.actor.body[0].weight, agent.actor.body[0].weight)


def shares(agent, where=None, worlds=400):
    """The share of rollouts of the stochastic policy that end at each goal (goals,)."""
    env = make_vector("PointGoals-v0", worlds, autoreset=False, threads=1)
    obs, _ = env.reset(seed=1_000)
    if where is not None:
        env.worlds.bind("qpos")[:] = where
        env.worlds.forward()
        obs = env.worlds.bind("qpos").copy()
    reached, running = np.full(worlds, -1), np.ones(worlds, bool)
    while running.any():
        obs, _, terminated, truncated, _ = env.step(agent.act(obs))
        apart = np.linalg.norm(obs[:, None] - env.task.goals, axis=-1)
        hit = running & terminated
        reached[hit] = apart[hit].argmin(1)
        running &= ~(terminated | truncated)
    return (reached[:, None] == np.arange(len(env.task.goals))).mean(0)


@pytest.mark.slow
def test_it_reaches_all_goals_that_are_as_good():
    bundle = load(SPEC, CATALOG)
    env = make_vector("PointGoals-v0", bundle.spec.train.num_envs, threads=1)
    agent = fresh_agent(bundle, env)
    Loop(agent, env, 0).run_until(15_000)
    for found in (shares(agent), shares(agent, where=(0.0, 0.0))):
        assert (found >= 0.1).all() and found.sum() >= 0.95
    # Between two goals it goes to either.
    east, north, *others = shares(agent, where=(2.5, 2.5))
    assert min(east, north) >= 0.2 and sum(others) <= 0.05


@pytest.mark.slow
def test_without_entropy_a_start_leads_to_one_goal():
    env = make_vector("PointGoals-v0", 32, threads=1)
    spaces = env.single_observation_space, env.single_action_space
    widths = {"actor_hidden": (128, 128), "critic_hidden": (128, 128), "actor_lr": 1e-3}
    settings = {"temperature": 1e-3, "batch_size": 64, "learning_starts": 1_000, "updates_per_step": 0.25}
    agent = make_agent("sac", *spaces, {**widths, **settings}, 0)
    Loop(agent, env, 0).run_until(10_000)
    for where in ((0.0, 0.0), (0.1, 0.05)):
        assert shares(agent, where).max() >= 0.9
