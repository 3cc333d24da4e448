"""Sequences out of a replay of trials: they are what happened, within a trial, and episodes lead on."""

import numpy as np
import pytest
import torch

from sim2real.agents import Collector
from sim2real.agents.replay import ObservationLayout
from sim2real.agents.sequences import TrialReplay
from sim2real.envs.recall import RecallEnv
from tests.agents.toys import MODES, counting

WORLD, EPISODE, T = range(3)


def filled(mode, steps=40, capacity=300, across=True, episodes=2):
    """A replay of three counting worlds; world w's episodes have w + 2 steps, odd ones terminate."""
    env = RecallEnv(counting(mode), episodes)
    collector = Collector(env, seed=0)
    layout = ObservationLayout.of(env.single_observation_space)
    replay = TrialReplay(layout, 1, 3, capacity, gamma=0.5, across=across)
    for _ in range(steps):
        step = collector.step(np.zeros((3, 1), np.float32))
        replay.store(step, layout.flatten(step.obs), torch.from_numpy(step.action))
    return replay


def windows(replay, length=5, n=400):
    return replay.windows(n, length, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("capacity", [300, 30])
def test_a_window_is_what_happened_in_one_trial(mode, capacity):
    drawn = windows(filled(mode, capacity=capacity))
    assert drawn.inside[0].all() and drawn.inside.any(1).sum() == 5
    number = torch.arange(5)[:, None]
    assert (drawn.inside == (number < drawn.inside.sum(0))).all()  # nothing after the end
    for column in range(400):
        inside = int(drawn.inside[:, column].sum())
        shown = drawn.obs[:inside, column]
        length = int(shown[0, WORLD]) + 2
        assert len(set(shown[:, WORLD].tolist())) == 1
        assert len(set((shown[:, EPISODE] // 2).tolist())) == 1  # two episodes are a trial
        moments = shown[:, EPISODE] * length + shown[:, T]
        assert (moments.diff() == 1).all()
        assert torch.equal(drawn.reward[:inside, column], shown[:, T])


@pytest.mark.parametrize("mode", MODES)
def test_an_episode_leads_to_the_next_of_its_trial_and_a_trial_to_its_end(mode):
    drawn = windows(filled(mode))
    shown, after, inside = drawn.obs, drawn.next_obs, drawn.inside
    last = (shown[..., T] == shown[..., WORLD] + 1) & inside
    first = last & (shown[..., EPISODE] % 2 == 0)
    # The newest transition does not know yet what it leads to.
    leads = first & (after[..., T] == 0)
    assert (
        leads.sum() > 0.7 * first.sum() and (after[leads][:, EPISODE] == shown[leads][:, EPISODE] + 1).all()
    )
    assert (drawn.discount[leads] == 0.5).all() and (after[leads][:, -3] == 1).all()
    final = last & (shown[..., EPISODE] % 2 == 1)
    assert (after[final][:, T] == shown[final][:, T] + 1).all()
    assert torch.equal(drawn.discount[final], 0.5 * (shown[final][:, WORLD] % 2 == 0))


def test_or_ends_for_itself():
    drawn = windows(filled(MODES[0], across=False))
    last = (drawn.obs[..., T] == drawn.obs[..., WORLD] + 1) & drawn.inside
    assert (drawn.next_obs[last][:, T] > 0).all()
    assert torch.equal(drawn.discount[last], 0.5 * (drawn.obs[last][:, WORLD] % 2 == 0))
    assert (drawn.obs[1:][drawn.inside[1:]][:, T] == 0).any()  # though sequences reach across


def test_a_dropped_step_cuts_a_sequence():
    """World 2 fails at t = 1 of its episode 1."""
    drawn = windows(filled(MODES[0], steps=9, episodes=4))
    own = (drawn.obs[..., WORLD] == 2) & (drawn.obs[..., EPISODE] == 1) & drawn.inside
    moments = drawn.obs[..., T]
    assert not (own & (moments == 1)).any()
    assert not (own[:-1] & own[1:] & (moments[:-1] == 0)).any()


def test_every_moment_is_drawn_and_beginnings_most():
    drawn = windows(filled(MODES[0]), length=3, n=3000)
    first = drawn.obs[0]
    begins = (first[:, EPISODE] % 2 == 0) & (first[:, T] == 0)
    assert 0.2 < begins.float().mean() < 0.8
    seen = {tuple(row) for row in drawn.obs[drawn.inside][:, :3].tolist()}
    assert len(seen) == len(filled(MODES[0]))


def test_it_goes_on_bit_for_bit_and_gives_no_single_transitions():
    replay = filled(MODES[0], steps=17)
    twin = filled(MODES[0], steps=1)
    twin.load_state_dict(replay.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(windows(replay), windows(twin), strict=True))
    with pytest.raises(TypeError, match="windows"):
        replay.sample(3, torch.Generator())
