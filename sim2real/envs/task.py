"""What a task is: array functions on a batch of worlds, with operations that NumPy and torch share."""

import subprocess
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.spec import Stream
from sim2real.worlds import Worlds

Array = Any
"""A NumPy array or a torch tensor."""
Ints = NDArray[np.int64]


def namespace(x: Array) -> Any:
    """Return the module whose functions work on `x`: numpy, or torch for a tensor."""
    if isinstance(x, np.ndarray):
        return np
    import torch

    return torch


class Shown(NamedTuple):
    """Columns of an observation that are one field: what a robot must measure to show them.

    Attributes:
        field: `qpos` or `qvel`, whose columns are those of joints; or any other name.
        first: The first of a joint field's columns that is shown; all after it are.
        names: Of the columns of any other field.
        unit: Of those [SI].
        stop: The first of a joint field's columns that is shown no more, or None.
    """

    field: str
    first: int = 0
    names: tuple[str, ...] = ()
    unit: str = ""
    stop: int | None = None


class State:
    """Fields of n worlds by MuJoCo's names: `state.qpos` is (n, nq)."""

    def __init__(self, fields: Mapping[str, Array]) -> None:
        self._fields = dict(fields)

    def __getattr__(self, name: str) -> Array:
        try:
            return self.__dict__["_fields"][name]
        except KeyError:
            raise AttributeError(f"the task reads no field '{name}'; add it to `reads`") from None

    def take(self, ids: Ints) -> "State":
        """Return a copy for some worlds."""
        return State({name: field[ids] for name, field in self._fields.items()})


class Task(ABC):
    """One task on one robot, for any number of worlds at once.

    Attributes:
        xml: The MJCF file.
        frame_skip: Physics steps for each control step.
        max_episode_steps: Control steps after which an episode is truncated.
        reads: MjData fields the functions below use.
        view: The camera pictures are taken from: a name in the model, or attributes of `mujoco.MjvCamera`
            from which the camera `view` is added to the model.
    """

    frame_skip: int
    max_episode_steps: int
    reads: ClassVar[tuple[str, ...]] = ("qpos", "qvel")
    view: ClassVar[str | dict[str, Any]] = "track"

    @property
    @abstractmethod
    def xml(self) -> Path:
        """The MJCF file."""

    @abstractmethod
    def spaces(self, model: mujoco.MjModel) -> tuple[gym.Space[Any], gym.spaces.Box]:
        """Return the observation and action space of a single world."""

    @abstractmethod
    def reset_state(self, random: "Random") -> dict[str, Array]:
        """Return starting `qpos` (n, nq) and `qvel` (n, nv), and anything under `goal` (n, g)."""

    @abstractmethod
    def observe(self, state: State) -> Array:
        """Return the observation (n, o)."""

    @abstractmethod
    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return the reward (n,) of a control step.

        Args:
            before: Fields `remembers` at its start.
            state: Fields `reads` at its end.
            action: What the policy asked for (n, nu), before any latency.
        """

    remembers: ClassVar[tuple[str, ...]] = ()

    def terminated(self, state: State) -> Array:
        """Return which worlds have ended their episode by the task's own rule (n,) bool."""
        return state.qpos[:, 0] != state.qpos[:, 0]

    def success(self, state: State) -> Array | None:
        """Return which worlds have succeeded (n,) bool, or None where the task defines no success."""
        return None

    def act(self, worlds: Worlds, ids: Ints, action: Array) -> None:
        """Hand actions (k, nu) of some worlds to the actuators, changed no faster than `slew` allows."""
        controls = worlds.bind("ctrl")
        if self.slew is not None:
            action = np.clip(action, controls[ids] - self.slew, controls[ids] + self.slew)
        controls[ids] = action

    slew: ClassVar[float | None] = None
    """Largest change of a control from one action to the next [its unit], as controllers of real servos have
    one; None for no limit. `reset_state` then also returns `ctrl`, where changes begin."""

    def measures(self, before: State, state: State) -> dict[str, Array]:
        """Return numbers (n,) on a control step for its info, by name; none, for most. Arguments as above."""
        return {}

    def advance(self, worlds: Worlds, ids: Ints | None, nstep: int) -> None:
        """Simulate physics steps in worlds (k,), or in all if None."""
        worlds.step(nstep, ids)

    def settle(self, worlds: Worlds) -> None:
        """Do what the environment does after its physics steps; nothing, for most."""
        return

    settles: ClassVar[bool] = False
    """Whether `settle` brings derived fields up to date, so that observations inside a step must too."""

    general: tuple[str, ...] = ()
    """Bodies whose centre of mass may move: MuJoCo must not compile a free one in its simplified form."""

    def compile(self) -> mujoco.MjModel:
        """Compile the nominal model, with a camera for pictures; prepare what `reset_state` needs.

        Raises:
            ValueError: If the file cannot be used; names it, and says why in MuJoCo's own words.
        """
        file = self.xml
        if not type(self).__module__.startswith("sim2real."):
            try_file(file)
        try:
            spec = mujoco.MjSpec.from_file(str(file))
            if not isinstance(self.view, str):
                add_view(spec, **self.view)
            self.prepare(spec)
            for name in self.general:
                spec.body(name).simple = 0
            with warnings.catch_warnings():
                # Gymnasium's half_cheetah.xml uses it.
                warnings.filterwarnings("ignore", message=".*settotalmass", category=UserWarning)
                model = spec.compile()
            _refuse_nonsense(model)
        except (ValueError, RuntimeError, mujoco.FatalError) as error:
            raise ValueError(str(error) if str(file) in str(error) else f"{file}: {error}") from None
        return model

    shows: ClassVar[tuple[Shown, ...]] = ()
    """What the observation consists of, in order; empty if it does not say. Goals are not part of it."""

    proprioception: ClassVar[slice | None] = None
    """Columns of the observation that are about the robot alone, whatever the task; None if it says none."""

    encoders: ClassVar[slice | None] = None
    """Columns of the observation that are joint positions, in the model's order; None if it says none."""

    def sizes(self, model: mujoco.MjModel) -> tuple[int, int]:
        """Return how many numbers an observation, without goals, and an action have."""
        space, actions = self.spaces(model)
        sensed = space["observation"] if isinstance(space, gym.spaces.Dict) else space
        return gym.spaces.flatdim(sensed), gym.spaces.flatdim(actions)

    def dress(self, model: mujoco.MjModel) -> None:
        """Change a copy of the model, used for pictures only; nothing, for most."""
        return

    def prepare(self, spec: mujoco.MjSpec) -> None:
        """Change the model before it is compiled; nothing, for most."""
        return

    @property
    def camera(self) -> str:
        """Name of the camera pictures are taken from."""
        return self.view if isinstance(self.view, str) else "view"


def try_file(file: Path) -> None:
    """Let another process compile an MJCF file that is not ours: some crash MuJoCo, and some never end.

    Mistakes that MuJoCo names itself are left to who compiles it here.

    Raises:
        ValueError: If it is no regular file, or MuJoCo crashes, runs out of memory or takes too long.
    """
    if file.exists() and not file.is_file():
        raise ValueError(f"{file}: not a regular file")
    if file.exists() and (why := _fate(str(file), file.stat().st_mtime_ns)):
        raise ValueError(f"{file}: {why}")


@cache
def _fate(file: str, changed: int) -> str:
    command = [sys.executable, "-P", "-c", _TRIAL, file]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"MuJoCo has not compiled it after {PATIENCE:g} s"
    if done.returncode < 0:
        return f"MuJoCo crashes when it compiles it (signal {-done.returncode})"
    said = done.stdout.decode(errors="replace").strip()
    return f"MuJoCo fails when it compiles it: {said}" if said else ""


PATIENCE = 60.0
"""Longest time [s] that MuJoCo may take to compile a file that is not ours."""

# Without a limit, a file of a line that asks for all memory takes down more than this process.
_TRIAL = """
import sys
import mujoco
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, resource.getrlimit(resource.RLIMIT_AS)[1]))
except (ImportError, ValueError, OSError):
    pass
try:
    mujoco.MjSpec.from_file(sys.argv[1]).compile()
except ValueError:
    pass
except (Exception, MemoryError) as error:
    print(error or type(error).__name__)
"""


def _refuse_nonsense(model: mujoco.MjModel) -> None:
    """Refuse what MuJoCo compiles and cannot simulate."""
    if not model.opt.timestep > 0:
        raise ValueError(f"the time step must be above 0 s, given {model.opt.timestep:g}")
    for name in ("body_pos", "body_quat", "geom_pos", "qpos0", "key_qpos", "actuator_ctrlrange"):
        if np.isnan(getattr(model, name)).any():
            raise ValueError(f"{name} holds what is not a number")


class GoalTask(Task):
    """A task whose observation is a dictionary with `observation`, `achieved_goal` and `desired_goal`."""

    @abstractmethod
    def achieved(self, state: State) -> Array:
        """Return the goal that has been reached (n, g)."""

    @abstractmethod
    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any = None) -> Array:
        """Return the reward (n,) for goals (n, g), for hindsight relabelling."""

    def reward(self, before: State, state: State, action: Array) -> Array:
        """Return the reward of having reached `achieved` when `state.goal` was wanted."""
        return self.compute_reward(self.achieved(state), state.goal)


class Random:
    """The random numbers of starting states, keyed by (seed, world, episode).

    Numbers come in the order of the calls. A loop that tries until every world is content must come last:
    how long it runs depends on the other worlds.

    Args:
        seed: The environment's seed.
        worlds: Worlds (n,).
        episodes: Their episode numbers (n,).
    """

    def __init__(self, seed: int, worlds: Ints, episodes: Ints) -> None:
        self._streams = {kind: Stream(seed, f"start:{kind}") for kind in ("uniform", "normal")}
        self._at = dict.fromkeys(self._streams, 0)
        self._keys = worlds, episodes

    def __len__(self) -> int:
        return len(self._keys[0])

    def uniform(self, low: float, high: float, size: int) -> NDArray[np.float64]:
        """Return (n, size) numbers uniform in [low, high)."""
        u = self._streams["uniform"].uniform(*self._keys, size, self._advance("uniform", size))
        return low + (high - low) * u

    def normal(self, size: int) -> NDArray[np.float64]:
        """Return (n, size) standard normal numbers."""
        return self._streams["normal"].normal(*self._keys, size, self._advance("normal", size))

    def _advance(self, kind: str, size: int) -> int:
        at, self._at[kind] = self._at[kind], self._at[kind] + size
        return at


def add_view(
    spec: mujoco.MjSpec, lookat: tuple[float, float, float], distance: float, azimuth: float, elevation: float
) -> None:
    """Add a fixed camera named `view`, placed as MuJoCo's free camera: angles [deg], distance [m]."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    forward = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    axes = np.stack([right, np.cross(right, forward), -forward], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    spec.worldbody.add_camera(name="view", pos=np.asarray(lookat) - distance * forward, quat=quat)
