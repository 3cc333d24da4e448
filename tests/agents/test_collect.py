"""The collector tells one and the same story in each of Gymnasium's autoreset modes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from sim2real.agents import Collector, RandomAgent

from .toys import MODES, UNIT, Identity, counting


def story(mode, goals=False, vector_steps=40):
    """The first ten transitions of each world, and the episodes, as plain tuples."""
    collector, told = Collector(counting(mode, goals=goals), seed=0), {0: [], 1: [], 2: []}
    for _ in range(vector_steps):
        step = collector.step(np.zeros((3, 1), np.float32))
        for w in np.flatnonzero(step.valid):
            obs, after = (o["observation"][w] if goals else o[w] for o in (step.obs, step.next_obs))
            flags = step.terminated[w], step.truncated[w], step.started[w], step.failed[w]
            told[w].append((*obs, *after, step.reward[w], *map(bool, flags)))
    assert collector.steps == sum(map(len, told.values()))
    return {w: rows[:10] for w, rows in told.items()}, collector


def expected(world, transitions=10):
    """What world `world` of `Counting` does, written down without any vector environment."""
    rows, length, episode, t = [], world + 2, 0, 0
    while len(rows) < transitions:
        done, odd = t + 1 == length, world % 2 == 1
        failed = (world, episode, t) == (2, 1, 1)
        started = t == 0 or (world, episode, t) == (2, 1, 2)
        flags = done and odd, done and not odd, started, failed
        rows.append((world, episode, t, world, episode, t + 1, t, *flags))
        episode, t = (episode + 1, 0) if done else (episode, t + 1)
    return rows


@pytest.mark.parametrize("goals", [False, True], ids=["box", "goals"])
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_transitions_are_true_in_every_autoreset_mode(mode, goals):
    told, collector = story(mode, goals)
    assert told == {w: expected(w) for w in range(3)}
    assert collector.failures == 1


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_episodes_have_return_length_success_and_failure(mode):
    _, collector = story(mode)
    episodes = collector.pop_episodes()
    assert collector.pop_episodes() == []
    for world in range(3):
        mine = [e for e in episodes if e.world == world]
        for number, episode in enumerate(mine):
            failed = (world, number) == (2, 1)
            assert episode.length == world + 2
            assert episode.reward == sum(range(world + 2)) - failed
            assert episode.success == (number % 2 == 1)
            assert episode.failed == failed


def test_next_step_mode_spends_no_transition_on_resets():
    _, same = story(AutoresetMode.SAME_STEP)
    _, following = story(AutoresetMode.NEXT_STEP)
    assert same.steps == 3 * 40
    assert following.steps == 3 * 40 - (40 // 3 + 40 // 4 + 40 // 5)


def test_final_observations_may_come_as_one_array():
    collector = Collector(Identity(worlds=4), seed=3)
    obs = collector.obs
    step = collector.step(np.zeros((4, 2), np.float32))
    np.testing.assert_array_equal(step.next_obs, obs)
    assert not np.array_equal(collector.obs, obs)
    assert collector.pop_episodes()[0].success is None


def test_final_goal_observations_may_come_as_a_dictionary():
    env = counting(AutoresetMode.SAME_STEP, goals=True)
    plain = env.step

    def stacked(action):
        *rest, info = plain(action)
        if "final_obs" in info:
            rows = [row if row is not None else env.envs[0]._obs() for row in info["final_obs"]]
            info["final_obs"] = {k: np.stack([r[k] for r in rows]) for k in rows[0]}
        return *rest, info

    env.step = stacked
    collector = Collector(env, seed=0)
    steps = [collector.step(np.zeros((3, 1), np.float32)) for _ in range(12)]
    assert [s.next_obs["observation"][1, 2] for s in steps] == [1, 2, 3] * 4


def test_memory_that_the_environment_reuses_is_copied():
    collector = Collector(
        gym.vector.SyncVectorEnv(
            counting(AutoresetMode.SAME_STEP).env_fns,
            copy=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        ),
        seed=0,
    )
    first = collector.step(np.zeros((3, 1), np.float32))
    collector.step(np.zeros((3, 1), np.float32))
    assert first.obs[:, 2].tolist() == [0, 0, 0] and first.next_obs[:, 2].tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_a_restart_begins_new_episodes(mode):
    _, collector = story(mode, vector_steps=3)
    collector.pop_episodes()
    collector.restart(seed=1)
    step = collector.step(np.zeros((3, 1), np.float32))
    assert step.started.all() and step.valid.all() and (step.obs[:, 2] == 0).all()


def test_an_unknown_autoreset_mode_is_refused():
    env = Identity()
    env.metadata = {}
    with pytest.raises(ValueError, match=r"autoreset_mode.* None, not one of NextStep, SameStep"):
        Collector(env, 0)


def test_random_agent_fills_the_bounds_and_restores():
    space = gym.spaces.Box(np.array([-3.0, 0.0], np.float32), np.array([-1.0, 5.0], np.float32))
    agent = RandomAgent(space, seed=1)
    actions = agent.act(np.zeros((4000, 7)))
    assert actions.dtype == np.float32 and actions.shape == (4000, 2)
    assert (actions >= space.low).all() and (actions <= space.high).all()
    np.testing.assert_allclose(actions.mean(0), [-2.0, 2.5], atol=0.1)
    twin = agent.clone()
    goal = {"observation": np.zeros((5, 1))}
    np.testing.assert_array_equal(agent.act(goal), twin.act(goal))
    twin.load_policy_state_dict(agent.policy_state_dict())
    np.testing.assert_array_equal(agent.act(goal), twin.act(goal))
    assert agent.update() == 0 and agent.metrics() == {} and agent.learning_starts == 0


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Discrete(2), "must be a flat Box"),
        (gym.spaces.Box(-np.inf, np.inf, (1,)), "needs finite bounds"),
        (gym.spaces.Box(1.0, 1.0, (1,)), "needs low < high"),
    ],
)
def test_action_spaces_that_cannot_be_drawn_from_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        RandomAgent(space, 0)
    assert UNIT.shape == (1,)
