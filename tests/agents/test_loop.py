"""The training loop: warm-up, counting, reporting, and going on as if never interrupted."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sim2real.agents import SAC, Loop

from .test_sac import SPACES, near, same
from .toys import MODES, Identity, counting, small


class Recorder:
    """Stands in for an agent and notes what it is asked."""

    def __init__(self, space, learning_starts=0):
        self.action_space, self.learning_starts = space, learning_starts
        self.acted = self.observed = self.updated = 0

    def act(self, obs, deterministic=False):
        assert not deterministic
        self.acted += 1
        return np.zeros((len(obs), *self.action_space.shape), np.float32)

    def observe(self, transitions):
        self.observed += int(transitions.valid.sum())

    def update(self):
        self.updated += 1
        return 1

    def metrics(self):
        return {"updates": float(self.updated)}


def test_warm_up_actions_are_uniform_and_then_the_agents():
    env = Identity(worlds=8)
    recorder = Recorder(env.single_action_space, learning_starts=20)
    loop = Loop(recorder, env, 0)
    actions = [loop.step().action for _ in range(5)]
    assert recorder.acted == 2 and recorder.observed == 40 and recorder.updated == 5
    assert all(a.std() > 0.3 for a in actions[:3]) and not np.any(actions[3:])


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_steps_are_transitions_not_resets(mode):
    env = counting(mode)
    recorder = Recorder(env.single_action_space)
    loop = Loop(recorder, env, 0)
    loop.run_until(50)
    assert recorder.observed == loop.steps
    assert 50 <= loop.steps <= 52
    loop.run_until(50)
    assert recorder.observed == loop.steps <= 52


def test_metrics_leave_out_failed_episodes_and_begin_anew():
    env = counting(MODES[0])
    loop = Loop(Recorder(env.single_action_space), env, 0)
    assert math.isnan(loop.metrics()["return"])
    while len(loop.collector._episodes) < 8:
        loop.step()
    kept = [e for e in loop.collector._episodes if not e.failed]
    assert len(kept) == len(loop.collector._episodes) - 1
    metrics = loop.metrics()
    assert metrics["episodes"] == len(kept) + 1 and metrics["failed"] == 1.0
    assert metrics["return"] == np.mean([e.reward for e in kept])
    assert metrics["length"] == np.mean([e.length for e in kept])
    assert metrics["success"] == np.mean([e.success for e in kept])
    assert metrics["steps_per_s"] > 0 and metrics["step"] == loop.steps
    after = loop.metrics()
    assert after["episodes"] == after["failed"] == 0.0 and math.isnan(after["success"])


@pytest.mark.parametrize("steps", [24, 200], ids=["in warm-up", "while learning"])
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_saved_and_continued_equals_uninterrupted(mode, steps, tmp_path):
    def make(seed):
        env = counting(mode, goals=True)
        spaces = env.single_observation_space, env.single_action_space
        return Loop(SAC(*spaces, small(), seed, near), env, seed)

    whole, part, rest = make(0), make(0), make(1)
    whole.run_until(steps + 80)
    part.run_until(steps)
    torch.save(part.state_dict(), tmp_path / "loop.pt")
    rest.collector.env = copy.deepcopy(part.collector.env)
    rest.load_state_dict(torch.load(tmp_path / "loop.pt", weights_only=True))
    rest.run_until(steps + 80)
    assert same(whole.state_dict(), rest.state_dict())
    assert whole.agent.updates > 0


def test_saved_and_continued_equals_uninterrupted_for_boxes():
    whole = Loop(SAC(*SPACES, small(), 0), Identity(), 0)
    rest = Loop(SAC(*SPACES, small(), 1), Identity(), 1)
    whole.run_until(160)
    rest.collector.env = copy.deepcopy(whole.collector.env)
    rest.load_state_dict(whole.state_dict())
    for loop in (whole, rest):
        loop.run_until(240)
    assert same(whole.state_dict(), rest.state_dict())


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.value)
def test_physics_in_a_thread_of_its_own_computes_the_same(mode):
    def run(overlap):
        env = counting(mode)
        loop = Loop(SAC(env.single_observation_space, env.single_action_space, small(), 0), env, 0, overlap)
        loop.run_until(150)
        return loop.state_dict()

    assert same(run(False), run(True))


@pytest.mark.parametrize("overlap", [False, True])
def test_what_goes_wrong_in_the_worlds_or_in_learning_is_raised(overlap):
    env = Identity()
    loop = Loop(SAC(*SPACES, small(), 0), env, 0, overlap)
    env.step = lambda actions: 1 / 0
    with pytest.raises(ZeroDivisionError):
        loop.step()
    loop = Loop(SAC(*SPACES, small(), 0), Identity(), 0, overlap)
    loop.agent.update = lambda: [][0]
    with pytest.raises(IndexError):
        loop.step()
    assert loop.steps == (8 if overlap else 0)


def test_what_stands_between_the_worlds_and_the_agent_is_given_every_step_and_its_episodes():
    env, heard = counting(MODES[1]), []

    def sift(step, episodes):
        heard.extend(episodes)
        return replace(step, failed=np.ones(len(step.valid), bool))

    agent = Recorder(env.single_action_space)
    agent.observe = lambda step: learned.append(int(step.usable.sum()))
    learned = []
    loop = Loop(agent, env, 0, sift=sift)
    for _ in range(12):
        loop.step()
    assert learned == [0] * 12
    assert heard == loop.collector.pop_episodes() and len(heard) > 5
