"""A task on N randomized worlds, as a `gymnasium.vector.VectorEnv`."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.paths import Signals
from sim2real.envs.task import GoalTask, Random, State, Task
from sim2real.spec import Program, Stream
from sim2real.worlds import Studio, Worlds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Domains = Callable[[int, Ints, Ints], Floats]
"""Gives the domains (k, d) of worlds (k,) in their episodes (k,), for a seed."""


def from_source(program: Program) -> Domains:
    """Draw every episode's domain from the whole source."""
    return lambda seed, worlds, episodes: program.values(program.quantiles(seed, worlds, episodes))


def fixed(values: Floats) -> Domains:
    """Keep world i in domain `values[i]`; one row (d,) is for all."""
    rows = np.atleast_2d(values)
    return lambda seed, worlds, episodes: rows[worlds % len(rows)]


class TaskVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """N worlds of one task; each draws a new domain at every reset.

    Episodes reset themselves in the step in which they end (`AutoresetMode.SAME_STEP`): the true last
    observation is in `infos["final_obs"]`, what the step said of it in `infos["final_info"]`. A world whose
    simulation fails (see `Worlds.failed`) ends its episode as terminated with `infos["failed"]`, its last
    good observation and no reward; `failures` keeps its domain.

    Observations are float64, as Gymnasium's own. Latency and noise act on `observation`; goals and reward
    are the task's bookkeeping and stay exact.

    Args:
        task: What to do; see `sim2real.envs.tasks`.
        num_envs: N.
        program: What may vary; None for the nominal model only. Its model must come from `task.compile`.
        domains: Where the domains come from; by default the program's whole source.
        seed: Seed until `reset` is given one.
        threads: Physics threads, 0 for all processors; results do not depend on it.
        autoreset: False leaves ended worlds to `reset` with `options={"reset_mask": …}`.
        render_mode: `rgb_array`, or None.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int = 1,
        program: Program | None = None,
        domains: Domains | None = None,
        seed: int = 0,
        threads: int = 0,
        autoreset: bool = True,
        render_mode: str | None = None,
    ) -> None:
        self.task, self.num_envs, self.render_mode = task, num_envs, render_mode
        self.program = program or Program(task.compile(), {})
        self.domains = domains or from_source(self.program)
        self.worlds = Worlds(self.program, num_envs, threads)
        self._seed, self._autoreset, self._all = seed, autoreset, np.arange(num_envs)
        self._describe()
        self.episodes = np.full(num_envs, -1)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.failures: list[dict[str, Any]] = []
        self._logged = np.zeros(num_envs, dtype=bool)
        size = self._observation_size
        self.goal = np.zeros((num_envs, self._goal_size))
        self.state = State({name: self.worlds.bind(name) for name in task.reads} | {"goal": self.goal})
        self.signals = Signals(self.worlds, task, self.state, (self._actions, size), self._longest_delays())
        self._last = np.zeros((num_envs, size))
        self._studios: dict[tuple[int, int], tuple[Studio, mujoco.MjModel, mujoco.MjData]] = {}

    def _describe(self) -> None:
        model, task = self.program.model, self.task
        self.single_observation_space, self.single_action_space = task.spaces(model)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        space = self.single_observation_space
        goals = isinstance(space, gym.spaces.Dict)
        self._observation_size = gym.spaces.flatdim(space["observation"] if goals else space)
        self._goal_size = gym.spaces.flatdim(space["desired_goal"]) if goals else 0
        self._actions = gym.spaces.flatdim(self.single_action_space)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP if self._autoreset else AutoresetMode.DISABLED,
            "render_modes": ["rgb_array"],
            "render_fps": round(1 / (model.opt.timestep * task.frame_skip)),
        }

    def _longest_delays(self) -> tuple[float, float]:
        # Fixed domains may lie outside the source, so a first look at them counts too.
        probe = self.domains(self._seed, self._all, np.zeros(self.num_envs, dtype=np.int64))
        longest = self.program.longest_delay
        return longest("action", probe), longest("observation", probe)

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Return the reward of goals (n, g) reached when others were wanted, for hindsight relabelling.

        Raises:
            AttributeError: If the task has no goals.
        """
        if not isinstance(self.task, GoalTask):
            raise AttributeError("this task has no goals")
        return self.task.compute_reward(achieved_goal, desired_goal, info)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes in all worlds, or in those of `options["reset_mask"]` (n,) bool.

        With a seed, episode numbers start again from 0: the same seed gives the same episodes.

        Raises:
            ValueError: If a seed comes with a mask; all worlds share it.
        """
        mask = (options or {}).get("reset_mask")
        if seed is not None and mask is not None:
            raise ValueError("a new seed is for all worlds; give no reset_mask with it")
        super().reset(seed=seed)
        if seed is not None:
            self._seed = seed
            self.episodes[:] = -1
        self._begin(self._all if mask is None else np.flatnonzero(mask))
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance all worlds by one control step; see `gymnasium.vector.VectorEnv.step`."""
        actions = np.asarray(actions).reshape(self.num_envs, self._actions)
        before = State({name: self.worlds.bind(name).copy() for name in self.task.remembers})
        self.signals.run(actions)
        self.steps += 1
        failed = self.worlds.failed.copy()
        # A failed world may hold any number.
        with np.errstate(invalid="ignore", over="ignore"):
            reward = np.asarray(self.task.reward(before, self.state, actions), np.float64)
        reward[failed] = 0.0
        terminated = np.asarray(self.task.terminated(self.state)) | failed
        truncated = (self.steps >= self.task.max_episode_steps) & ~failed
        infos = self._infos(failed)
        observation = self._observation()
        ended = terminated | truncated
        if ended.any() and self._autoreset:
            ids = np.flatnonzero(ended)
            self._keep_final(infos, observation, ended, ids)
            self._begin(ids)
            observation = self._observation()
        return observation, reward, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture (480, 480, 3) of each world.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        if self.render_mode != "rgb_array":
            return None
        return tuple(self.picture(world) for world in range(self.num_envs))

    def picture(self, world: int, width: int = 480, height: int = 480) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of one world, in its own looks.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        # All worlds share one OpenGL context: textures and meshes are those of the nominal model.
        if (width, height) not in self._studios:
            model = self.worlds.model(world)
            self._studios[width, height] = Studio(model, width, height), model, mujoco.MjData(model)
        studio, model, data = self._studios[width, height]
        self.task.dress(self.worlds.model(world, model))
        self.worlds.data(world, data)
        mujoco.mj_forward(model, data)
        goal = [(self.goal[world], 0.025, (1.0, 0.2, 0.2, 1.0))] if self._goal_size == 3 else []
        return studio.render(data, self.task.camera, goal)

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderers."""
        for studio, _, _ in self._studios.values():
            studio.close()
        self._studios.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on."""
        return {
            "seed": self._seed,
            "episodes": self.episodes.copy(),
            "steps": self.steps.copy(),
            "goal": self.goal.copy(),
            "last": self._last.copy(),
            "failures": list(self.failures),
            "worlds": self.worlds.state_dict(),
            "signals": self.signals.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit.

        Raises:
            ValueError: If it is of another number of worlds or another model.
        """
        self.worlds.load_state_dict(saved["worlds"])
        self.signals.load_state_dict(saved["signals"])
        self._seed, self.failures = saved["seed"], list(saved["failures"])
        for name, array in (
            ("episodes", self.episodes),
            ("steps", self.steps),
            ("goal", self.goal),
            ("last", self._last),
        ):
            array[:] = saved[name]

    def _begin(self, ids: Ints) -> None:
        self.episodes[ids] += 1
        self.steps[ids] = 0
        self._logged[ids] = False
        self.worlds.set_domains(ids, self.domains(self._seed, ids, self.episodes[ids]))
        self.worlds.reset(ids)
        start = self.task.reset_state(Random(self._seed, ids, self.episodes[ids]))
        for name, value in start.items():
            target = self.goal if name == "goal" else self.worlds.bind(name)
            target[ids] = value
        self.worlds.forward(ids)
        self.signals.reset(ids)

    def _infos(self, failed: NDArray[np.bool_]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        success = self.task.success(self.state)
        if success is not None:
            infos["is_success"] = np.asarray(success) & ~failed
            infos["_is_success"] = np.ones(self.num_envs, dtype=bool)
        if failed.any():
            infos["failed"], infos["_failed"] = failed, failed.copy()
            self.failures += [self._failure(int(world)) for world in np.flatnonzero(failed & ~self._logged)]
            self._logged |= failed
        return infos

    def _failure(self, world: int) -> dict[str, Any]:
        where = {"world": world, "episode": self.episodes[world], "step": self.steps[world]}
        values = dict(zip(self.program.names, self.worlds.values[world].tolist(), strict=True))
        return {key: int(value) for key, value in where.items()} | {"values": values}

    def _observation(self) -> Any:
        seen = self.signals.received()
        lost = self.worlds.failed & (self.steps > 0)
        if self.program.noisy:
            std = self.program.noise(self.worlds.values)[:, None]
            stream = Stream(self._seed, "observation_noise")
            size = seen.shape[1]
            seen += std * stream.normal(self._all, self.episodes, size, self.steps * size)
        seen[lost] = self._last[lost]
        self._last[:] = seen
        if not isinstance(self.task, GoalTask):
            return seen
        achieved = np.array(self.task.achieved(self.state))
        achieved[lost] = np.nan_to_num(achieved[lost])
        return {"observation": seen, "achieved_goal": achieved, "desired_goal": self.goal.copy()}

    def _keep_final(self, infos: dict[str, Any], observation: Any, ended: Any, ids: Ints) -> None:
        final = np.full(self.num_envs, None, dtype=object)
        for world in ids:
            is_dict = isinstance(observation, dict)
            final[world] = (
                {k: v[world].copy() for k, v in observation.items()} if is_dict else observation[world].copy()
            )
        infos["final_info"] = {name: value & ended for name, value in infos.items()}
        for name in infos.keys() & {"is_success", "_is_success"}:
            infos[name] = infos[name] & ~ended  # what a reset says of it: nothing
        infos["final_obs"], infos["_final_obs"] = final, ended.copy()
        infos["_final_info"] = ended.copy()
