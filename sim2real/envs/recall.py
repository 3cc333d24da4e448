"""What a policy with a memory is fed besides observations: what it did, what came of it, and what began."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
REWARD, ENDED, FRESH, OVER = -4, -3, -2, -1
"""Columns of `recall` after the action."""


class RecallEnv(VectorWrapper):
    """Adds the last action, its reward, and where episodes and trials begin to what each world shows.

    Observations become dictionaries: beside `observation` (and goals, and a context) there is `recall`
    (act + 4,). Its columns are the last action in [-1, 1], its reward, whether it *ended* an episode, of
    which this is the next one's first showing (Duan et al. 2016, arXiv 1611.02779, section 2.2), and two that
    are no input but direct a memory: *fresh*, a new trial begins, of which nothing is known yet (all else is
    then 0), and *over*, the episode has ended and what is done now counts for nothing. `over` is shown with
    an episode's true last observation, in whatever autoreset mode.

    Args:
        env: N worlds, in any autoreset mode.
        episodes: Of a trial: every so many the domain is another, see `sim2real.envs.domains.in_trials`.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], episodes: int = 1) -> None:
        super().__init__(env)
        inner, actions = env.single_observation_space, env.single_action_space
        flat = isinstance(inner, gym.spaces.Box) and len(inner.shape) == 1
        if not isinstance(actions, gym.spaces.Box) or not (flat or isinstance(inner, gym.spaces.Dict)):
            raise ValueError(f"recall is added to flat observations and actions, given {inner}, {actions}")
        self._trial = episodes
        low, high = actions.low.astype(float), actions.high.astype(float)
        self._middle, self._half = (high + low) / 2, (high - low) / 2
        old = dict(inner.spaces) if isinstance(inner, gym.spaces.Dict) else {"observation": inner}
        self._keyed = isinstance(inner, gym.spaces.Dict)
        added = gym.spaces.Box(-np.inf, np.inf, (len(low) - REWARD,))
        self.single_observation_space = gym.spaces.Dict({**old, "recall": added})
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._recall = np.zeros((env.num_envs, len(low) - REWARD))
        self._number = np.full(env.num_envs, -1)
        self._resetting = np.zeros(env.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes; a new seed begins new trials, and so does every `episodes`-th episode."""
        mask = (options or {}).get("reset_mask")  # before Gymnasium's own environments take it out
        observation, infos = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._number[:] = -1
        self._begin(np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool))
        self._resetting[:] = False
        return self._widened(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step, and show what was done and what it brought."""
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        taken = ~self._resetting
        ended = (np.asarray(terminated) | np.asarray(truncated)) & taken
        scaled = (np.asarray(actions, float).reshape(self.num_envs, -1) - self._middle) / self._half
        now = np.column_stack([scaled, np.asarray(reward, float), np.zeros((self.num_envs, 2)), ended])
        self._recall[taken] = now[taken]
        self._begin(self._resetting)
        mode = self.env.metadata["autoreset_mode"]
        if mode == AutoresetMode.SAME_STEP and ended.any():
            infos = {**infos, "final_obs": self._final(infos["final_obs"], ended)}
            self._begin(ended)
        self._resetting = ended & (mode == AutoresetMode.NEXT_STEP)
        return self._widened(observation), reward, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on; of native worlds only."""
        names = ("_recall", "_number", "_resetting")
        own = {name: getattr(self, name).copy() for name in names}
        env: Any = self.env
        return {"recall": own, "worlds": env.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit."""
        env: Any = self.env
        env.load_state_dict(saved["worlds"])
        for name, value in saved["recall"].items():
            getattr(self, name)[:] = value

    def _begin(self, worlds: Bools) -> None:
        """Let the next episode of some worlds begin, and with it, if it is time, a new trial."""
        self._number += worlds
        fresh = worlds & (self._number % self._trial == 0)
        self._recall[worlds, ENDED], self._recall[worlds, OVER] = 1.0, 0.0
        self._recall[fresh] = 0.0
        self._recall[fresh, FRESH] = 1.0

    def _widened(self, observation: Any) -> dict[str, Any]:
        shown = dict(observation) if self._keyed else {"observation": observation}
        return {**shown, "recall": self._recall.copy()}

    def _final(self, final: Any, ended: Bools) -> NDArray[Any]:
        """Return the last observations (n,) of ended worlds, widened by what they had last done."""
        found = np.full(self.num_envs, None, dtype=object)
        for world in np.flatnonzero(ended):
            shown = dict(final[world]) if self._keyed else {"observation": final[world]}
            found[world] = {**shown, "recall": self._recall[world].copy()}
        return found
