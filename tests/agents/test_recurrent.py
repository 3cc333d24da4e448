"""Memories: what a summary sums up, and where it begins, is kept apart, and goes on."""

import gymnasium as gym
import pytest
import torch

from sim2real.agents.recurrent import Encoder, Memory

INPUTS, RECALLED, UNITS = 5, 3, 4


def encoder(zeroed=False, seed=0):
    return Encoder(INPUTS, RECALLED, UNITS, torch.Generator().manual_seed(seed), zeroed)


def inputs(steps=6, n=3):
    return torch.randn(steps, n, INPUTS, generator=torch.Generator().manual_seed(1))


def test_summaries_are_those_of_one_step_at_a_time():
    own, x = encoder(), inputs()
    hidden, each = torch.zeros(3, UNITS), []
    for step in x:
        each.append(own(step[None], hidden)[0])
        hidden = each[-1][:, :UNITS]
    assert torch.allclose(own(x), torch.stack(each), atol=1e-6)
    assert torch.equal(own(x)[..., UNITS:], x)


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, two, other = encoder(), encoder(), encoder(seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.gru.weight_hh_l0, other.gru.weight_hh_l0)


def test_what_follows_is_summed_up_after_each_step():
    own, x = encoder(), inputs()
    after = own.following(own(x), inputs(6, 3).flip(0))
    for t in range(6):
        whole = own(torch.cat((x[: t + 1], x.flip(0)[t : t + 1])))
        assert torch.allclose(after[t], whole[-1], atol=1e-6)


def test_trials_begin_and_ended_episodes_leave_no_trace():
    """As a memory has it that is told step by step."""
    own, x = encoder(), inputs(7)
    fresh, over = torch.zeros(7, 3, dtype=torch.bool), torch.zeros(7, 3, dtype=torch.bool)
    fresh[3, 1], fresh[0, 2], over[4, 0], over[5, 0], over[6, 2] = True, True, True, True, True
    start = torch.ones(3, UNITS)
    hidden, each = start, []
    for t in range(7):
        hidden = torch.where(fresh[t, :, None], 0.0, hidden)
        each.append(own(x[t : t + 1], hidden)[0])
        hidden = torch.where(over[t, :, None], hidden, each[-1][:, :UNITS])
    assert torch.allclose(own.directed(x, start, fresh, over), torch.stack(each), atol=1e-6)


def test_zeroed_it_knows_the_newest_observation_alone():
    own, x = encoder(zeroed=True), inputs()
    other = inputs().flip(0)
    other[..., : INPUTS - RECALLED] = x[..., : INPUTS - RECALLED]
    assert torch.equal(own(x), own(other))
    assert torch.allclose(own(x)[3], own(x[3:4])[0], atol=1e-6)
    never = torch.zeros(6, 3, dtype=torch.bool)
    assert torch.allclose(own.directed(x, torch.ones(3, UNITS), never, never), own(x), atol=1e-6)
    assert torch.allclose(own.following(own(x), x), own(x), atol=1e-6)


def raw(n, fresh=False, over=False, value=1.0):
    """An observation of one number, an action, reward, end and the flags."""
    shown = torch.full((n, 6), value)
    shown[:, 4], shown[:, 5] = float(fresh), float(over)
    return shown


def memory():
    return Memory(torch.zeros(1, 2), torch.zeros(1, 3))


def test_a_trial_begins_with_nothing_and_goes_on_with_what_was_kept():
    own = memory()
    shown, hidden = own.entered(raw(2, fresh=True))
    assert not hidden.any() and shown[:, 1:4].eq(0).all() and shown[:, 0].eq(1).all()
    own.keep(torch.ones(2, 2), shown)
    mixed = raw(2)
    mixed[0, 4] = 1.0
    assert own.entered(mixed)[1].tolist() == [[0, 0], [1, 1]]
    own.keep(torch.full((2, 2), 5.0), raw(2, over=True))
    assert own.hidden.tolist() == [[1, 1], [1, 1]]


def test_other_worlds_in_the_midst_of_a_trial_are_refused():
    own = memory()
    own.keep(torch.ones(2, 2), raw(2))
    with pytest.raises(ValueError, match="remembers 2 worlds, but 3 others"):
        own.entered(raw(3))
    assert not own.entered(raw(3, fresh=True))[1].any()


def test_a_memory_goes_on_from_its_state():
    own, other = memory(), memory()
    own.keep(torch.ones(2, 2), raw(2))
    other.load_state_dict(own.state_dict())
    own.hidden += 1.0
    assert torch.equal(other.hidden, torch.ones(2, 2)) and torch.equal(other.first, torch.zeros(1, 2))
    other.load_state_dict(memory().state_dict())
    assert other.hidden is None


def test_worlds_must_show_what_they_recall():
    from sim2real.transfer.registry import METHODS

    box = gym.spaces.Box(-1, 1, (3,))
    for name in ("rl2", "recurrent_sac"):
        with pytest.raises(ValueError, match="recall=True"):
            METHODS[name].make(box, box, METHODS[name].config(), 0, None, None)
