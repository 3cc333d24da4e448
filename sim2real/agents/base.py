"""What every learner offers, and what it is fed: the contract between agents, loops and rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

Observation = NDArray[Any] | dict[str, NDArray[Any]]
"""A batch of observations `(n, obs)`, or of goal observations under three keys."""

RewardFn = Callable[[NDArray[Any], NDArray[Any], Any], Any]
"""`compute_reward(achieved (n, goal), desired (n, goal), info) -> (n,)`."""

GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")
"""The keys of a goal observation, in the order in which they are flattened."""

CONTEXT_KEYS = ("proprioception", "task", "robot", "history", "domain", "recall")
"""The keys of what may be added to any observation, flattened after all others: the robot's own part of
it, which task and which robot of several it is, what was done before, the domain, what a memory is fed."""


@dataclass(frozen=True)
class Transitions:
    """One vector step of `n` worlds.

    Attributes:
        obs: What each world showed before the action, `(n, obs)` or a goal dictionary.
        action: The actions `(n, act)`, in the environment's bounds.
        reward: Rewards `(n,)`.
        next_obs: What each world showed after the action; at an episode's end its true last
            observation, never the first one of the next episode.
        terminated: `(n,)`, the task ended: there is no future to bootstrap from.
        truncated: `(n,)`, the clock ran out: the future exists and is bootstrapped.
        started: `(n,)`, the transition is the first of its episode, or of the rest of one after a
            dropped transition.
        valid: `(n,)`, the row is a transition at all, not the reset step of an environment that
            resets on the next step.
        failed: `(n,)`, the simulation became unstable: the step counts but is not learned from.
    """

    obs: Observation
    action: NDArray[np.float32]
    reward: NDArray[np.float64]
    next_obs: Observation
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    started: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    failed: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Rows `(n,)` that may be learned from: valid and not failed."""
        return self.valid & ~self.failed


class Agent(Protocol):
    """A learner, as the training loop and the evaluation see it."""

    action_space: spaces.Box

    @property
    def learning_starts(self) -> int:
        """Environment steps that are taken with uniformly random actions before learning."""
        ...

    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[np.float32]:
        """Choose actions `(n, act)`, in the action bounds, for `n` observations."""
        ...

    def observe(self, transitions: Transitions) -> None:
        """Take in one vector step of experience."""
        ...

    def update(self) -> int:
        """Do the gradient updates that are due and return their number."""
        ...

    def metrics(self) -> dict[str, float]:
        """Return means of the learning curves since the last call, and forget them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that continuing bit for bit needs: tensors and plain values only."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...

    def policy_state_dict(self) -> dict[str, Any]:
        """Return only what acting needs."""
        ...

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `policy_state_dict` returned."""
        ...

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> Agent:
        """Return an independent copy that shares no memory with this agent.

        Few-shot adaptation asks for changes; what does not learn from reward itself returns what does.

        Args:
            changes: Settings that differ in the copy.
            seed: New seed for the copy's draws.
            keep_replay: Whether the copy remembers what this agent has experienced.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """An agent that remembers what its worlds have shown, and adapts to a target by that alone.

    Its worlds must stay in their places from one `act` to the next, and it must be told when others come in
    between; see `elsewhere`.
    """

    def elsewhere(self) -> AbstractContextManager[None]:
        """Act, inside a block, in other worlds, each of which begins anew."""
        ...

    def deployed(self, seed: int) -> Agent:
        """Return a copy that lives in one world, where it learns nothing but what it remembers ever after.

        Args:
            seed: Seed of the copy's draws.
        """
        ...


def elsewhere(agent: Agent) -> AbstractContextManager[None]:
    """Act, inside a block, in worlds that are not those which an agent remembers, if it does."""
    return agent.elsewhere() if isinstance(agent, Remembers) else nullcontext()


def bounded_box(space: spaces.Space[Any]) -> spaces.Box:
    """Return `space` if it is a bounded, flat box of actions.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(f"The action space must be a flat Box, but it is {space}.")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ValueError(f"Every action needs finite bounds, but the action space is {space}.")
    if not (space.low < space.high).all():
        raise ValueError(f"Every action needs low < high, but the action space is {space}.")
    return space


class RandomAgent:
    """Uniformly random actions: the warm-up of the off-policy learners and the zero of scores.

    Args:
        action_space: Bounded box of one world's actions.
        seed: Seed of the agent's own generator.
    """

    def __init__(self, action_space: spaces.Space[Any], seed: int) -> None:
        self.action_space = bounded_box(action_space)
        self.learning_starts = 0
        self._generator = torch.Generator().manual_seed(seed)

    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[np.float32]:
        """Draw actions `(n, act)` uniformly from the bounds; `deterministic` changes nothing."""
        del deterministic
        first = obs["observation"] if isinstance(obs, dict) else obs
        low, high = self.action_space.low, self.action_space.high
        unit = torch.rand(len(first), len(low), generator=self._generator).numpy()
        return np.clip(low + unit * (high - low), low, high).astype(np.float32)

    def observe(self, transitions: Transitions) -> None:
        """Ignore the experience."""

    def update(self) -> int:
        """Learn nothing."""
        return 0

    def metrics(self) -> dict[str, float]:
        """Return no curves."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generator."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the generator."""
        self._generator.set_state(state["generator"])

    def policy_state_dict(self) -> dict[str, Any]:
        """Return the state of the generator."""
        return self.state_dict()

    def load_policy_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the generator."""
        self.load_state_dict(state)

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> RandomAgent:
        """Return a copy that will draw the same actions; there are no settings to change."""
        del changes, seed, keep_replay
        twin = RandomAgent(self.action_space, 0)
        twin.load_state_dict(self.state_dict())
        return twin
