"""Worlds of a set: each member's are bit for bit what they are alone, and all say which they are."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from sim2real.agents.base import CONTEXT_KEYS
from sim2real.agents.collect import Collector
from sim2real.agents.replay import ObservationLayout, Replay
from sim2real.envs.joined import JoinedVectorEnv, seed_of
from sim2real.envs.labels import LabelEnv
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import nominal_model
from sim2real.envs.tasks import PointGoals
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wants import Wants
from sim2real.spec import Label, Program

MEMBERS = {
    "goal": ("PointGoals-v0", {"goals": 1}, Label((0, 2), (0, 2))),
    "out": ("PointCorridors-v0", {}, Label((1, 2), (0, 2))),
    "line": ("PointLine-v0", {}, Label((1, 2), (1, 2))),
}
"""Of which the first alone ends episodes early, and says of success what the others do not."""


class Bodied(PointGoals):
    """A point whose second coordinate is its own affair."""

    proprioception = slice(1, 2)


def member(name, n=3, **wants):
    env, options, label = MEMBERS[name]
    program = Program(nominal_model(env, options), {})
    return make_worlds(env, options, program, n, threads=1, wants=Wants(label=label, **wants))


def joined(n=3, **wants):
    return JoinedVectorEnv({name: member(name, n, **wants) for name in MEMBERS})


def actions(env, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, env.num_envs, 2))


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("wants", [{}, {"history": 2}], ids=["plain", "context"])
def test_members_do_not_notice_each_other(wants):
    """Observations, rewards, ends, last observations and infos are those of each member by itself."""
    env = joined(**wants)
    alone = {name: member(name, **wants) for name in MEMBERS}
    shown, _ = env.reset(seed=5)
    for name, rows in env.groups.items():
        own, _ = alone[name].reset(seed=seed_of(name, 5))
        assert same({key: value[list(rows)] for key, value in shown.items()}, own)
    ends = 0
    for action in actions(env, 65):
        *step, infos = env.step(action)
        ends += int((step[2] | step[3]).sum())
        for name, rows in env.groups.items():
            at = list(rows)
            *own, said = alone[name].step(action[at])
            assert same({key: value[at] for key, value in step[0].items()}, own[0])
            assert all(np.array_equal(a[at], b) for a, b in zip(step[1:], own[1:], strict=True))
            for world, final in zip(at, said.get("final_obs", [None] * len(at)), strict=True):
                there = infos["final_obs"][world] if "final_obs" in infos else None
                assert (there is None) == (final is None)
                assert final is None or same(there, final)
            if "is_success" in said:
                assert np.array_equal(infos["is_success"][at], said["is_success"])
                assert np.array_equal(infos["_is_success"][at], said["_is_success"])
    assert ends >= 3 * env.num_envs // 2


def test_whoever_says_nothing_of_success_is_not_counted():
    env = JoinedVectorEnv({"goal": member("goal", 2), "silent": _silent(2)})
    collector, found = Collector(env, 0), {}
    for action in actions(env, 65):
        collector.step(action)
        found |= {episode.world: episode.success for episode in collector.ended}
    assert [found[world] is None for world in range(4)] == [False, False, True, True]


def _silent(n):
    made = member("line", n)
    made.unwrapped.task.success = lambda state: None
    return made


def test_what_is_shown():
    env = joined(2)
    shown, _ = env.reset(seed=0)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert np.array_equal(shown["task"], [[1, 0]] * 2 + [[0, 1]] * 4)
    assert np.array_equal(shown["robot"], [[1, 0]] * 4 + [[0, 1]] * 2)
    assert env.observation_space.contains({key: np.asarray(value) for key, value in shown.items()})
    layout = ObservationLayout.of(env.single_observation_space)
    assert [key for key, _ in layout.context] == ["task", "robot"] and (layout.plain, layout.size) == (2, 6)
    flat = layout.flatten(shown)
    assert torch.equal(flat[:, layout.columns("robot")].argmax(1), torch.tensor([0, 0, 0, 0, 1, 1]))


def test_a_single_robot_is_not_shown():
    made = make_worlds(
        "PointGoals-v0", {}, Program(nominal_model("PointGoals-v0", {}), {}), 2, threads=1,
        wants=Wants(label=Label((2, 3), (0, 1))),
    )  # fmt: skip
    shown, _ = made.reset(seed=0)
    assert set(shown) == {"observation", "task"} and np.array_equal(shown["task"], [[0, 0, 1]] * 2)


def test_what_is_the_robots_own_is_shown_apart():
    """And at the end of an episode too; nothing is lost or shown twice."""
    plain = TaskVectorEnv(PointGoals(), 3, threads=1)
    env = LabelEnv(TaskVectorEnv(Bodied(), 3, threads=1), Label((0, 1), (0, 1)))
    layout = ObservationLayout.of(env.single_observation_space)
    assert (layout.plain, layout.columns("proprioception")) == (1, slice(1, 2))
    (before, _), (shown, _) = plain.reset(seed=1), env.reset(seed=1)
    finals = 0
    for action in actions(plain, 31):
        assert np.array_equal(np.concatenate([shown["observation"], shown["proprioception"]], 1), before)
        before, *_, said = plain.step(action)
        shown, *_, infos = env.step(action)
        for one, other in zip(said.get("final_obs", []), infos.get("final_obs", []), strict=True):
            if one is not None:
                finals += 1
                assert np.array_equal(np.concatenate([other["observation"], other["proprioception"]]), one)
    assert finals >= 3


def test_going_on_from_a_state_is_exact():
    env, other = joined(history=1), joined(history=1)
    env.reset(seed=3)
    for action in actions(env, 20):
        env.step(action)
    other.reset(seed=9)
    other.load_state_dict(env.state_dict())
    for action in actions(env, 30, seed=1):
        one, two = env.step(action), other.step(action)
        assert same(one[0], two[0])
        assert all(np.array_equal(a, b) for a, b in zip(one[1:4], two[1:4], strict=True))


def test_worlds_of_two_members_do_not_begin_alike():
    twins = JoinedVectorEnv({name: member("line") for name in ("a", "b")})
    shown, _ = twins.reset(seed=0)
    assert not np.isclose(shown["observation"][:3], shown["observation"][3:]).any()


@pytest.mark.parametrize(
    "others", [{"n": 2}, {"history": 1}], ids=["other number of worlds", "other observations"]
)
def test_what_differs_is_not_joined(others):
    with pytest.raises(ValueError, match="worlds of goal and line differ in"):
        JoinedVectorEnv({"goal": member("goal"), "line": member("line", **others)})


def test_resets_take_no_mask():
    with pytest.raises(ValueError, match="without options"):
        joined().reset(options={"reset_mask": np.ones(9, bool)})


def test_what_is_drawn_is_balanced_and_no_task_displaces_another():
    """With a full replay, in episodes of unequal lengths, every task has a third of it, and of each batch."""
    env = joined(2)
    layout = ObservationLayout.of(env.single_observation_space)
    replay = Replay(layout, 2, env.num_envs, capacity=6 * 40, n_step=3)
    collector = Collector(env, 0)
    for action in actions(env, 100):
        step = collector.step(action)
        replay.store(step, layout.flatten(step.obs), torch.from_numpy(np.asarray(step.action)))
    assert len(replay) == 240
    which = replay._rows[..., layout.columns("task")], replay._rows[..., layout.columns("robot")]
    assert torch.equal(which[0].argmax(-1).sum(1), torch.tensor([0, 0, 40, 40, 40, 40]))
    assert torch.equal(which[1].argmax(-1).sum(1), torch.tensor([0, 0, 0, 0, 40, 40]))
    obs = replay.sample(30_000, torch.Generator().manual_seed(0)).obs
    task, robot = (obs[:, layout.columns(key)].argmax(1) for key in ("task", "robot"))
    # Three sigma of a share of a third among 30,000 is 0.008.
    shares = torch.stack([task == 0, (task == 1) & (robot == 0), robot == 1]).float().mean(1)
    assert torch.allclose(shares, torch.full((3,), 1 / 3), atol=0.01)


def test_labels_are_context():
    assert {"task", "robot", "proprioception"} <= set(CONTEXT_KEYS)


def test_flat_observations_only():
    env = gym.make_vec("CartPole-v1", num_envs=1)
    env.single_observation_space = gym.spaces.Discrete(3)
    with pytest.raises(ValueError, match="flat observations"):
        LabelEnv(env, Label((0, 1), (0, 1)))


def fetches(*names):
    """One world of each."""
    parts = {
        name: make_worlds(name, {}, Program(nominal_model(name, {}), {}), 1, threads=1) for name in names
    }
    return JoinedVectorEnv(parts)


def test_goals_are_relabelled_in_hindsight_where_all_members_pay_alike():
    env = fetches("FetchPush-v4", "FetchSlide-v4")
    wanted = np.zeros((2, 3))
    reached = np.array([[0.04, 0.0, 0.0], [0.06, 0.0, 0.0]])
    assert env.compute_reward(reached, wanted, {}).tolist() == [0.0, -1.0]
    env.close()


@pytest.mark.parametrize("made", [lambda: fetches("FetchPush-v4", "FetchPushDense-v4"), joined])
def test_where_they_do_not_or_have_no_goals_there_is_no_hindsight(made):
    env = made()
    assert getattr(env, "compute_reward", None) is None
    env.close()
