"""Trials: a domain stays for several episodes, in several worlds."""

import numpy as np

from sim2real.agents import Collector
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.envs.registry import nominal_model
from sim2real.envs.wants import NOTHING, Wants
from sim2real.session import CATALOG
from sim2real.spec import Program
from sim2real.spec.load import load_text

SPEC = "env: PointGoals-v0\nrandomize:\n  mass: {type: mass, select: point, scale: [0.5, 2]}\n"


def domains_of_episodes(wants, worlds=6, episodes=6, **options):
    """Return the domains (episodes, worlds) that worlds go through."""
    program = load_text(SPEC, "spec.yaml", CATALOG).program
    env = make_worlds("PointGoals-v0", {}, program, worlds, None, 3, 1, wants=wants, **options)
    found = []
    for _ in range(episodes):
        env.reset() if found else env.reset(seed=3)
        found.append(env.applied[:, 0].copy())
    env.close()
    return np.stack(found)


def test_by_default_every_episode_has_a_domain_of_its_own():
    found = domains_of_episodes(NOTHING)
    assert len(np.unique(found)) == found.size


def test_a_trial_keeps_its_domain_for_its_episodes():
    found = domains_of_episodes(Wants(episodes=3))
    assert (found[:3] == found[0]).all() and (found[3:] == found[3]).all()
    assert len(np.unique(found)) == 2 * 6
    assert np.array_equal(found[::3], domains_of_episodes(NOTHING)[:2])  # draws are keyed by trials


def test_worlds_next_to_each_other_share_a_trial():
    found = domains_of_episodes(Wants(episodes=2, together=3))
    assert (found[:, :3] == found[:, :1]).all() and (found[:, 3:] == found[:, 3:4]).all()
    assert len(np.unique(found)) == 2 * 3


def test_starts_differ_though_domains_are_shared():
    program = Program(nominal_model("PointGoals-v0", {}), {})
    env = make_worlds("PointGoals-v0", {}, program, 4, None, 0, 1, wants=Wants(episodes=5, together=4))
    first, second = env.reset(seed=0)[0].copy(), env.reset()[0].copy()
    assert len(np.unique(np.concatenate([first, second])[:, 0])) == 8


def test_fixed_domains_stay_what_they_are():
    program = load_text(SPEC, "spec.yaml", CATALOG).program
    given = np.array([[0.5], [1.0], [2.0]])
    env = make_worlds("PointGoals-v0", {}, program, 3, fixed(given), 0, 1)
    env.reset(seed=0)
    assert np.allclose(env.applied, given)


def test_worlds_in_step_begin_their_trials_together():
    """Whoever is at its goal early waits; all of a group are in the same domain at any time."""
    spec = (
        'env: PointNavigation-v0\nrandomize:\n  goal: {type: joint_offset, select: "x|y", add: [-0.5, 0.5]}\n'
    )
    program = load_text(spec, "spec.yaml", CATALOG).program
    wants = Wants(episodes=2, together=2, in_step=True)
    collector = Collector(make_worlds("PointNavigation-v0", {}, program, 4, None, 3, 1, wants=wants), 3)
    goals, lengths = [], []
    while len(lengths) < 4 * 4:
        goal = collector.env.unwrapped.applied
        assert np.array_equal(goal[::2], goal[1::2])
        if collector._started.all():
            goals.append(goal[::2].copy())
        slow = np.array([[1.0], [1.0], [1.0], [0.25]])
        collector.step(np.clip((goal - collector.obs) / 0.1, -1, 1) * slow)
        lengths += [episode.length for episode in collector.ended]
    assert np.array_equal(goals[0], goals[1]) and np.array_equal(goals[2], goals[3])
    assert len(np.unique(np.concatenate(goals))) == 2 * 2 * 2
    assert max(lengths) > 3 * min(lengths) and collector.steps == sum(lengths)
