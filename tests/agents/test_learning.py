"""Learning checks that take minutes: SAC solves two of its gates, on fewer steps than they allow."""

import pytest

from sim2real.agents import Loop
from sim2real.envs.make import make_vector
from sim2real.evaluation.statistics import iqm
from sim2real.rollout import run_episodes
from sim2real.session import CATALOG, fresh_agent
from sim2real.spec import load


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "steps", "least"), [("pendulum", 20_000, 9000.0), ("reach", 10_000, 0.95)])
def test_sac_learns(spec, steps, least):
    bundle = load(f"assets/specs/sac/{spec}.yaml", CATALOG)
    env = make_vector(bundle.spec.env, bundle.spec.train.num_envs)
    agent = fresh_agent(bundle, env)
    Loop(agent, env, 0).run_until(steps)
    episodes = run_episodes(agent, make_vector(bundle.spec.env, 20), 1_000)
    score = float(iqm(episodes.returns)) if episodes.success is None else float(episodes.success.mean())
    assert score >= least
