"""The bandit: arms that pay as often as they say, for an episode."""

import numpy as np
import pytest

from sim2real.envs.bandit import BernoulliBandit


def test_arms_pay_as_often_as_their_chances_and_stay_for_an_episode():
    env = BernoulliBandit(20_000, arms=3, pulls=4)
    env.reset(seed=0)
    chances = env.chances.copy()
    assert abs(chances.mean() - 0.5) < 0.01 and len(np.unique(chances)) == chances.size
    action = np.tile([-1.0, 0.2, 0.1], (20_000, 1))  # the largest entry is the second
    paid = np.zeros(20_000)
    for t in range(4):
        shown, reward, terminated, truncated, infos = env.step(action)
        paid += reward
        assert np.isin(reward, (0, 1)).all() and not shown.any() and not truncated.any()
        assert terminated.all() == (t == 3) and ("final_obs" in infos) == (t == 3)
    assert abs((paid / 4 - chances[:, 1]).mean()) < 0.01
    assert np.corrcoef(paid, chances[:, 1])[0, 1] > 0.5 > abs(np.corrcoef(paid, chances[:, 0])[0, 1])
    assert not np.isin(env.chances, chances).any()


def test_the_same_seed_gives_the_same_arms_and_pay():
    found = []
    for _ in range(2):
        env = BernoulliBandit(5)
        env.reset(seed=3)
        pay = [env.step(np.eye(5))[1] for _ in range(25)]
        found.append((env.chances.copy(), np.stack(pay)))
    assert all(np.array_equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("options", [{"arms": 1}, {"pulls": 0}, {"arms": 2.5}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="arms from 2 and pulls from 1 on"):
        BernoulliBandit(1, **options)
