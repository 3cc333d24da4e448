"""Transitions out of any Gymnasium vector environment, whatever way it starts its next episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from sim2real.agents.base import Observation, Transitions


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        world: Index of the world it ran in.
        reward: Undiscounted sum of its rewards.
        length: Number of its steps.
        success: `info["is_success"]` of its last step, or None where the task has no such notion.
        failed: Whether the simulation became unstable in it.
    """

    world: int
    reward: float
    length: int
    success: bool | None
    failed: bool


class Collector:
    """Steps a vector environment and says exactly what happened, in any autoreset mode.

    - `SAME_STEP`: a finished world comes back reset; its true last observation and info are in
      `info["final_obs"]` and `info["final_info"]`.
    - `NEXT_STEP`: the step after the last one only resets; it is no transition (`valid` is false).
    - `DISABLED`: finished worlds are reset at once with `env.reset(options={"reset_mask": mask})`, or where
      `metadata["in_step"]` is true, all together when the last one has finished; while they wait for it,
      their steps are no transitions.

    Args:
        env: The environment; its `metadata["autoreset_mode"]` names its mode.
        seed: Seed of the first reset.

    Attributes:
        obs: What each world shows now `(n, obs)`; the next action answers it.
        steps: Environment steps taken; a step that only resets a world is not one.
        failures: Steps in which a simulation became unstable, as told by `info["failed"]`.
        ended: The episodes that the last step finished.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], seed: int) -> None:
        self.env = env
        mode = env.metadata.get("autoreset_mode")
        try:
            self._mode = AutoresetMode(mode)
        except ValueError as error:
            known = ", ".join(m.value for m in AutoresetMode)
            raise ValueError(
                f'The environment\'s metadata["autoreset_mode"] is {mode!r}, not one of {known}.'
            ) from error
        self._in_step = bool(env.metadata.get("in_step")) and env.num_envs > 1
        if self._in_step and self._mode is not AutoresetMode.DISABLED:
            raise ValueError(f"Worlds that reset themselves ({self._mode.value}) cannot begin in step.")
        obs, _ = env.reset(seed=seed)
        n = env.num_envs
        self.obs: Observation = _copy(obs)
        self.steps = self.failures = 0
        self._started = np.ones(n, np.bool_)
        self._resetting = np.zeros(n, np.bool_)
        self._returns = np.zeros(n, np.float64)
        self._lengths = np.zeros(n, np.int64)
        self._failed = np.zeros(n, np.bool_)
        self._episodes: list[Episode] = []
        self.ended: list[Episode] = []

    def step(self, action: NDArray[Any]) -> Transitions:
        """Take one step in every world.

        Args:
            action: Actions `(n, act)` in the environment's bounds.
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        valid = ~self._resetting
        done = (terminated | truncated) & valid
        next_obs = _copy(obs)
        if self._mode is AutoresetMode.SAME_STEP and done.any():
            _place_final(next_obs, info["final_obs"], done)
        transitions = Transitions(
            obs=self.obs,
            action=np.asarray(action, np.float32),
            reward=np.asarray(reward, np.float64),
            next_obs=next_obs,
            terminated=terminated & valid,
            truncated=truncated & valid,
            started=self._started,
            valid=valid,
            failed=_last(info, "failed", done, len(valid))[0].astype(np.bool_) & valid,
        )
        self._account(transitions, done, info)
        self._advance(obs, transitions, done)
        return transitions

    def _account(self, step: Transitions, done: NDArray[np.bool_], info: Mapping[str, Any]) -> None:
        """Keep the books of the running episodes and close those that are done."""
        self.steps += int(step.valid.sum())
        self.failures += int(step.failed.sum())
        self._returns += np.where(step.usable, step.reward, 0.0)
        self._lengths += step.valid
        self._failed |= step.failed
        success, known = _last(info, "is_success", done, len(done))
        self.ended = [
            Episode(
                int(world),
                float(self._returns[world]),
                int(self._lengths[world]),
                bool(success[world]) if known[world] else None,
                bool(self._failed[world]),
            )
            for world in np.flatnonzero(done)
        ]
        self._episodes += self.ended
        self._returns[done], self._lengths[done], self._failed[done] = 0.0, 0, False

    def _advance(self, obs: Observation, step: Transitions, done: NDArray[np.bool_]) -> None:
        """Make ready for the next step: what the worlds show, and which of them start anew."""
        over = done | (self._resetting & self._in_step)
        if self._mode is AutoresetMode.DISABLED and (over.all() if self._in_step else over.any()):
            obs, _ = self.env.reset(options={"reset_mask": over.copy()})
            over = np.zeros_like(over)
        self.obs = _copy(obs)
        self._resetting = over if self._mode is not AutoresetMode.SAME_STEP else np.zeros_like(over)
        self._started = done | step.failed | (self._started & ~step.valid)

    def pop_episodes(self) -> list[Episode]:
        """Return the episodes finished since the last call, in order, and forget them."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def state_dict(self) -> dict[str, Any]:
        """Return the collector's own state; the environment's must be saved beside it."""
        obs = self.obs if isinstance(self.obs, dict) else {"": self.obs}
        books = (self._started, self._resetting, self._returns, self._lengths, self._failed)
        return {
            "obs": {key: torch.from_numpy(value.copy()) for key, value in obs.items()},
            "books": [torch.from_numpy(book.copy()) for book in books],
            "steps": self.steps,
            "failures": self.failures,
            "episodes": [list(vars(episode).values()) for episode in self._episodes],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, after the environment has been restored."""
        obs = {key: value.numpy().copy() for key, value in state["obs"].items()}
        self.obs = obs.get("", obs)
        books = [book.numpy().copy() for book in state["books"]]
        self._started, self._resetting, self._returns, self._lengths, self._failed = books
        self.steps, self.failures = state["steps"], state["failures"]
        self._episodes = [Episode(*values) for values in state["episodes"]]

    def restart(self, seed: int) -> None:
        """Reset every world, giving up the running episodes; for environments without a state."""
        obs, _ = self.env.reset(seed=seed)
        self.obs = _copy(obs)
        self._started[:], self._resetting[:], self._failed[:] = True, False, False
        self._returns[:], self._lengths[:] = 0.0, 0


def _copy(obs: Any) -> Observation:
    """Copy observations, since an environment may write its next ones into the same memory."""
    if isinstance(obs, dict):
        return {key: np.array(value) for key, value in obs.items()}
    return np.array(obs)


def _place_final(obs: Observation, final: Any, done: NDArray[np.bool_]) -> None:
    """Put the last observations of finished worlds into `obs` in place.

    Args:
        obs: Observations after the reset `(n, obs)` or a dictionary of such.
        final: Either an object array `(n,)` of one observation each, as Gymnasium's own vector
            environments give it, or arrays shaped like `obs`.
        done: The finished worlds `(n,)`.
    """
    if isinstance(obs, dict):
        for key, values in obs.items():
            if isinstance(final, dict):
                values[done] = final[key][done]
            else:
                for world in np.flatnonzero(done):
                    values[world] = final[world][key]
    else:
        for world in np.flatnonzero(done):
            obs[world] = final[world]


def _last(
    info: Mapping[str, Any], key: str, done: NDArray[np.bool_], n: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read a per-world entry of the step's info, or of `final_info` for finished worlds.

    Returns:
        The values `(n,)`, false where unknown, and where they are known `(n,)`.
    """
    values, known = np.zeros(n, np.float64), np.zeros(n, np.bool_)
    for source, rows in ((info, np.ones(n, np.bool_)), (info.get("final_info", {}), done)):
        if key in source:
            there = np.asarray(source.get(f"_{key}", np.ones(n, np.bool_))) & rows
            values[there] = np.asarray(source[key])[there]
            known |= there
    return values, known
