"""What a policy may be told of its world, or find out: the domain, and what its own actions have done."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Program

Floats = NDArray[np.float64]
ENDS = 0.01
"""Quantiles of the source that count as its ends, from either side: a distribution's own may be infinite."""


class ContextEnv(VectorWrapper):
    """Adds the domain and a history to what each world shows.

    Observations become dictionaries: beside `observation` (and goals) there is `domain` (d,), the domain as
    applied, on a scale on which the source reaches from -1 to 1 and held-out targets lie beyond; a term that
    does not vary in the source is 0. With a history there is `history` (h (obs + act),): the last h pairs of
    an observation and the action that answered it, in [-1, 1], oldest first, zero where the episode has not
    lasted as long. An episode's last observation carries the domain and the history that it ended with.

    Args:
        env: N worlds, in any autoreset mode.
        program: What varies in them.
        history: h, pairs to remember.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], program: Program, history: int = 0) -> None:
        super().__init__(env)
        low, high = program.values(np.array([[ENDS], [1.0 - ENDS]]).repeat(program.d, 1))
        self._low, self._width = low, (high - low) / (1.0 - 2.0 * ENDS)
        inner, actions = env.single_observation_space, env.single_action_space
        self._goals = isinstance(inner, gym.spaces.Dict)
        seen = inner["observation"] if isinstance(inner, gym.spaces.Dict) else inner
        if not isinstance(seen, gym.spaces.Box) or not isinstance(actions, gym.spaces.Box):
            raise ValueError(f"a context is added to flat observations and actions, given {inner}, {actions}")
        self._low_action, self._high_action = actions.low.astype(float), actions.high.astype(float)
        pair = seen.shape[0] + actions.shape[0]
        wide = {"history": history * pair} if history else {}
        added = {
            key: gym.spaces.Box(-np.inf, np.inf, (size,))
            for key, size in {**wide, "domain": program.d}.items()
        }
        old = dict(inner.spaces) if isinstance(inner, gym.spaces.Dict) else {"observation": inner}
        self.single_observation_space = gym.spaces.Dict({**old, **added})
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._history = np.zeros((env.num_envs, history, pair))
        self._seen = np.zeros((env.num_envs, seen.shape[0]))
        self._domain = np.zeros((env.num_envs, program.d))
        self._resetting = np.zeros(env.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes, with empty histories; see the environment's own `reset`."""
        mask = (options or {}).get("reset_mask")  # before Gymnasium's own environments take it out
        observation, infos = self.env.reset(seed=seed, options=options)
        self._forget(np.ones(self.num_envs, bool) if mask is None else np.asarray(mask))
        self._resetting[:] = False
        return self._widened(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step, and remember what was seen before it and done."""
        self._remember(np.asarray(actions, float).reshape(self.num_envs, -1))
        before = self._domain
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        ended = np.asarray(terminated) | np.asarray(truncated)
        self._forget(self._resetting)
        mode = self.env.metadata["autoreset_mode"]
        if mode == AutoresetMode.SAME_STEP and ended.any():
            infos = {**infos, "final_obs": self._final(infos["final_obs"], before, ended)}
            self._forget(ended)
        self._resetting = ended & (mode == AutoresetMode.NEXT_STEP)
        return self._widened(observation), reward, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on; of native worlds only."""
        names = ("_history", "_seen", "_domain", "_resetting")
        own = {name: getattr(self, name).copy() for name in names}
        return {"context": own, "worlds": self._native.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit."""
        self._native.load_state_dict(saved["worlds"])
        for name, value in saved["context"].items():
            getattr(self, name)[:] = value

    @property
    def _native(self) -> TaskVectorEnv:
        env = self.env.unwrapped
        assert isinstance(env, TaskVectorEnv)
        return env

    def _remember(self, actions: Floats) -> None:
        if self._history.shape[1]:
            middle, half = (
                (self._high_action + self._low_action) / 2,
                (self._high_action - self._low_action) / 2,
            )
            self._history[:, :-1] = self._history[:, 1:]
            self._history[:, -1] = np.concatenate([self._seen, (actions - middle) / half], axis=1)

    def _forget(self, worlds: NDArray[np.bool_]) -> None:
        self._history[worlds] = 0.0

    def _widened(self, observation: Any) -> dict[str, Any]:
        shown = dict(observation) if self._goals else {"observation": observation}
        self._seen = np.array(shown["observation"], float)
        self._domain = self._scaled(self._applied())
        return {**shown, **self._added(self._domain, self._history)}

    def _added(self, domain: Floats, history: Floats) -> dict[str, Floats]:
        kept = {"history": history.reshape(len(history), -1).copy()} if history.shape[1] else {}
        return {**kept, "domain": domain.copy()}

    def _final(self, final: Any, domain: Floats, ended: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the last observations (n,) of ended worlds, widened by what was theirs."""
        added = self._added(domain, self._history)
        found = np.full(self.num_envs, None, dtype=object)
        for world in np.flatnonzero(ended):
            shown = dict(final[world]) if self._goals else {"observation": final[world]}
            found[world] = {**shown, **{key: value[world] for key, value in added.items()}}
        return found

    def _applied(self) -> Floats:
        """Return the domains (n, d) as applied; the middle of the source where nobody can say."""
        if not len(self._low):
            return np.zeros((self.num_envs, 0))
        env: Any = self.env.unwrapped
        if getattr(env, "unknown_domain", False):
            return np.tile(self._low + self._width * (0.5 - ENDS), (self.num_envs, 1))
        if isinstance(env, TaskVectorEnv):
            return env.applied
        return np.stack([one.get_wrapper_attr("applied") for one in env.envs])

    def _scaled(self, domain: Floats) -> Floats:
        """Return domains (n, d) with the source between -1 and 1."""
        varies = self._width > 0
        share = np.divide(domain - self._low, self._width, out=np.full_like(domain, 0.5), where=varies)
        share[:, varies] += ENDS
        return 2.0 * share - 1.0
