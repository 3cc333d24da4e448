"""An environment that is a target, such as a robot: found by name, held to the policy's spaces, run alone.

Nothing of ours is in it: no domain is set, no clock is kept, and it is reset only to begin an episode.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.foreign import find
from sim2real.envs.registry import load_class

_CLOSE = 1e-6
_MANY = "is a vector environment; a target is one, run an episode at a time"
Step = Callable[[Any], tuple[Any, float, bool, bool, dict[str, Any]]]
"""Takes an action and returns what Gymnasium's `step` does."""


def check_external(key: str, name: str) -> None:
    """Find what a key of an external target names, and make nothing.

    Args:
        key: `env` or `confirm`.
        name: As the spec gives it.

    Raises:
        ValueError: If there is no such thing, or it is no environment or no function.
    """
    if key == "confirm":
        if name not in ("ask", "never") and not callable(load_class(name, "function")):
            raise ValueError(f"'{name}' cannot be called: name a function of one argument")
        return
    found = find(name)
    if isinstance(found, type) and issubclass(found, VectorEnv):
        raise ValueError(f"'{name}' {_MANY}")
    if not callable(found):
        raise ValueError(f"'{name}' is no environment: name a class, or a function that makes one")
    if isinstance(found, type) and (lacks := _lacks(found)):
        raise ValueError(f"'{name}' is no environment: it has no {lacks}")


def make_external(name: str, options: Mapping[str, Any]) -> Any:
    """Make an external environment.

    Raises:
        ValueError: If it cannot be made, or what is made is no single environment with spaces.
    """
    try:
        made = find(name)(**options)
    except ValueError as error:
        raise ValueError(f"'{name}' cannot be made: {error}") from None
    except Exception as error:  # whatever else it does: it is not ours
        raise ValueError(f"'{name}' cannot be made: {type(error).__name__}: {error}") from error
    spaces = [space for space in ("observation_space", "action_space") if not hasattr(made, space)]
    lacks = _lacks(made) or " and no ".join(spaces)
    why = f"is no environment: it makes a {type(made).__name__}, which has no {lacks}" if lacks else ""
    if isinstance(made, VectorEnv):
        why = _MANY
    if why:
        close(made)
        raise ValueError(f"'{name}' {why}")
    return made


def close(env: Any) -> None:
    """Close an environment, if it can be closed."""
    if callable(closing := getattr(env, "close", None)):
        closing()


def _lacks(thing: Any) -> str:
    return " and no ".join(name for name in ("reset", "step") if not callable(getattr(thing, name, None)))


def misfit(observations: gym.Space[Any], actions: gym.spaces.Box, env: Any) -> str:
    """Say in what an environment's spaces are not those that a policy was trained with; `""` if they fit.

    Observations must have the same shape, whatever their bounds; actions too, and all that the policy may ask
    for must be allowed.
    """
    there = env.observation_space
    if (expected := _shape(observations)) != (given := _shape(there)):
        return f"the policy observes {expected}, but it shows {given}"
    there = env.action_space
    if _shape(there) != _shape(actions):
        return f"the policy acts with {_shape(actions)}, but it takes {_shape(there)}"
    beyond = (actions.low < there.low - _CLOSE) | (actions.high > there.high + _CLOSE)
    if beyond.any():
        i = int(np.argmax(beyond))
        expected, given = (f"[{own.low[i]:g}, {own.high[i]:g}]" for own in (actions, there))
        return f"the policy's action {i} is in {expected}, but it takes only {given}"
    return ""


def _shape(space: Any) -> str:
    if isinstance(space, gym.spaces.Dict):
        return f"{{{', '.join(f'{key}: {_shape(own)}' for key, own in sorted(space.items()))}}}"
    if isinstance(space, gym.spaces.Box):
        return f"{' × '.join(map(str, space.shape)) or 'a single'} numbers"
    return str(space)


@dataclass(frozen=True)
class Came:
    """What came of a step, or of a reset.

    Attributes:
        observation: What was seen after it.
        action: What was done (a,); none for a reset.
        reward: Its reward.
        terminated: Whether it ended the episode by the task's own rule.
        truncated: Whether it ended it by a limit.
        success: Whether it was a success, or None where nobody says.
    """

    observation: Any
    action: NDArray[np.float32] | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    success: bool | None = None


class Keeper(Protocol):
    """Who decides when an external environment begins an episode, and keeps what happens in it."""

    def begin(self, reset: Callable[[int], Any]) -> Any:
        """Begin the next episode by calling `reset` with its seed, and return the first observation."""
        ...

    def step(self, action: Any, step: Step) -> Came:
        """Take a step by calling `step`, and return what came of it."""
        ...


class ExternalVectorEnv(VectorEnv[Any, Any, Any]):
    """One external environment as a vector environment, whose episodes a keeper begins.

    An episode's last step shows how it ended; the next call begins the next (`AutoresetMode.NEXT_STEP`), and
    so a robot is not moved to a start that nobody asked for.

    Args:
        env: The environment; it is closed by whoever made it.
        observations: The policy's space of observations, whose types they get.
        actions: The policy's space of actions.
        keeper: Who begins episodes.

    Attributes:
        unknown_domain: That nobody can say what its domain is.
    """

    unknown_domain = True

    def __init__(
        self, env: Any, observations: gym.Space[Any], actions: gym.spaces.Box, keeper: Keeper
    ) -> None:
        self.env, self.num_envs, self._keeper = env, 1, keeper
        self.single_observation_space, self.single_action_space = observations, actions
        self.observation_space, self.action_space = batch_space(observations, 1), batch_space(actions, 1)
        self.render_mode = getattr(env, "render_mode", None)
        own = getattr(env, "metadata", None) or {}
        self.metadata = {**own, "autoreset_mode": AutoresetMode.NEXT_STEP}
        self._seeds = "seed" in _parameters(env.reset)
        self._over = False

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode; the keeper knows its seed."""
        del seed, options
        self._over = False
        return _batched(self._keeper.begin(self._reset)), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step, or begin the next episode if the last step ended one."""
        if self._over:
            observation, infos = self.reset()
            return observation, np.zeros(1), np.zeros(1, bool), np.zeros(1, bool), infos
        came = self._keeper.step(np.asarray(actions)[0], self._step)
        self._over = came.terminated or came.truncated
        infos: dict[str, Any] = {}
        if came.success is not None:
            infos = {"is_success": np.array([came.success]), "_is_success": np.ones(1, bool)}
        ends = np.array([came.terminated]), np.array([came.truncated])
        return _batched(came.observation), np.array([came.reward]), *ends, infos

    def render(self) -> Any:
        """Return a picture, as a tuple of one; None if it takes none."""
        picture = self.env.render() if self.render_mode == "rgb_array" else None
        return None if picture is None else (np.asarray(picture),)

    def _reset(self, seed: int) -> Any:
        observation, _ = self.env.reset(seed=seed) if self._seeds else self.env.reset()
        return self._typed(observation)

    def _step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._typed(observation), float(reward), bool(terminated), bool(truncated), info

    def _typed(self, observation: Any) -> Any:
        """Return an observation as the policy takes it.

        Raises:
            ValueError: If it has another shape than its space says, or holds what is no number.
        """
        return typed(self.single_observation_space, observation)


def typed(space: Any, observation: Any) -> Any:
    """Return an observation in the types and shapes of a space.

    Raises:
        ValueError: If it has another shape, or holds what is no finite number.
    """
    if isinstance(space, gym.spaces.Dict):
        return {key: typed(own, observation[key]) for key, own in space.items()}
    found = np.asarray(observation, space.dtype)
    if found.shape != space.shape:
        raise ValueError(f"an observation has the shape {found.shape}, not {space.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"an observation holds {found.ravel()[np.argmin(np.isfinite(found.ravel()))]}")
    return found


def _batched(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: value[None] for key, value in observation.items()}
    return observation[None]


def _parameters(function: Any) -> set[str]:
    """Return the keywords that a function takes; all that are asked for if it takes any."""
    try:
        own = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {"seed"}
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in own.values())
    return {*own, *(["seed"] if anything else [])}
