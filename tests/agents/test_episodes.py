"""Whole episodes: how they are recorded, and advantages that can be worked out by hand."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sim2real.agents import Collector
from sim2real.agents.episodes import (
    Episodes,
    Recorder,
    advantages,
    backwards,
    features,
    fitted,
    joined,
    returns_to_go,
)
from tests.agents.toys import Counting, counting


class Patient(SyncVectorEnv):
    """Worlds that go on when their episode is over, as ours do, until somebody resets them."""

    def step(self, actions):
        self._autoreset_envs[:] = False
        return super().step(actions)


def in_step(mode=AutoresetMode.DISABLED):
    env = Patient([lambda w=w: Counting(w) for w in range(3)], autoreset_mode=mode)
    env.metadata = {**env.metadata, "in_step": True}
    return env


def episodes(reward, there=None, obs=None):
    reward = torch.tensor(reward)
    there = torch.ones_like(reward) if there is None else torch.tensor(there)
    obs = torch.zeros(*reward.shape, 1) if obs is None else obs
    return Episodes(obs, torch.zeros(*reward.shape, 1), reward * there, there)


def test_worlds_that_begin_in_step_wait_for_the_last_one():
    """World w runs w + 2 steps; those that are over take no transitions and count no steps."""
    collector = Collector(in_step(), 0)
    valid = [collector.step(np.zeros((3, 1), np.float32)).valid.tolist() for _ in range(5)]
    assert valid[:4] == [[True] * 3, [True] * 3, [False, True, True], [False, False, True]]
    assert valid[4] == [True] * 3 and collector.steps == 3 * 2 + 2 + 1 + 3
    assert collector.obs[:, 1].tolist() == [1.0] * 3  # all in their second episode
    assert [(e.world, e.length, e.reward) for e in collector.pop_episodes()] == [
        (0, 2, 1),
        (1, 3, 3),
        (2, 4, 6),
    ]


def test_waiting_goes_on_where_it_was():
    collector, twin = Collector(in_step(), 0), Collector(in_step(), 0)
    for _ in range(3):
        collector.step(np.zeros((3, 1), np.float32))
        twin.step(np.zeros((3, 1), np.float32))
    state = collector.state_dict()
    twin._resetting[:] = False
    twin.load_state_dict(state)
    for _ in range(4):
        a, b = (one.step(np.zeros((3, 1), np.float32)) for one in (collector, twin))
        assert np.array_equal(a.valid, b.valid) and np.array_equal(a.next_obs, b.next_obs)
        assert np.array_equal(a.started, b.started)


def test_worlds_that_reset_themselves_cannot_begin_in_step():
    with pytest.raises(ValueError, match="cannot begin in step"):
        Collector(in_step(AutoresetMode.SAME_STEP), 0)


def recorded():
    """The first episodes of three worlds, and the second ones."""
    collector, recorder, found = Collector(in_step(), 0), Recorder(), []
    while len(found) < 2:
        step = collector.step(np.zeros((3, 1), np.float32))
        recorder.add(step, torch.as_tensor(step.obs).float(), torch.as_tensor(step.action))
        if recorder.complete:
            found.append(recorder.take())
    return found


def test_episodes_are_recorded_whole_and_filled_up():
    first, second = recorded()
    assert first.obs.shape == (3, 4, 3) and first.there.sum(1).tolist() == [2, 3, 4]
    assert (first.there[:, 0] == 1).all() and first.returns.tolist() == [1, 3, 6]
    assert (first.obs[2, :, 2] == torch.arange(4)).all() and (second.obs[:, 0, 1] == 1).all()
    # In world 2's second episode the second step failed: it is not learned from, and earns nothing.
    assert second.there[2].tolist() == [1, 0, 1, 1] and second.returns.tolist() == [1, 3, 5]


def test_a_world_that_does_not_wait_is_refused():
    collector, recorder = Collector(counting(AutoresetMode.NEXT_STEP), 0), Recorder()
    with pytest.raises(ValueError, match="begin together"):
        for _ in range(4):
            step = collector.step(np.zeros((3, 1), np.float32))
            recorder.add(step, torch.as_tensor(step.obs).float(), torch.as_tensor(step.action))


def test_a_recorder_goes_on_where_it_was():
    collector, recorder, twin = Collector(in_step(), 0), Recorder(), Recorder()
    for number in range(4):
        step = collector.step(np.zeros((3, 1), np.float32))
        recorder.add(step, torch.as_tensor(step.obs).float(), torch.as_tensor(step.action))
        if number == 1:
            twin.load_state_dict(recorder.state_dict())
        if number > 1:
            twin.add(step, torch.as_tensor(step.obs).float(), torch.as_tensor(step.action))
    for a, b in zip(vars(recorder.take()).values(), vars(twin.take()).values(), strict=True):
        assert torch.equal(a, b)


def test_tasks_are_worlds_next_to_each_other_and_records_can_be_joined():
    one, two = episodes([[1.0, 2.0], [3.0, 4.0]]), episodes([[5.0, 6.0, 7.0], [8.0, 9.0, 1.0]])
    both = joined([one, two])
    assert both.reward.tolist() == [[1, 2, 0], [3, 4, 0], [5, 6, 7], [8, 9, 1]]
    assert both.there.sum(1).tolist() == [2, 2, 3, 3]
    assert both.of_tasks(2).reward[1].tolist() == [[5, 6, 7], [8, 9, 1]]


def test_returns_to_go_by_hand():
    assert backwards(torch.tensor([1.0, 2.0, 4.0]), 0.5).tolist() == [3.0, 4.0, 4.0]
    assert returns_to_go(episodes([[[1.0, 1.0]]]), 0.5).tolist() == [[[1.5, 1.0]]]


def test_what_observation_and_time_explain_is_no_advantage():
    """Returns of the first task are quadratic in what is seen, and the baseline has all of it."""
    generator = torch.Generator().manual_seed(0)
    obs = torch.randn(2, 6, 5, 1, generator=generator)
    values = 1.0 + 2.0 * obs[..., 0] - obs[..., 0] ** 2
    reward = values - torch.cat((values[..., 1:], torch.zeros(2, 6, 1)), -1)
    reward[1] += torch.randn(6, 5, generator=generator)
    own = Episodes(obs, torch.zeros(2, 6, 5, 1), reward, torch.ones(2, 6, 5))
    fit = fitted(features(own), returns_to_go(own, 1.0), own.there)
    torch.testing.assert_close(fit[0], values[0], atol=1e-2, rtol=0)
    assert (fit[1] - returns_to_go(own, 1.0)[1]).abs().max() > 0.5


def test_advantages_tell_a_better_action_from_a_worse_one():
    """Without a state, what a step earns above the mean of its time is its advantage."""
    reward = [[[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]]
    found = advantages(episodes(reward), 1.0, 1.0)
    torch.testing.assert_close(
        found[0, :, 0], 2**0.5 * torch.tensor([1.0, -1.0, 1.0, -1.0]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(found[0, :, 1], torch.zeros(4), atol=1e-3, rtol=0)


def test_what_is_filled_up_changes_nothing():
    short = episodes([[[1.0, 0.5], [-1.0, 0.2]]])
    filler = torch.tensor([[[1.0, 1.0, 0.0, 0.0]] * 2])
    longer = Episodes(
        torch.cat((short.obs, torch.full((1, 2, 2, 1), 9.0)), 2),
        torch.cat((short.action, torch.ones(1, 2, 2, 1)), 2),
        torch.cat((short.reward, torch.zeros(1, 2, 2)), 2),
        filler,
    )
    found = advantages(longer, 0.9, 0.8)
    torch.testing.assert_close(found[..., :2], advantages(short, 0.9, 0.8))
    assert not found[..., 2:].any()
    mean = (found * filler).sum() / filler.sum()
    assert mean.abs() < 1e-5 and ((found**2).sum() / filler.sum()).sqrt() == pytest.approx(1.0, abs=1e-4)
