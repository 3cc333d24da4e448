"""Fine-tuning modes: each begins as the source, changes only what it says, and stays an agent."""

import hashlib
import io
from typing import get_args

import gymnasium as gym
import numpy as np
import pytest
import torch

from sim2real.agents import AGENTS, Loop, RandomAgent
from sim2real.agents.actor_critic import ActorCritic
from sim2real.evaluation.fewshot import adapt
from sim2real.spec import Evaluate
from sim2real.spec.model import Finetune
from sim2real.transfer.finetune import MODES, begin
from sim2real.transfer.progressive import Progressive
from sim2real.transfer.residual import Residual
from sim2real.transfer.source import mixed_with
from tests.agents.test_sac import LEARNERS, SPACES, learned, made, same
from tests.agents.toys import Identity

MODES_OF_TWO_HIDDEN_LAYERS = [mode for mode in MODES if mode not in ("last_4", "last_5")]
GROWN = ["progressive", "residual"]
OBS = np.random.default_rng(1).uniform(-1, 1, (7, 2))


ACTOR_CRITICS = [name for name in LEARNERS if issubclass(AGENTS[name].agent, ActorCritic)]


@pytest.fixture(scope="module", params=ACTOR_CRITICS)
def source(request):
    return learned(learner=request.param)


@pytest.fixture(scope="module")
def soft_q():
    return learned(learner="soft_q")


def settings(mode, **changes):
    return Evaluate.model_validate({"finetune": mode, **changes})


def taught(learner, steps=48):
    """The same learner after an update for each of some steps."""
    Loop(learner, Identity(4), 3).run_until(steps)
    assert learner.updates > 0
    return learner


def digest(tensors):
    """SHA-256 of tensors by name."""
    return {
        name: hashlib.sha256(value.detach().numpy().tobytes()).hexdigest() for name, value in tensors.items()
    }


def test_the_spec_names_exactly_the_modes():
    assert set(get_args(Finetune)) == set(MODES)


@pytest.mark.parametrize("mode", MODES_OF_TWO_HIDDEN_LAYERS)
def test_before_any_update_it_acts_exactly_as_the_source(source, mode):
    before = source.state_dict()
    learner = begin(source, settings(mode), 5)
    equal = [
        np.array_equal(learner.act(OBS, deterministic=True), source.act(OBS, deterministic=True)),
        np.array_equal(
            learner.clone(seed=9).act(OBS), begin(source, settings("all"), 5).clone(seed=9).act(OBS)
        ),
    ]
    assert equal == ([False, False] if mode == "scratch" else [True, True])
    taught(learner)
    assert not np.array_equal(learner.act(OBS, deterministic=True), source.act(OBS, deterministic=True))
    assert same(before, source.state_dict())


@pytest.mark.parametrize("mode", MODES_OF_TWO_HIDDEN_LAYERS)
def test_frozen_tensors_keep_their_bits(source, mode):
    learner = begin(source, settings(mode), 5)

    def frozen():
        return {
            f"{name}.{key}": value
            for name in ("actor", "critic")
            for key, value in learner.networks[name].named_parameters()
            if not value.requires_grad
        }

    before = digest(frozen())
    taught(learner)
    assert digest(frozen()) == before
    assert bool(before) == (mode not in ("all", "scratch", "last_3"))
    if mode not in ("all", "scratch"):
        statistics = learner.actor.normalizer.state_dict()
        assert digest(statistics) == digest(source.actor.normalizer.state_dict())


@pytest.mark.parametrize("mode", [mode for mode in MODES_OF_TWO_HIDDEN_LAYERS if mode not in GROWN])
def test_soft_q_learning_is_fine_tuned_too(soft_q, mode):
    test_before_any_update_it_acts_exactly_as_the_source(soft_q, mode)
    test_frozen_tensors_keep_their_bits(soft_q, mode)


@pytest.mark.parametrize("mode", GROWN)
def test_soft_q_learning_has_no_policy_to_build_on(soft_q, mode):
    with pytest.raises(ValueError, match=f"{mode} builds on a Gaussian policy .* which SoftQ lacks"):
        begin(soft_q, settings(mode), 0)


@pytest.mark.parametrize("mode", GROWN)
def test_the_source_inside_gives_the_same_bits_for_ever(source, mode):
    learner = taught(begin(source, settings(mode), 5))
    features = source.actor.normalizer(torch.as_tensor(OBS, dtype=torch.float32))
    action = torch.rand(len(OBS), 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(learner.actor.source.outputs(features), source.actor.outputs(features))
        raw = torch.as_tensor(OBS, dtype=torch.float32)
        assert torch.equal(learner.actor.source(raw), source.actor(raw))
        if mode == "progressive":
            old = source.critic(features, action)
            assert torch.equal(learner.critic.source(features, action), old)
            assert not torch.equal(learner.critic(features, action), old)
            if "target" in learner.networks:
                assert torch.equal(learner.target.source(features, action), old)


def test_critics_begin_with_the_values_of_the_source(source):
    features = torch.as_tensor(OBS, dtype=torch.float32)
    action = torch.zeros(len(OBS), 2)
    for mode in GROWN:
        learner = begin(source, settings(mode), 5)
        with torch.no_grad():
            assert torch.equal(learner.critic(features, action), source.critic(features, action))
        assert learner.alpha == source.alpha


def test_the_new_columns_have_lateral_connections_of_the_right_size(source):
    """`W` and `U` of 16 units each on 16 below, in every layer but the first, which sees the input alone."""
    learner = begin(source, settings("progressive"), 5)
    optimizers = {name: o.vector.numel() for name, o in learner._optimizers.items()}
    assert optimizers["actor"] == (2 + 1) * 16 + (2 * 16 + 1) * 16 + (2 * 16 + 1) * 4
    quantiles = getattr(learner.config, "quantiles", 1)
    critic = (4 + 1) * 16 + (2 * 16 + 1) * 16 + (2 * 16 + 1) * quantiles
    gains = 2 * (4 + 16 + 16) if "target" not in learner.networks else 0
    assert optimizers["critic"] == 2 * (critic + gains)
    plain = begin(source, settings("residual"), 5)
    assert plain._optimizers["actor"].vector.numel() == (2 + 1) * 16 + (16 + 1) * 16 + (16 + 1) * 4
    assert plain._optimizers["critic"].vector.numel() == source._optimizers["critic"].vector.numel()


def test_a_column_without_hidden_layers_sees_the_input():
    agent = made("sac", actor_hidden=(), critic_hidden=())
    learner = begin(agent, settings("progressive"), 5)
    assert np.array_equal(learner.act(OBS, deterministic=True), agent.act(OBS, deterministic=True))
    assert learner._optimizers["actor"].vector.numel() == (2 + 1) * 4


def test_the_progressive_policy_is_the_source_plus_the_equation():
    """`h_i = f(W_i h_{i-1} + U_i h'_{i-1})`, written out from the weights (Rusu et al. 2016, equation 1)."""
    agent = taught(begin(learned(learner="sac"), settings("progressive"), 5))
    actor, x = agent.actor, torch.as_tensor(OBS, dtype=torch.float32)
    with torch.no_grad():
        old = [x]
        for layer in (actor.source.body[0], actor.source.body[2]):
            old.append(torch.relu(layer(old[-1])))
        h = torch.relu(actor.columns.layers[0][0](x))
        second = actor.columns.layers[1][0]
        w, u = second.weight.split(16, 1)
        h = torch.relu(h @ w.T + old[1] @ u.T + second.bias)
        w, u = actor.head.weight.split(16, 1)
        expected = actor.source.head(old[2]) + h @ w.T + old[2] @ u.T + actor.head.bias
        torch.testing.assert_close(actor.outputs(x), expected)
        assert actor.head.weight.abs().max() > 0


def test_the_residual_is_added_before_the_tanh():
    agent = begin(learned(learner="sac"), settings("residual"), 5)
    x = torch.as_tensor(OBS, dtype=torch.float32)
    with torch.no_grad():
        mean, log_std = agent.actor.source.gaussian(x)
        agent.actor.head.bias[:] = torch.tensor([0.25, -0.5, 0.0, 0.0])
        corrected, same_std = agent.actor.gaussian(x)
    torch.testing.assert_close(corrected, mean + torch.tensor([0.25, -0.5]))
    assert torch.equal(same_std, log_std)


@pytest.mark.parametrize("mode", GROWN)
def test_state_goes_round_and_learning_continues_bit_for_bit(source, mode):
    learner = taught(begin(source, settings(mode), 5))
    buffer = io.BytesIO()
    torch.save(learner.state_dict(), buffer)
    buffer.seek(0)
    twin = begin(source, settings(mode), 77)
    twin.load_state_dict(torch.load(buffer, weights_only=True))
    other = learner.clone()
    for agent in (learner, twin, other):
        for _ in range(3):
            Loop(agent, Identity(4), 4).run_until(12)
    assert same(learner.state_dict(), twin.state_dict())
    assert same(learner.state_dict(), other.state_dict())
    fresh = begin(source, settings(mode), 78)
    fresh.load_policy_state_dict(learner.policy_state_dict())
    assert np.array_equal(fresh.act(OBS, deterministic=True), learner.act(OBS, deterministic=True))


def test_scratch_is_a_fresh_agent_of_the_same_settings(source):
    first, again, other = (begin(source, settings("scratch"), seed) for seed in (5, 5, 6))
    assert same(first.state_dict(), again.state_dict())
    assert not torch.equal(first.actor.head.weight, other.actor.head.weight)
    assert first.config == source.config.model_copy(update={"learning_starts": 0, "updates_per_step": 1.0})
    assert (first.steps, first.updates, float(first.actor.normalizer.count)) == (0, 0, 0.0)


def test_the_temperature_can_be_warmed_up_again(source):
    for mode in ("all", "bias", "progressive", "residual"):
        assert begin(source, settings(mode), 5).alpha == source.alpha
        warmed = begin(source, settings(mode, reset_temperature=True), 5)
        assert warmed.alpha == pytest.approx(source.config.initial_temperature)


def test_modes_that_do_not_fit_say_so(source):
    with pytest.raises(
        ValueError, match="last_5: a network of this agent has only 3 layers; take last_3 or all"
    ):
        begin(source, settings("last_5"), 0)
    for mode, method in (("progressive", Progressive), ("residual", Residual)):
        with pytest.raises(
            ValueError, match=f"{mode} builds on a Gaussian policy .* which RandomAgent lacks"
        ):
            begin(RandomAgent(SPACES[1], 0), settings(mode), 0)
        assert mixed_with(type(source), method).__name__ == f"{method.__name__}{type(source).__name__}"


class Countdown(gym.vector.VectorEnv):
    """One world that shows a number, and ends after three steps."""

    def __init__(self):
        self.num_envs, self.t = 1, 0
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = SPACES

    def reset(self, *, seed=None, options=None):
        self.rng, self.t = np.random.default_rng(seed), 0
        return self.rng.uniform(-1, 1, (1, 2)), {}

    def step(self, actions):
        obs, done = self.rng.uniform(-1, 1, (1, 2)), np.array([self.t == 2])
        self.t = 0 if done[0] else self.t + 1
        reward = -np.square(actions).sum(-1)
        return obs, reward, done, ~done & False, {"final_obs": obs + 1}


@pytest.mark.parametrize("mode", ["all", "last_layer", "progressive"])
def test_warm_episodes_collect_and_do_not_learn(mode):
    agent = learned(learner="sac")
    stages = {}
    chosen = settings(mode, warm_episodes=2, shots=(0, 1, 2, 4))
    for k, learner, used in adapt(agent, Countdown(), chosen.shots, chosen, 7):
        heads = learner.actor.head.weight.clone(), learner.critic.head.weight.clone()
        stages[k] = heads, used, learner.updates, 0 if learner.replay is None else len(learner.replay)
    assert [stages[k][1] for k in stages] == [0, 3, 6, 12]  # every one counts as target experience
    assert [stages[k][2] for k in stages] == [0, 0, 0, 6]  # and only what comes after earns updates
    assert [stages[k][3] for k in stages] == [0, 3, 6, 12]
    assert all(torch.equal(a, b) for a, b in zip(stages[0][0], stages[2][0], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(stages[2][0], stages[4][0], strict=True))


def test_warm_episodes_act_as_the_policy_was_although_statistics_move():
    agent = learned(learner="sac")
    actions = []

    class Watched(Countdown):
        def step(self, actions_):
            actions.append(np.array(actions_))
            return super().step(actions_)

    chosen = settings("all", warm_episodes=2, shots=(2, 3))
    *_, (_, learner, _) = adapt(agent, Watched(), (2,), chosen, 7)
    assert float(learner.actor.normalizer.count) > float(agent.actor.normalizer.count)
    plain, env = agent.clone(seed=7), Countdown()
    obs, _ = env.reset(seed=7)
    for action in actions:
        expected = plain.act(obs)
        assert np.array_equal(action, expected)
        obs, *_ = env.step(expected)


def test_no_warm_episodes_change_nothing():
    agent = learned(learner="sac")
    ends = []
    for chosen in (settings("all"), settings("all", warm_episodes=0)):
        *_, (_, learner, _) = adapt(agent, Countdown(), (3,), chosen, 7)
        ends.append(learner.state_dict())
    assert same(*ends)
    assert ends[0]["updates"] == 9
