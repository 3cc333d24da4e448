"""Pictures as observations, in each world's own looks."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from randomizers import Delay, Distortion, Jitter, Loss
from randomizers.words import listing

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
PIXELS, STATE = "pixels", "state"


class PixelObservation(gym.Wrapper[Any, Any, Any, Any]):
    """Replaces the observation of a single environment by a picture.

    A failed world, which may hold any number, shows its last good picture.

    Args:
        env: An environment with a method `picture(width, height, camera)`, such as `TaskEnv` or
            `RandomizedEnv`.
        size: Width and height of the pictures [pixel].
        camera: Name of a camera of the model; None for the environment's usual one.
        keep_state: Observe a dictionary of `pixels` and `state`; where the observation is a dictionary
            already, its entries stay beside `pixels`.

    Raises:
        ValueError: If the environment takes no pictures, or its program delays observations, which pictures
            would not follow.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        size: Size = (84, 84),
        camera: str | int | None = None,
        keep_state: bool = False,
    ) -> None:
        super().__init__(env)
        if not env.has_wrapper_attr("picture"):
            raise ValueError("this environment takes no pictures; wrap it in RandomizedEnv")
        owner = env.unwrapped if hasattr(env.unwrapped, "picture") else env
        program = getattr(getattr(owner, "vector", None), "program", None)
        if program is None and env.has_wrapper_attr("program"):
            program = env.get_wrapper_attr("program")
        _refuse_unfollowed(program, keep_state)
        self._shoot = env.get_wrapper_attr("picture")
        self._how = _arguments(size, camera)
        self._keep_state = keep_state
        self._last: Any = None
        self.observation_space = _space(env.observation_space, size, keep_state)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode, and look."""
        state, info = self.env.reset(seed=seed, options=options)
        self._last = self._shoot(*self._how)
        return _seen(self._last, state, self._keep_state), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and look."""
        state, reward, terminated, truncated, info = self.env.step(action)
        if self._last is None or not info.get("failed", False):
            self._last = self._shoot(*self._how)
        return _seen(self._last, state, self._keep_state), reward, terminated, truncated, info

    @property
    def compute_reward(self) -> Any:
        """The environment's own `compute_reward`, which hindsight relabelling asks for; if it has goals."""
        return self.env.get_wrapper_attr("compute_reward")


class VectorPixelObservation(gym.vector.VectorWrapper):
    """Replaces the observations of a `TaskVectorEnv` by pictures (n, height, width, 3).

    Where episodes reset themselves, `infos["final_obs"]` holds the picture of the state in which they ended.
    A failed world shows its last good picture.

    Args:
        env: The vector environment: it takes pictures by `picture(world, width, height, camera)`, its
            `worlds` know which have `failed`, and it calls `before_reset(ids)` before it resets any itself.
        size: Width and height of the pictures [pixel].
        camera: Name of a camera of the model; None for the task's own.
        keep_state: As for `PixelObservation`.

    Raises:
        ValueError: If the program delays observations, which pictures would not follow.
    """

    def __init__(
        self, env: Any, size: Size = (84, 84), camera: str | int | None = None, keep_state: bool = False
    ) -> None:
        super().__init__(env)
        _refuse_unfollowed(env.program, keep_state)
        self._env, self._keep_state = env, keep_state
        self._how = _arguments(size, camera)
        self.single_observation_space = _space(env.single_observation_space, size, keep_state)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._pixels = np.zeros((self.num_envs, size[1], size[0], 3), dtype=np.uint8)
        self._final: dict[int, Pixels] = {}
        env.before_reset = self._keep_final

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes, and look at the worlds in which one began."""
        states, infos = self._env.reset(seed=seed, options=options)
        mask = (options or {}).get("reset_mask")
        self._look(np.arange(self.num_envs) if mask is None else np.flatnonzero(mask))
        return _seen(self._pixels.copy(), states, self._keep_state), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all worlds, and look."""
        self._final.clear()
        states, reward, terminated, truncated, infos = self._env.step(actions)
        self._look(np.arange(self.num_envs))
        for world, pixels in self._final.items():
            infos["final_obs"][world] = _seen(pixels, infos["final_obs"][world], self._keep_state)
        return _seen(self._pixels.copy(), states, self._keep_state), reward, terminated, truncated, infos

    def _keep_final(self, ids: Any) -> None:
        self._look(ids)
        self._final |= {int(world): self._pixels[world].copy() for world in ids}

    def _look(self, ids: Any) -> None:
        for world in ids:
            if not self._env.worlds.failed[world]:
                self._pixels[world] = self._env.picture(int(world), *self._how)


def _arguments(size: Size, camera: str | int | None) -> tuple[Any, ...]:
    if min(size) < 1:
        raise ValueError(f"size is width and height in pixels, given {size}")
    return size if camera is None else (*size, camera)


def _space(state: gym.Space[Any], size: Size, keep_state: bool) -> gym.Space[Any]:
    pixels = spaces.Box(0, 255, (size[1], size[0], 3), np.uint8)
    if not keep_state:
        return pixels
    beside = dict(state.spaces) if isinstance(state, spaces.Dict) else {STATE: state}
    if PIXELS in beside:
        raise ValueError(f"the observation has an entry '{PIXELS}' already")
    return spaces.Dict({PIXELS: pixels, **beside})


def _seen(pixels: Pixels, state: Any, keep_state: bool) -> Any:
    if not keep_state:
        return pixels
    return {PIXELS: pixels, **(state if isinstance(state, dict) else {STATE: state})}


def _refuse_unfollowed(program: Any, keep_state: bool) -> None:
    """Refuse terms that promise to act on observations, and would not on pictures."""
    if program is None:
        return
    kinds = (Delay, Jitter, Loss) if keep_state else (Delay, Jitter, Loss, Distortion)
    unfollowed = [b.name for b in program.bound if isinstance(b.term, kinds) and b.term.path == "observation"]
    if unfollowed:
        hint = "" if keep_state else "; image_noise and image_blur do, and keep_state keeps the numbers"
        raise ValueError(f"{listing(unfollowed)} would not act on pictures{hint}")
