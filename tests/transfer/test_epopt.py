"""EPOpt: which episodes are kept, and that the learner is told of exactly them and of every step."""

import math

import numpy as np
import pytest

from sim2real.transfer.curricula import make_curriculum
from sim2real.transfer.curriculum import Ended
from sim2real.transfer.epopt import worst
from tests.agents.toys import transitions


def make(**changes):
    settings = {"type": "epopt", "epsilon": 0.25, "batch": 8, "warmup_steps": 0} | changes
    return make_curriculum(settings, np.array([0.5]))


class Line:
    """Worlds whose every transition is known: it shows (world, episode, t), and episodes end at random."""

    def __init__(self, worlds=5, seed=0, goals=False):
        self.rng, self.n, self.goals = np.random.default_rng(seed), worlds, goals
        self.episode, self.t = np.zeros(worlds, int), np.zeros(worlds, int)
        self.total, self.returns = np.zeros(worlds), {}

    def show(self):
        obs = np.stack([np.arange(self.n), self.episode, self.t], axis=1).astype(float)
        return {"observation": obs, "desired_goal": obs[:, :1]} if self.goals else obs

    def step(self):
        obs, started = self.show(), self.t == 0
        reward = self.rng.normal(size=self.n)
        self.t += 1
        done = self.rng.random(self.n) < 0.2
        step = transitions(obs, self.show(), reward=reward)
        step.started[:], step.terminated[:] = started, done
        self.total += reward
        ids = np.flatnonzero(done)
        ended = Ended(ids, *(np.zeros((len(ids), k)) for k in (1, 0, 2)), self.total[ids], np.zeros(len(ids)))
        for world in ids:
            self.returns[int(world), int(self.episode[world])] = (self.total[world], self.t[world])
        self.total[ids], self.t[ids] = 0.0, 0
        self.episode[ids] += 1
        return step, ended


def learned(curriculum, line, steps):
    """What reaches the learner: rows (world, episode, t, started, terminated), and the steps counted."""
    rows, told = [], 0
    for _ in range(steps):
        step, ended = line.step()
        out = curriculum.sift(step, ended)
        told += int(out.valid.sum())
        obs = out.obs["observation"] if line.goals else out.obs
        columns = np.column_stack([obs, out.started, out.terminated])
        for world in np.flatnonzero(out.usable):
            assert obs[world, 0] == world  # a world's transitions stay in its own ring
            rows.append(tuple(int(x) for x in columns[world]))
    return rows, told


@pytest.mark.parametrize(
    ("epsilon", "n", "count"), [(0.1, 30, 3), (0.1, 31, 4), (0.1, 240, 24), (0.3, 10, 3)]
)
def test_exactly_the_ceiling_is_kept(epsilon, n, count):
    returns = np.random.default_rng(0).normal(size=n)
    kept = worst(returns.tolist(), epsilon)
    assert len(kept) == count
    assert sorted(returns[kept]) == sorted(returns)[:count]


def test_of_equal_returns_the_earlier_are_kept():
    assert worst([1.0, 0.0, 1.0, 1.0], 0.75) == [0, 1, 2]


@pytest.mark.parametrize("goals", [False, True])
def test_the_worst_episodes_of_each_batch_are_learned_from_whole_and_nothing_else(goals):
    line, curriculum = Line(goals=goals), make()
    rows, told = learned(curriculum, line, 400)
    assert told == 400 * 5  # every step earns its updates
    finished = list(line.returns.items())
    wanted = set()
    for first in range(0, len(finished) - 7, 8):
        batch = sorted(finished[first : first + 8], key=lambda item: item[1][0])
        wanted |= {key for key, _ in batch[:2]}
    by_episode = {}
    for world, episode, *rest in rows:
        by_episode.setdefault((world, episode), []).append(tuple(rest))
    assert set(by_episode) <= wanted
    complete = 0
    for key, steps in by_episode.items():
        length = line.returns[key][1]
        whole = [(t, int(t == 0), int(t == length - 1)) for t in range(length)]
        assert steps == whole[: len(steps)]  # in order, from its first to its last
        complete += len(steps) == length
    assert complete >= len(wanted) - 5  # but for what is still on its way
    assert len(wanted) > 50


def test_cvar_and_percentile_are_of_the_last_batch():
    line, curriculum = Line(), make()
    learned(curriculum, line, 100)
    finished = [value[0] for value in line.returns.values()]
    last = finished[: len(finished) // 8 * 8][-8:]
    assert curriculum.metrics()["cvar"] == pytest.approx(np.mean(sorted(last)[:2]))
    assert curriculum.metrics()["percentile"] == sorted(last)[1]


def test_episodes_that_began_in_the_warm_up_go_through_as_they_run():
    line, curriculum = Line(), make(warmup_steps=100)
    straight = {(w, e) for w in range(5) for e in range(100)}
    rows = []
    for k in range(60):
        step, ended = line.step()
        if k >= 20:  # 100 steps have been taken
            straight -= {(int(w), int(e)) for w, e, t in step.obs if t == 0}
        out = curriculum.sift(step, ended)
        assert out is step or k >= 20
        if k < 20:
            assert curriculum.metrics()["epsilon"] == (1.0 if k < 19 else 0.25)
        for world, episode, t in step.obs.astype(int):
            if (world, episode) in straight:
                assert out.usable[world] and (out.obs[world] == (world, episode, t)).all()
        rows.append(out.usable.sum())
    assert min(rows[:20]) == 5 and min(rows[20:]) < 5


def test_a_failed_episode_is_never_learned_from():
    line, curriculum, failed = Line(), make(epsilon=1.0, batch=1), set()
    for k in range(200):
        step, ended = line.step()
        if k % 3 == 0 and len(ended.worlds):  # as the instructor leaves them out
            world = int(ended.worlds[0])
            failed.add((world, int(step.obs[world, 1])))
            ended = Ended(*(column[1:] for column in ended))
        out = curriculum.sift(step, ended)
        assert not {(int(w), int(e)) for w, e, _ in out.obs[out.usable]} & failed
    assert failed


@pytest.mark.parametrize("stop", [3, 50, 137])
def test_state_goes_on_as_if_never_saved(stop):
    whole = learned(make(warmup_steps=60), Line(), 200)[0]
    line, half, other = Line(), make(warmup_steps=60), make(warmup_steps=60)
    before = learned(half, line, stop)[0]
    other.load_state_dict(half.state_dict())
    assert before + learned(other, line, 200 - stop)[0] == whole


def test_what_is_held_back_stays_bounded():
    line, curriculum = Line(), make(epsilon=1.0)
    lengths = []
    for _ in range(600):
        curriculum.sift(*line.step())
        lengths.append(len(curriculum.state_dict()["tape"]))
    assert max(lengths[300:]) <= 1.5 * max(lengths[:300])
    assert not math.isnan(curriculum.metrics()["cvar"])
