"""Soft actor-critic against a control problem whose maximum-entropy solution is known.

A scalar plant `s' = a s + b u + w`, `w ~ N(0, sigma^2)`, with reward `-(q s^2 + r u^2)`, discount
`g` and temperature `alpha`. Try the soft value `V(s) = c - P s^2`. Then

    Q(s, u) = -(q s^2 + r u^2) + g E[V(s')]
            = -(q + g a^2 P) s^2 - 2 g a b P s u - (r + g b^2 P) u^2 + const,

which is quadratic in `u`, so that the optimal policy `pi(u | s) ~ exp(Q(s, u) / alpha)` (Haarnoja et
al. 2017, theorem 1) is exactly Gaussian, with

    mean     -K s,  K = g a b P / (r + g b^2 P)       (completing the square)
    variance alpha / (2 (r + g b^2 P))                (curvature of Q over alpha).

`V(s) = alpha log integral exp(Q / alpha) du` is Q at its maximum plus a constant, which gives the
discounted Riccati equation `P = q + g a^2 P - (g a b P)^2 / (r + g b^2 P)`. The entropy changes the
spread and the constant `c`, never the gain. The policy's own variable is `tanh`-squashed and scaled
by the bound `U`: a change of units that shifts all entropies by `log U` and so moves no optimum.
Nearly all `|u|` stay below `0.35 U`, where tanh bends by less than 4 %.
"""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from sim2real.agents import SAC, Loop, SACConfig

A, B, Q, R, GAMMA, SIGMA, ALPHA, BOUND = 0.9, 1.0, 1.0, 0.5, 0.8, 0.05, 0.12, 2.0


class Plant(VectorEnv):
    """Many scalar plants that never end."""

    def __init__(self, worlds):
        self.num_envs, self.metadata = worlds, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.single_action_space = gym.spaces.Box(-BOUND, BOUND, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.s = self.rng.normal(0, SIGMA, (self.num_envs, 1))
        return self.s, {}

    def step(self, actions):
        reward = -(Q * self.s**2 + R * actions**2)[:, 0]
        noise = self.rng.normal(0, SIGMA, self.s.shape)
        self.s = A * self.s + B * actions + noise
        running = np.zeros(self.num_envs, bool)
        return self.s, reward, running, running, {}


def solution():
    p = Q
    for _ in range(1000):
        p = Q + GAMMA * A**2 * p - (GAMMA * A * B * p) ** 2 / (R + GAMMA * B**2 * p)
    curvature = R + GAMMA * B**2 * p
    return GAMMA * A * B * p / curvature, np.sqrt(ALPHA / (2 * curvature))


def probe(agent):
    """Gain and standard deviation at the origin of the agent's policy, in units of `u`."""
    s = np.linspace(-0.3, 0.3, 61)[:, None]
    u = agent.act(s, deterministic=True)
    with torch.no_grad():
        _, log_std = agent.actor.gaussian(agent.actor.normalizer(torch.zeros(1, 1)))
    return -float((s * u).sum() / (s * s).sum()), BOUND * float(log_std.exp())


def learned(seed):
    """Gain and spread, averaged over the last third of training.

    With constant step sizes the iterates never stop wandering about the solution; their mean over
    time is what converges (Polyak & Juditsky 1992).
    """
    config = SACConfig(
        actor_hidden=(64, 64),
        critic_hidden=(64, 64),
        actor_lr=1e-3,
        critic_lr=3e-3,
        gamma=GAMMA,
        temperature=ALPHA,
        critic_layernorm=True,
        tau=0.05,
        learning_starts=160,
        replay_capacity=8000,
        updates_per_step=0.25,
    )
    env, probes = Plant(16), []
    agent = SAC(env.single_observation_space, env.single_action_space, config, seed)
    loop = Loop(agent, env, seed)
    for steps in range(8_000, 12_000, 400):
        loop.run_until(steps)
        probes.append(probe(agent))
    return np.mean(probes, axis=0)


def test_gain_and_spread_are_those_of_the_maximum_entropy_regulator():
    gain, std = learned(seed=0)
    expected_gain, expected_std = solution()
    assert gain == pytest.approx(expected_gain, rel=0.10)
    assert std == pytest.approx(expected_std, rel=0.15)
