"""Soft actor-critic: its targets, its bookkeeping, and copies that are truly apart."""

import io

import gymnasium as gym
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sim2real.agents import AGENTS, SAC, Loop, RandomAgent, SACConfig, make_agent
from sim2real.agents.matmul import fast_matmul
from sim2real.agents.replay import Batch

from .toys import SMALL, Identity, box, counting, small, transitions

SPACES = gym.spaces.Box(-1.0, 1.0, (2,), np.float64), gym.spaces.Box(-2.0, 1.0, (2,), np.float32)


def near(achieved, desired, info):
    return -np.abs(achieved - desired)[:, 0]


LEARNERS = sorted(AGENTS)
FEW = {"value_samples": 8, "particles": 8, "updated_particles": 8}
OWN = {"soft_q": {"target_every": 20, "temperature": 0.01, **FEW}}
"""What a learner needs besides `SMALL` to learn in a second."""


@pytest.fixture(params=LEARNERS)
def learner(request):
    """The name of each learner in turn."""
    return request.param


def made(learner, seed=0, **changes):
    """An untrained agent of some name."""
    entry = AGENTS[learner]
    return entry.agent(
        *SPACES, entry.config.model_validate({**SMALL, **OWN.get(learner, {}), **changes}), seed
    )


def learned(seed=0, steps=240, learner="sac", **changes):
    """An agent after some updates in the identity world."""
    agent = made(learner, seed, **changes)
    Loop(agent, Identity(), seed).run_until(steps)
    return agent


def flat(tree, path=""):
    """All leaves of a nested state by path."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return {path: tree}
    return {k: v for key, value in items for k, v in flat(value, f"{path}/{key}").items()}


def same(a, b):
    """Whether two states are equal bit for bit."""
    a, b = flat(a), flat(b)
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


def still(worlds):
    return {"action": np.zeros((worlds, 2), np.float32)}


def feed(agent, steps, worlds=1):
    """Show the agent the same dull transition again and again."""
    for _ in range(steps):
        agent.observe(transitions(np.zeros((worlds, 2)), np.zeros((worlds, 2)), **still(worlds)))


def test_td_target_by_hand_bootstraps_truncation_but_not_termination():
    agent = SAC(*SPACES, small(temperature=0.5, gamma=0.9), 0)
    for parameter in agent.target.parameters():
        parameter.zero_()
    agent.target.head.bias[:, 0, 0] = torch.tensor([7.0, 5.0])
    for parameter in agent.actor.head.parameters():
        parameter.data.zero_()
    batch = Batch(
        obs=torch.zeros(2, 2),
        action=torch.zeros(2, 2),
        reward=torch.tensor([1.0, 2.0]),
        next_obs=torch.zeros(2, 2),
        discount=torch.tensor([0.9, 0.0]),
    )
    noise = torch.empty(2, 2).normal_(generator=torch.Generator().set_state(rng(agent)))
    # Zero heads mean a Gaussian of mean 0 and log std -1.5, the middle of its bounds.
    u = np.exp(-1.5) * noise[0].numpy()
    log_prob = np.sum(
        -0.5 * noise[0].numpy() ** 2 + 1.5 - 0.5 * np.log(2 * np.pi) - np.log(1 - np.tanh(u) ** 2)
    )
    expected = [1.0 + 0.9 * (5.0 - 0.5 * log_prob), 2.0]
    np.testing.assert_allclose(agent.td_target(batch), expected, rtol=1e-5)


def rng(agent):
    return agent.state_dict()["generator"]


def test_truncation_is_stored_as_a_future_and_termination_as_none():
    agent = SAC(box(3), gym.spaces.Box(-1.0, 1.0, (1,), np.float32), small(), 0)
    loop = Loop(agent, counting(gym.vector.AutoresetMode.SAME_STEP), 0)
    loop.run_until(120)
    batch = agent.replay.sample(1000, torch.Generator())
    last = batch.next_obs[:, 2] == batch.obs[:, 0] + 2
    odd = batch.obs[:, 0] % 2 == 1
    assert torch.equal(batch.discount == 0.0, last & odd)
    assert torch.equal(batch.next_obs[:, 2], batch.obs[:, 2] + 1)


def test_same_seed_same_parameters_bit_for_bit(learner):
    one, again, other = (learned(learner=learner, seed=seed) for seed in (3, 3, 4))
    assert same(one.state_dict(), again.state_dict())
    assert not same(one.actor.state_dict(), other.actor.state_dict())


def test_learning_leaves_the_global_generators_alone(learner):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    learned(learner=learner)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_a_saved_file_loads_weights_only_and_restores_everything(tmp_path, learner):
    agent = learned(learner=learner)
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    twin = made(learner, 99)
    twin.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    assert same(agent.state_dict(), twin.state_dict())
    for each in (agent, twin):
        feed(each, 3, worlds=8)
        each.update()
    assert same(agent.state_dict(), twin.state_dict())


def test_the_policy_state_acts_alike_and_is_light(learner):
    agent, twin = learned(learner=learner), made(learner, 99)
    twin.load_policy_state_dict(agent.policy_state_dict())
    obs = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    np.testing.assert_array_equal(agent.act(obs, True), twin.act(obs, True))
    buffer = io.BytesIO()
    torch.save(agent.policy_state_dict(), buffer)
    assert buffer.tell() < 12_000


def test_actions_are_float32_within_bounds(learner):
    agent = learned(learner=learner)
    obs = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    for deterministic in (False, True):
        action = agent.act(obs, deterministic)
        assert action.dtype == np.float32 and action.shape == (500, 2)
        assert (action >= -2.0).all() and (action <= 1.0).all()
    assert not np.array_equal(agent.act(obs), agent.act(obs))


def test_a_clone_goes_on_alike_but_alone(learner):
    agent = learned(learner=learner)
    twin, before = agent.clone(), agent.state_dict()
    feed(twin, 5, worlds=8)
    assert twin.update() == 48
    assert same(agent.state_dict(), before)
    feed(agent, 5, worlds=8)
    agent.update()
    assert same(agent.state_dict(), twin.state_dict())


def test_a_clone_may_forget_change_and_draw_anew():
    agent = learned()
    changes = {"learning_starts": 0, "actor_lr": 1e-5, "temperature": 0.25}
    twin = agent.clone(changes, seed=5, keep_replay=False)
    assert (twin.steps, twin.updates, twin.replay) == (0, 0, None)
    assert twin.alpha == pytest.approx(0.25)
    feed(twin, 1)
    before = twin.actor.head.weight.clone()
    twin.update()
    feed(twin, 1)
    assert twin.update() == 1
    assert 0 < (twin.actor.head.weight - before).abs().max() < 1e-4
    assert twin.alpha == pytest.approx(0.25)
    with pytest.raises(ValidationError, match="actor_rl"):
        agent.clone({"actor_rl": 1.0})


def test_last_layer_training_changes_nothing_else(learner):
    agent = learned(learner=learner)
    twin = agent.clone({"trainable": "last_layer", "learning_starts": 0}, keep_replay=False)
    before = twin.state_dict()
    obs = np.random.default_rng(0).uniform(5, 9, (30, 4, 2))
    for i in range(29):
        twin.observe(transitions(obs[i], obs[i + 1], reward=np.ones(4), **still(4)))
    assert twin.update() == 29 * 4
    after = twin.state_dict()
    for name in twin.networks:
        for key, value in after[name].items():
            moved = not torch.equal(value, before[name][key])
            assert moved == key.startswith("head."), f"{name}.{key}"
    assert set(after["actor"]) >= {"normalizer.mean", "normalizer.var", "normalizer.count"}
    if learner == "sac":
        for key in ("body.0.weight", "body.0.bias"):
            assert torch.equal(after["target"][key], after["critic"][key])


@pytest.mark.parametrize("ratio", [0.25, 0.3, 1.0, 2.0])
def test_updates_per_step_is_kept_exactly(ratio):
    agent = SAC(*SPACES, small(updates_per_step=ratio, learning_starts=10, batch_size=2), 0)
    total = 0
    for step in range(1, 51):
        feed(agent, 1, worlds=3)
        total += agent.update()
        assert total == int(max(0, 3 * step - 10) * round(100 * ratio) // 100)
    assert agent.updates == total and agent.steps == 150


def test_invalid_rows_earn_no_updates_and_failed_ones_are_not_learned_from():
    agent = SAC(*SPACES, small(learning_starts=0), 0)
    step = transitions(np.full((3, 2), np.nan), np.full((3, 2), np.nan), **still(3))
    step.failed[:2], step.valid[2] = True, False
    agent.observe(step)
    assert (agent.steps, len(agent.replay), agent.update()) == (2, 0, 0)
    assert agent.actor.normalizer.count == 0
    feed(agent, 1, worlds=3)
    assert agent.update() == 5
    assert all(p.isfinite().all() for p in agent.actor.parameters())


@pytest.mark.parametrize(("delay", "visits"), [(1, 1), (2, 2), (3, 1)])
def test_the_actor_is_visited_every_policy_delay_updates(delay, visits):
    agent = SAC(*SPACES, small(policy_delay=delay, policy_updates=visits, learning_starts=0), 0)
    feed(agent, 13)
    agent.update()
    actor, critic = (
        agent.state_dict()["optimizers"][name]["state"][0]["step"] for name in ("actor", "critic")
    )
    assert critic == 13 and actor == 13 // delay * visits


def test_a_fixed_temperature_stays_and_a_learned_one_moves_to_its_target():
    fixed, auto = learned(temperature=0.2), learned(initial_temperature=0.2)
    assert fixed.alpha == pytest.approx(0.2)
    assert auto.alpha != pytest.approx(0.2, abs=1e-4)
    assert auto.target_entropy == -2.0
    assert SAC(*SPACES, small(target_entropy=-0.5), 0).target_entropy == -0.5


def test_observations_are_left_alone_when_normalization_is_off():
    agent = learned(normalize_observations=False)
    obs = torch.tensor([[300.0, -2.0]])
    assert torch.equal(agent.actor.normalizer(obs), obs)


def test_metrics_are_means_since_the_last_call(learner):
    agent = learned(learner=learner)
    metrics = agent.metrics()
    # What the last vector step earned is learned during the next one.
    assert metrics["updates"] == 200 - 8
    assert all(np.isfinite(value) for value in metrics.values())
    assert np.isnan(agent.metrics()["critic_loss"])


def test_goal_spaces_learn_with_hindsight():
    env = counting(gym.vector.AutoresetMode.SAME_STEP, goals=True)
    spaces = env.single_observation_space, env.single_action_space
    agent = SAC(*spaces, small(), 0, near)
    Loop(agent, env, 0).run_until(150)
    desired = agent.replay.sample(500, torch.Generator()).obs[:, -1]
    assert (desired == 9.0).float().mean() == pytest.approx(0.2, abs=0.06)
    plain = SAC(*spaces, small(her=False), 0)
    Loop(plain, env, 0).run_until(150)
    assert (plain.replay.sample(500, torch.Generator()).obs[:, -1] == 9.0).all()
    assert plain.act(env.reset()[0]).shape == (3, 1)


def test_hindsight_without_what_it_needs_is_refused():
    goals = counting(gym.vector.AutoresetMode.SAME_STEP, goals=True).single_observation_space
    for space, config, reward in ((goals, small(), None), (box(2), small(her=True), near)):
        with pytest.raises(ValueError, match="Hindsight needs goal observations and the env's"):
            SAC(space, SPACES[1], config, 0, reward)


def test_learners_are_made_by_name():
    agent = make_agent("sac", *SPACES, {"gamma": 0.5}, 0)
    assert agent.config == SACConfig(gamma=0.5) and isinstance(agent, AGENTS["sac"].agent)
    with pytest.raises(ValueError, match=r"No learner is called 'sacc'; .*Did you mean 'sac'"):
        make_agent("sacc", *SPACES, {}, 0)
    with pytest.raises(ValueError, match=r"there are fast_sac, sac, crossq, soft_q\.$"):
        make_agent("zzz", *SPACES, {}, 0)
    with pytest.raises(ValidationError, match="gama"):
        make_agent("sac", *SPACES, {"gama": 0.5}, 0)
    with pytest.raises(ValidationError, match="temperature"):
        make_agent("sac", *SPACES, {"temperature": 0.0}, 0)


def test_every_hyper_parameter_is_explained(learner):
    for name, field in AGENTS[learner].config.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_it_learns_to_repeat_what_it_sees(learner):
    sizes = {"actor_hidden": (64, 64), "critic_hidden": (64, 64)}
    agent, env = made(learner, **sizes, learning_starts=200, updates_per_step=0.5), Identity()
    loop = Loop(agent, env, 0)
    loop.run_until(3000)
    obs = np.random.default_rng(1).uniform(-0.9, 0.9, (500, 2))
    error = np.abs(agent.act(obs, deterministic=True) - obs).mean()
    chance = np.abs(RandomAgent(SPACES[1], 0).act(obs) - obs).mean()
    assert error < 0.1 < 0.5 < chance


def test_crossq_asks_its_critics_for_now_and_next_at_once_and_moves_their_statistics():
    agent = made("crossq", learning_starts=0, normalize_observations=False)
    seen = []
    forward = agent.critic.forward
    agent.critic.forward = lambda f, a, batch=False: seen.append((len(f), batch)) or forward(f, a, batch)
    agent.observe(transitions(np.zeros((4, 2)), np.ones((4, 2)), **still(4)))
    agent.update()
    # One pass over this step and the next by their own statistics; every second time one for the actor by the
    # running ones.
    assert seen == [(64, True), (64, True), (32, False)] * 2
    assert agent.critic.norms[0][0].mean[:2].abs().min() > 0


def test_matrices_are_multiplied_as_before_outside_of_updates():
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    with pytest.raises(ZeroDivisionError), fast_matmul(True):
        assert matmul.fp32_precision == "bf16"
        raise ZeroDivisionError
    assert matmul.fp32_precision == before
    with fast_matmul(False):
        assert matmul.fp32_precision == before
