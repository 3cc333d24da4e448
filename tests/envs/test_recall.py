"""What a memory is fed: what was done, what it brought, and where episodes and trials begin."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from sim2real.agents import Collector
from sim2real.envs.make import make_worlds
from sim2real.envs.recall import ENDED, FRESH, OVER, REWARD, RecallEnv
from sim2real.envs.wants import Wants
from sim2real.session import CATALOG
from sim2real.spec import load_text
from tests.agents.toys import MODES, counting

RANDOMIZE = "randomize: {{cart: {{type: mass, select: cart, scale: [0.5, 2]}}}}"
FOREIGN = "gymnasium.envs.mujoco.inverted_pendulum_v5:InvertedPendulumEnv"


def lived(mode, steps, episodes=2):
    """What a collector tells of three worlds that last 2, 3 and 4 steps, by world, of usable rows."""
    collector = Collector(RecallEnv(counting(mode), episodes), seed=0)
    rows = [[] for _ in range(3)]
    for number in range(steps):
        step = collector.step(np.full((3, 1), 0.1 * number, np.float32))
        for world in np.flatnonzero(step.valid):
            before, after = step.obs["recall"][world], step.next_obs["recall"][world]
            rows[world].append((before, step.action[world, 0], step.reward[world], after))
    return rows


@pytest.mark.parametrize("mode", MODES)
def test_each_step_shows_what_was_done_before_it(mode):
    for world, rows in enumerate(lived(mode, 20)):
        length = world + 2
        for number, (before, action, reward, after) in enumerate(rows):
            episode, t = divmod(number, length)
            fresh = t == 0 and episode % 2 == 0
            if fresh:
                assert before.tolist() == [0, 0, 0, 1, 0]
            else:
                told = rows[number - 1][1:3]
                assert np.allclose(before, [*told, t == 0, 0, 0])
            assert np.allclose(after, [action, reward, 0, 0, t == length - 1])


def test_decisions_are_shown_the_same_in_all_modes():
    found = [lived(mode, 30) for mode in MODES]
    for world in range(3):
        least = min(len(rows[world]) for rows in found)
        flags = [np.stack([row[0][ENDED:] for row in rows[world][:least]]) for rows in found]
        assert least > 5 and all(np.array_equal(one, flags[0]) for one in flags)


def made(name, wants, **options):
    bundle = load_text(f"env: {name}\n" + RANDOMIZE.format(), "spec.yaml", CATALOG)
    return make_worlds(name, {}, bundle.program, 3, None, 0, 1, wants=wants, **options)


@pytest.mark.parametrize("name", ["InvertedPendulum-v5", FOREIGN])
@pytest.mark.parametrize("same_step", [True, False])
def test_a_trial_is_fresh_when_its_domain_is(name, same_step):
    env = made(name, Wants(history=0, recall=True, episodes=2), same_step=same_step)
    collector = Collector(env, seed=0)
    domains, fresh = [], []
    for _ in range(60):
        step = collector.step(np.full((3, 1), 3.0))  # it falls after some steps
        for world in np.flatnonzero(step.started & step.valid):
            domains.append((world, float(step.obs["domain"][world, 0])))
            fresh.append(bool(step.obs["recall"][world, FRESH]))
    assert sum(fresh) > 3 and not all(fresh)
    for world in range(3):
        own = [(d, f) for (w, d), f in zip(domains, fresh, strict=True) if w == world]
        for (before, _), (after, new) in pairwise(own):
            assert (before != after) == new
    env.close()


def test_a_new_seed_begins_new_trials_and_a_plain_reset_the_next_episode():
    env = made("InvertedPendulum-v5", Wants(recall=True, episodes=3))
    assert env.reset(seed=1)[0]["recall"][:, FRESH].all()
    env.step(np.ones((3, 1)))
    shown = env.reset(options={"reset_mask": np.array([True, False, False])})[0]["recall"]
    assert np.allclose(shown[:, :1], 1 / 3) and shown[:, REWARD].all()  # of at most 3 N
    assert shown[:, ENDED].tolist() == [1, 0, 0] and not shown[:, FRESH].any()
    assert env.reset(seed=1)[0]["recall"][:, :FRESH].any() == np.False_


def test_what_worlds_show_besides_is_what_they_would_without():
    plain, env = made("InvertedPendulum-v5", Wants()), made("InvertedPendulum-v5", Wants(recall=True))
    seen, wide = plain.reset(seed=5)[0], env.reset(seed=5)[0]
    for t in range(40):
        assert np.array_equal(seen, wide["observation"])
        seen, reward, *_ = plain.step(np.full((3, 1), np.sin(t)))
        wide, own, *_ = env.step(np.full((3, 1), np.sin(t)))
        assert np.array_equal(reward, own)


def test_it_goes_on_bit_for_bit():
    wants = Wants(history=2, recall=True, episodes=2)
    env, again = made("InvertedPendulum-v5", wants), made("InvertedPendulum-v5", wants)
    env.reset(seed=3)
    for _ in range(25):
        env.step(np.full((3, 1), 2.0))
    again.reset(seed=99)
    again.load_state_dict(env.state_dict())
    for t in range(40):
        one, two = env.step(np.full((3, 1), np.sin(t)))[0], again.step(np.full((3, 1), np.sin(t)))[0]
        assert all(np.array_equal(one[key], two[key]) for key in one)


def test_goals_stay_what_they_are():
    bundle = load_text("env: FetchReach-v4", "spec.yaml", CATALOG)
    env = make_worlds("FetchReach-v4", {}, bundle.program, 2, threads=1, wants=Wants(recall=True))
    shown, _ = env.reset(seed=0)
    assert set(shown) == {"observation", "achieved_goal", "desired_goal", "recall"}
    assert shown["recall"].shape == (2, 8)


def test_pictures_recall_nothing():
    env = VectorEnv()
    env.num_envs, env.single_action_space = 1, gym.spaces.Box(-1, 1, (1,))
    env.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
    env.single_observation_space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="flat observations"):
        RecallEnv(env)


def test_the_last_columns_direct_the_memory():
    assert (REWARD, ENDED, FRESH, OVER) == (-4, -3, -2, -1)
