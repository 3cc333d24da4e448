"""Environments that are not ours, from inside: their simulation, its physics steps, actions and observations.

Such an environment calls `mujoco.mj_step` on its own data. While it does, a `Host` stands in: it is told how
many steps are wanted, and may take them in pieces, with actions arriving and observations made in between.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
_take_steps: Any = mujoco.mj_step
_handlers: dict[int, Callable[[int], None]] = {}
_lock = threading.Lock()
GOALS = ("achieved_goal", "desired_goal")
# Mazes and the kitchen keep the robot in an environment within.
_WITHIN = ("robot_env", "point_env", "ant_env")
_S = mujoco.mjtState
_INPUTS = int(_S.mjSTATE_CTRL) | int(_S.mjSTATE_MOCAP_POS) | int(_S.mjSTATE_MOCAP_QUAT)
# What else a step may write before its physics steps.
_OTHERS = {
    "positions": int(_S.mjSTATE_QPOS),
    "forces": int(_S.mjSTATE_QFRC_APPLIED) | int(_S.mjSTATE_XFRC_APPLIED),
    "constraints": int(_S.mjSTATE_EQ_ACTIVE),
}


def _mj_step(model: mujoco.MjModel, data: mujoco.MjData, nstep: int = 1) -> None:
    """Stand in for `mujoco.mj_step`; the same, but for data that is being watched."""
    handler = _handlers.get(id(data))
    if handler is None:
        _take_steps(model, data, nstep=nstep)
    else:
        handler(nstep)


@contextmanager
def watched(data: mujoco.MjData, handler: Callable[[int], None]) -> Iterator[None]:
    """Let `handler(nstep)` take the physics steps of `data` that anyone asks `mujoco.mj_step` for."""
    with _lock:
        mujoco.mj_step = _mj_step  # type: ignore[attr-defined]  # stays: taking it back could cross another thread's
        _handlers[id(data)] = handler
    try:
        yield
    finally:
        _handlers.pop(id(data), None)


def simulation(env: gym.Env[Any, Any]) -> tuple[mujoco.MjModel, mujoco.MjData] | None:
    """Return the model and data an environment simulates with, or None where it has none.

    Gymnasium's, gymnasium-robotics' and most others keep them as `model` and `data`, some in an environment
    of their own within; dm_control keeps them in its physics.
    """
    for owner in _owners(env.unwrapped):
        found = getattr(owner, "model", None), getattr(owner, "data", None)
        if isinstance(found[0], mujoco.MjModel) and isinstance(found[1], mujoco.MjData):
            return found  # type: ignore[return-value]
    physics = _physics(env.unwrapped)
    return None if physics is None else (physics.model.ptr, physics.data.ptr)


def _owners(inner: Any) -> list[Any]:
    return [inner, *(getattr(inner, name).unwrapped for name in _WITHIN if hasattr(inner, name))]


def _physics(inner: Any) -> Any:
    return getattr(getattr(inner, "_env", None), "physics", None)


def begin(env: gym.Env[Any, Any]) -> None:
    """Reset an environment, always alike, and leave its random numbers as they are."""
    random = copy.deepcopy(env.unwrapped.np_random)
    env.reset(seed=0)
    env.unwrapped.np_random = random


class Host:
    """One environment's simulation.

    Args:
        env: The environment.

    Raises:
        ValueError: If it does not simulate with MuJoCo.

    Attributes:
        model: Its model, edited in place.
        data: Its data.
        frame_skip: Physics steps of a control step; like all that follows, known after `probe`.
        observation_size: Numbers sensed.
        sent: The last action that reached the environment itself, whatever wrappers made of it.
        can_look: Whether observations can be made between physics steps.
        clock: Who holds the number of physics steps in a control step, and as what; None where nobody does.
        refusal: Why its actions cannot be delayed or changed; empty where they can.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        found = simulation(env)
        if found is None:
            name = env.spec.id if env.spec else type(env.unwrapped).__name__
            raise ValueError(f"{name} has no MuJoCo model, so nothing of it can be randomized")
        self.env, self.inner = env, env.unwrapped
        self.model, self.data = found
        self.frame_skip, self.observation_size = 0, 0
        self.sent: Any = None
        self.clock: tuple[Any, str] | None = None
        self.can_look, self.refusal, self._acts_itself, self._settles = False, "", False, False
        self._map: Callable[[Floats], Floats] | None = None

    def update(self) -> None:
        """Tell dm_control of an edited model: it keeps what it computed at the end of the last step."""
        if _physics(self.inner) is not None:
            mujoco.mj_step1(self.model, self.data)

    def refresh(self) -> bool:
        """Look for model and data again, and return whether they are new: some compile at every reset."""
        before, found = (self.model, self.data), simulation(self.env)
        assert found is not None
        self.model, self.data = found
        return found[0] is not before[0] or found[1] is not before[1]

    @contextmanager
    def watched(self, handler: Callable[[int], None]) -> Iterator[None]:
        """Let `handler(nstep)` take the environment's physics steps, and note the action that reaches it."""
        inner, physics = self.inner, _physics(self.inner)
        legacy = getattr(physics, "legacy_step", False)
        step, own = inner.step, vars(inner).get("step")

        def noting(action: Any) -> Any:
            self.sent = action
            return step(action)

        def stepping(nstep: int) -> None:
            handler(nstep)
            if legacy:  # dm_control computes what follows from the new positions and velocities
                mujoco.mj_step1(self.model, self.data)

        inner.step = noting  # type: ignore[method-assign]
        if physics is not None:
            physics.legacy_step = False  # for a plain mj_step
        try:
            with watched(self.data, stepping):
                yield
        finally:
            del inner.step
            if own is not None:
                inner.step = own  # type: ignore[method-assign]
            if physics is not None:
                physics.legacy_step = legacy

    def probe(self) -> None:
        """Take one control step to learn how this environment acts and observes: by trying, not by its name.

        Raises:
            ValueError: If it takes no physics steps by `mujoco.mj_step`.
        """
        begin(self.env)
        self.refresh()
        before = self.inputs(), {name: self._state(kind) for name, kind in _OTHERS.items()}
        wrote: list[Floats] = []
        taken: list[int] = []

        def handler(nstep: int) -> None:
            wrote.append(self.inputs())
            if not taken:
                self._find_acting(*before)
            taken.append(nstep)
            self.take_steps(nstep)

        with self.watched(handler):
            observation = self.env.step(_trial(self.env.action_space))[0]
        self.frame_skip = sum(taken)
        if not taken:
            raise ValueError("takes its physics steps in a way that cannot be cut in pieces")
        if not self.refusal and any(not np.array_equal(later, wrote[0]) for later in wrote):
            self.refusal = "this environment controls its motors anew between its physics steps"
        self.clock = self._find_clock()
        fresh = copy.copy(self.data)
        mujoco.mj_fwdPosition(self.model, fresh)
        self._settles = np.array_equal(fresh.xpos, self.data.xpos)
        seen = sensed(observation)
        self.observation_size, self.can_look = seen.size, self._sees(seen)

    def _find_acting(self, before: Floats, rest: dict[str, Floats]) -> None:
        """Find out what turned the action into what has been written; leaves everything as it is."""
        written, atol = self.inputs(), 1e-9
        others = [n for n, kind in _OTHERS.items() if not np.allclose(rest[n], self._state(kind), 0, atol)]
        if callable(getattr(self.inner, "_set_action", None)) and not others:
            self.restore(before)
            with suppress(Exception):  # another method of that name
                self._set_action(self.sent)
                self._acts_itself = np.array_equal(self.inputs(), written)
            self.restore(written)
        if not self._acts_itself:
            self._map = self._find_map(self.data.ctrl)
            if not np.array_equal(before[self.model.nu :], written[self.model.nu :]):
                others.append("mocap bodies")
        if others or not (self._acts_itself or self.model.nu):
            what = " and ".join(others) or "no motors"
            self.refusal = f"this environment's actions set {what}, which cannot be delayed or changed"

    def _find_map(self, ctrl: Floats) -> Callable[[Floats], Floats] | None:
        if not isinstance(self.inner.action_space, gym.spaces.Box) or np.size(self.sent) != ctrl.size:
            return None
        mean, span = (getattr(self.inner, name, None) for name in ("act_mean", "act_rng"))
        maps: list[Callable[[Floats], Floats]] = [lambda a: a]
        if isinstance(mean, np.ndarray) and isinstance(span, np.ndarray):  # Adroit
            maps.append(lambda a: mean + np.clip(a, -1.0, 1.0) * span)
        fits = (c for c in maps if np.allclose(c(np.ravel(self.sent)), ctrl, rtol=1e-6, atol=0))
        return next(fits, None)

    def _find_clock(self) -> tuple[Any, str] | None:
        for owner in (*_owners(self.inner), getattr(self.inner, "_env", None)):
            for name in ("frame_skip", "n_substeps", "_n_sub_steps"):
                if hasattr(owner, "__dict__") and vars(owner).get(name) == self.frame_skip:
                    return owner, name
        return None

    def _sees(self, expected: Floats) -> bool:
        """Whether `_observe` gives the environment's observation, and gives it again."""
        try:
            seen = [sensed(self._observe()) for _ in range(2)]
        except Exception:
            return False  # another method of that name
        return all(np.array_equal(numbers.astype(expected.dtype), expected) for numbers in seen)

    def _observe(self) -> Any:
        physics, inner = _physics(self.inner), self.inner
        if physics is not None:
            return inner._env.task.get_observation(physics)  # type: ignore[attr-defined]
        return inner._get_obs()  # type: ignore[attr-defined]

    @property
    def takes_actions(self) -> bool:
        """Whether `act` takes actions; if not, it takes controls, the only thing that can be delayed."""
        return self._acts_itself or self._map is not None

    @property
    def neutral(self) -> Floats:
        """What was said before an episode (a,): the action nearest to 0, or the controls as they are."""
        space = self.inner.action_space
        if not self.takes_actions:
            return self.data.ctrl.copy()
        assert isinstance(space, gym.spaces.Box)
        return np.clip(np.zeros(space.shape), space.low, space.high).ravel()

    def said(self) -> Floats:
        """Return the action that the environment is acting on (a,); controls where it `takes_actions` not."""
        return np.ravel(self.sent) if self.takes_actions else self.data.ctrl.copy()

    def act(self, action: Floats, under_way: bool) -> None:
        """Let an action (a,) take effect; controls where the environment `takes_actions` not."""
        if self._acts_itself:
            if under_way and self._settles:
                self._positions()
            self._set_action(action)
        else:
            self.data.ctrl[:] = action if self._map is None else self._map(action)

    def _set_action(self, action: Any) -> None:
        space = self.inner.action_space
        assert isinstance(space, gym.spaces.Box)
        clipped = np.clip(np.reshape(action, space.shape), space.low, space.high)
        self.inner._set_action(clipped)  # type: ignore[attr-defined]

    def look(self) -> Floats:
        """Return what is sensed now (o,), between physics steps."""
        if self._settles:
            self._positions()
        mujoco.mj_rnePostConstraint(self.model, self.data)  # as Gymnasium does after its steps
        return sensed(self._observe())

    def _positions(self) -> None:
        """Compute what follows from positions and velocities, and leave the solver's warm start as it is."""
        mujoco.mj_fwdPosition(self.model, self.data)
        mujoco.mj_sensorPos(self.model, self.data)
        mujoco.mj_fwdVelocity(self.model, self.data)
        mujoco.mj_sensorVel(self.model, self.data)

    def take_steps(self, nstep: int) -> None:
        """Take physics steps."""
        _take_steps(self.model, self.data, nstep=nstep)

    def inputs(self) -> Floats:
        """Return what actions write: controls and mocap bodies."""
        return self._state(_INPUTS)

    def restore(self, inputs: Floats) -> None:
        """Take back what actions have written."""
        mujoco.mj_setState(self.model, self.data, inputs, _INPUTS)

    def _state(self, kind: int) -> Floats:
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state


def _trial(space: gym.Space[Any]) -> Any:
    """Return an action that moves everything a little; the space's own random numbers stay untouched."""
    if not isinstance(space, gym.spaces.Box):
        space = copy.deepcopy(space)
        space.seed(0)
        return space.sample()
    low, high = np.clip(space.low, -1.0, None), np.clip(space.high, None, 1.0)
    share = np.linspace(0.3, 0.7, max(low.size, 1)).reshape(space.shape)
    return (low + share * (high - low)).astype(space.dtype)


def sensed(observation: Any) -> Floats:
    """Return the numbers sensed in an observation (o,): all of it but goals, which are commands."""
    if isinstance(observation, np.ndarray):
        return observation.ravel()
    return np.concatenate([np.ravel(leaf) for leaf in _leaves(observation)])


def with_sensed(observation: Any, numbers: Floats) -> Any:
    """Return the observation with other numbers (o,) in place of those sensed."""
    if isinstance(observation, np.ndarray):  # the same, but faster
        return _filled(observation, iter([numbers]))
    ends = np.cumsum([np.size(leaf) for leaf in _leaves(observation)])[:-1]
    return _filled(observation, iter(np.split(numbers, ends)))


def _leaves(observation: Any) -> Iterator[Any]:
    if isinstance(observation, dict | tuple):
        pairs = observation.items() if isinstance(observation, dict) else enumerate(observation)
        for key, value in pairs:
            if key not in GOALS:
                yield from _leaves(value)
    else:
        yield observation


def _filled(observation: Any, parts: Iterator[Floats]) -> Any:
    if isinstance(observation, dict):
        return {k: v if k in GOALS else _filled(v, parts) for k, v in observation.items()}
    if isinstance(observation, tuple):
        return tuple(_filled(value, parts) for value in observation)
    part, like = next(parts).reshape(np.shape(observation)), np.asarray(observation).dtype
    if np.issubdtype(like, np.integer):
        part = np.clip(np.rint(part), np.iinfo(like).min, np.iinfo(like).max)
    return part.astype(like)
