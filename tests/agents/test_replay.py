"""The replay: what goes in comes out, and hindsight never looks into another episode."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from sim2real.agents.replay import FIRST_ALLOCATION, ObservationLayout, Replay

from .toys import box, transitions

GOALS = gym.spaces.Dict({"observation": box(3), "achieved_goal": box(1), "desired_goal": box(1)})
LAYOUT = ObservationLayout.of(GOALS)


def near(achieved, desired, info):
    return -np.abs(achieved - desired)[:, 0]


def put(replay, step):
    obs = replay.layout.flatten(step.obs)
    replay.store(step, obs, torch.as_tensor(step.action))


def moment(world, episode, t):
    """A goal observation; the achieved goal names its world, episode and time for good."""
    name = 1e4 * np.asarray(world) + 100.0 * np.asarray(episode) + np.asarray(t)
    obs = np.stack(np.broadcast_arrays(world, episode, t), -1).astype(float)
    return {
        "observation": obs,
        "achieved_goal": name[:, None],
        "desired_goal": np.full((len(obs), 1), -7.0),
    }


def play(replay, lengths, steps):
    """Run world w through episodes of `lengths[w]` steps, so that they end at different times."""
    worlds, lengths = np.arange(len(lengths)), np.asarray(lengths)
    for step in range(steps):
        episode, t = step // lengths, step % lengths
        put(
            replay,
            transitions(moment(worlds, episode, t), moment(worlds, episode, t + 1), started=t == 0),
        )


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_box_rows_come_back_as_they_went_in():
    replay = Replay(ObservationLayout.of(box(2)), 1, worlds=2, capacity=100)
    for i in range(20):
        obs = np.array([[i, 0.0], [i, 1.0]])
        action = np.full((2, 1), i / 20, np.float32)
        put(replay, transitions(obs, obs + 0.5, action=action, reward=[i, -i], terminated=i == 3))
    batch = replay.sample(500, generator())
    i, sign = batch.obs[:, 0], 1 - 2 * batch.obs[:, 1]
    assert torch.equal(batch.next_obs, batch.obs + 0.5)
    assert torch.equal(batch.reward, i * sign)
    torch.testing.assert_close(batch.action[:, 0], i / 20)
    torch.testing.assert_close(batch.discount, 0.99 * (i != 3).float())
    assert len(torch.unique(batch.obs, dim=0)) == len(replay) == 40


def test_the_ring_keeps_the_newest_and_grows_only_as_needed():
    replay = Replay(ObservationLayout.of(box(1)), 1, worlds=2, capacity=3 * FIRST_ALLOCATION + 1)
    for i in range(2 * FIRST_ALLOCATION):
        assert replay._rows.shape[1] <= max(FIRST_ALLOCATION, 2 * i)
        obs = np.full((2, 1), float(i))
        put(replay, transitions(obs, obs))
    slots = (3 * FIRST_ALLOCATION + 1) // 2
    assert replay._rows.shape[1] == slots and len(replay) == 2 * slots
    assert replay.sample(20_000, generator()).obs.min() == 2 * FIRST_ALLOCATION - slots


def test_unusable_rows_are_left_out_and_worlds_may_differ_in_number():
    replay = Replay(ObservationLayout.of(box(1)), 1, worlds=3, capacity=30)
    for i in range(8):
        step = transitions(np.arange(3.0)[:, None], np.zeros((3, 1)))
        step.valid[0], step.failed[1] = i % 2 == 0, i >= 2
        put(replay, step)
    assert len(replay) == 4 + 2 + 8
    worlds, counts = torch.unique(replay.sample(28_000, generator()).obs, return_counts=True)
    assert worlds.tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(counts / 2000, [4, 2, 8], rtol=0.05)


@pytest.mark.parametrize("capacity", [6000, 45], ids=["everything kept", "ring overwritten"])
@pytest.mark.parametrize("steps", [29, 60])
def test_hindsight_goals_are_later_moments_of_the_same_episode(capacity, steps):
    replay = Replay(LAYOUT, 1, 3, capacity, near, her_k=4)
    play(replay, lengths=[4, 7, 40], steps=steps)
    batch = replay.sample(4000, generator())
    goal, now = batch.obs[:, 4], batch.obs[:, 3]
    assert torch.equal(batch.next_obs[:, 4], goal)
    relabelled = goal != -7.0
    assert relabelled.float().mean() == pytest.approx(0.8, abs=0.03)
    assert torch.equal((goal // 100)[relabelled], (now // 100)[relabelled])
    assert (goal > now)[relabelled].all()
    length = torch.tensor([4.0, 7.0, 40.0])[batch.obs[:, 0].long()]
    assert (goal % 100 <= length)[relabelled].all()
    assert torch.equal(batch.reward[relabelled], -(batch.next_obs[:, 3] - goal).abs()[relabelled])
    assert (batch.reward[~relabelled] == 0.0).all()


@pytest.mark.parametrize("n_step", [2, 3])
@pytest.mark.parametrize("capacity", [6000, 45], ids=["everything kept", "ring overwritten"])
def test_n_step_returns_are_those_of_the_episode_and_end_with_it(n_step, capacity):
    replay = Replay(ObservationLayout.of(box(3)), 1, 3, capacity, gamma=0.5, n_step=n_step)
    worlds, lengths = np.arange(3), np.array([4, 7, 40])
    for step in range(60):
        episode, t = step // lengths, step % lengths
        now, after = (np.stack([worlds, episode, t + i], -1).astype(float) for i in (0, 1))
        ends = (t + 1 == lengths) & (worlds == 1)  # world 1 terminates, the others are truncated
        put(replay, transitions(now, after, reward=10.0 + t, terminated=ends, started=t == 0))
    batch = replay.sample(4000, generator())
    length = torch.as_tensor(lengths)[batch.obs[:, 0].long()]
    newest = torch.as_tensor(59 % lengths)[batch.obs[:, 0].long()] + 1
    last_episode = batch.obs[:, 1] == torch.as_tensor(59 // lengths)[batch.obs[:, 0].long()]
    left = torch.where(last_episode, newest, length) - batch.obs[:, 2]
    count = left.clamp(max=n_step)
    expected = sum((10 + batch.obs[:, 2] + i) * 0.5**i * (i < count) for i in range(n_step))
    torch.testing.assert_close(batch.reward, expected)
    assert torch.equal(batch.next_obs[:, :2], batch.obs[:, :2])
    assert torch.equal(batch.next_obs[:, 2], batch.obs[:, 2] + count)
    terminated = (batch.obs[:, 0] == 1) & (batch.next_obs[:, 2] == 7)
    torch.testing.assert_close(batch.discount, 0.5**count * ~terminated)


def test_n_step_hindsight_pays_for_every_step_by_the_new_goal():
    replay = Replay(LAYOUT, 1, 1, 100, near, her_k=4, gamma=0.5, n_step=3)
    play(replay, lengths=[5], steps=8)
    batch = replay.sample(4000, generator())
    goal, now, after = batch.obs[:, 4], batch.obs[:, 3], batch.next_obs[:, 3]
    swapped = goal != -7.0
    expected = sum(-(now + 1 + i - goal).abs() * 0.5**i * (now + i < after) for i in range(3))
    torch.testing.assert_close(batch.reward[swapped], expected[swapped])
    assert (batch.reward[~swapped] == 0.0).all() and torch.equal(batch.next_obs[:, 4], goal)


def test_every_later_moment_is_a_hindsight_goal():
    replay = Replay(LAYOUT, 1, 1, 100, near, her_k=4)
    play(replay, lengths=[5], steps=8)
    batch = replay.sample(20_000, generator())
    first = (batch.obs[:, 3] == 0) & (batch.obs[:, 4] != -7.0)
    moments, counts = torch.unique(batch.obs[first, 4], return_counts=True)
    assert moments.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    np.testing.assert_allclose(counts / counts.sum(), 0.2, atol=0.03)


def test_a_dropped_transition_splits_the_episode_for_hindsight():
    replay = Replay(LAYOUT, 1, 1, 100, near, her_k=4)
    for t in range(6):
        step = transitions(moment([0], [0], [t]), moment([0], [0], [t + 1]), started=t in (0, 4))
        step.failed[0] = t == 3
        put(replay, step)
    batch = replay.sample(2000, generator())
    early = (batch.obs[:, 3] < 3) & (batch.obs[:, 4] != -7.0)
    assert batch.obs[early, 4].max() == 3.0


@pytest.mark.parametrize("steps", [5, 33])
def test_saved_and_restored_replays_draw_and_store_alike(steps):
    original, restored = (Replay(LAYOUT, 1, 2, 40, near, her_k=4) for _ in range(2))
    play(original, [4, 7], steps)
    state = original.state_dict()
    assert state["rows"].shape[1] == min(steps, 20)
    restored.load_state_dict(state)
    for replay in (original, restored):
        worlds = np.arange(2)
        step = transitions(moment(worlds, 50, 0 * worlds), moment(worlds, 50, 1 + 0 * worlds))
        put(replay, step)
    draws = (replay.sample(200, generator()) for replay in (original, restored))
    for a, b in zip(*draws, strict=True):
        assert torch.equal(a, b)


def test_a_restored_replay_shares_no_memory():
    original, restored = (Replay(LAYOUT, 1, 2, 40) for _ in range(2))
    play(original, [4, 7], 20)
    restored.load_state_dict(original.state_dict())
    before = restored.state_dict()
    play(original, [3, 3], 20)
    assert all(torch.equal(before[k], v) for k, v in restored.state_dict().items())


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="flat Box, or a Dict of observation, achieved_goal"):
        ObservationLayout.of(gym.spaces.Discrete(3))
    with pytest.raises(ValueError, match="flat Box, or a Dict"):
        ObservationLayout.of(gym.spaces.Dict({"observation": box(1)}))
    uneven = {"observation": box(3), "achieved_goal": box(2), "desired_goal": box(1)}
    with pytest.raises(ValueError, match="equal length"):
        ObservationLayout.of(gym.spaces.Dict(uneven))
    with pytest.raises(ValueError, match="Hindsight needs goal observations"):
        Replay(LAYOUT, 1, 1, 10, None, her_k=4)
    replay = Replay(LAYOUT, 1, 2, 40)
    with pytest.raises(ValueError, match="replay is empty"):
        replay.sample(3, generator())
    with pytest.raises(ValueError, match="holds 2 worlds, but a step of 3 came"):
        play(replay, [2, 2, 2], 1)
    other = Replay(LAYOUT, 1, 3, 40)
    with pytest.raises(ValueError, match=r"saved replay has .* \(3, 0, 13\)"):
        replay.load_state_dict(other.state_dict())
