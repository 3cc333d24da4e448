"""A task on N randomized worlds, as a `gymnasium.vector.VectorEnv`."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.domains import Ahead, Domains, from_source
from sim2real.envs.paths import Signals
from sim2real.envs.pictures import Photographer
from sim2real.envs.plants import Forces, applied, clocked, plant_of
from sim2real.envs.task import GoalTask, Random, State, Task
from sim2real.spec import Moment, Program
from sim2real.worlds import Worlds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
        numbers: What each world's starting states and noise are drawn for (n,); by default 0 to N - 1. Worlds
            with the same number begin and are disturbed alike, whatever their domains.
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
        numbers: Ints | None = None,
    ) -> None:
        self.task, self.num_envs, self.render_mode = task, num_envs, render_mode
        self.program = program or Program(task.compile(), {})
        self.domains = domains or from_source(self.program)
        self.worlds = Worlds(self.program, num_envs, threads)
        self._seed, self._autoreset, self._all = seed, autoreset, np.arange(num_envs)
        self._numbers = self._all if numbers is None else numbers
        self._ahead = Ahead(self.program, num_envs)
        self._describe()
        self.episodes = np.full(num_envs, -1)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.failures: list[dict[str, Any]] = []
        self._logged = np.zeros(num_envs, dtype=bool)
        size = self._observation_size
        self.goal = np.zeros((num_envs, self._goal_size))
        self.state = State({name: self.worlds.bind(name) for name in task.reads} | {"goal": self.goal})
        self.period = task.frame_skip * float(self.program.model.opt.timestep)
        self._forces = Forces(self.program)
        self._frame_skip = np.full(num_envs, task.frame_skip)
        plant = plant_of(self.worlds, task, self.state)
        clock = self._frame_skip, self.worlds.timestep
        sizes = self._actions, size
        self.signals = Signals(self.program, plant, num_envs, sizes, *clock, self._longest_delays())
        self._last = np.zeros((num_envs, size))
        self._photographer: Photographer | None = None
        self.measured: tuple[str, ...] = ()
        """Names of what the task measured in the last step; see `Task.measures`."""
        self.before_reset: Callable[[Ints], None] = lambda ids: None
        """Called with the worlds whose episodes have ended, before they reset themselves."""

    def _describe(self) -> None:
        model, task = self.program.model, self.task
        self.single_observation_space, self.single_action_space = task.spaces(model)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        space = self.single_observation_space
        goals = isinstance(space, gym.spaces.Dict)
        self._observation_size, self._actions = task.sizes(model)
        self._goal_size = gym.spaces.flatdim(space["desired_goal"]) if goals else 0
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP if self._autoreset else AutoresetMode.DISABLED,
            "render_modes": ["rgb_array"],
            "render_fps": round(1 / (model.opt.timestep * task.frame_skip)),
        }

    def _longest_delays(self) -> tuple[int, int]:
        # Fixed domains may lie outside the source, so a first look at them counts too.
        episodes = np.zeros(self.num_envs, dtype=np.int64)
        probe = self.domains(self._seed, self._all, episodes, np.zeros(self.num_envs))
        action, observation = (self.program.longest_delay(p, probe) for p in ("action", "observation"))
        return int(np.ceil(action / self.period)) + 1, int(np.ceil(observation / self.period)) + 1

    @property
    def applied(self) -> Floats:
        """The domains (n, d) as applied: latencies rounded to physics steps, drifts as they stand now.

        It is what a policy may see as privileged information; columns are named by `program.names`.
        """
        return applied(self.program, self.worlds.values, self.period)

    def _moment(self) -> Moment:
        return Moment(self._seed, self._numbers, self.episodes, self.steps)

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
        self._disturb()
        self.signals.control(actions, self.worlds.values, self._moment())
        self.steps += 1
        failed = self.worlds.failed.copy()
        # A failed world may hold any number.
        with np.errstate(invalid="ignore", over="ignore"):
            reward = np.asarray(self.task.reward(before, self.state, actions), np.float64)
            measures = self.task.measures(before, self.state)
        reward[failed] = 0.0
        terminated = np.asarray(self.task.terminated(self.state)) | failed
        truncated = (self.steps >= self.task.max_episode_steps) & ~failed
        infos, self.measured = self._infos(failed), tuple(measures)
        for name, value in measures.items():
            infos[name], infos[f"_{name}"] = np.array(value, np.float64), ~failed
        observation = self._observation()
        ended = terminated | truncated
        if ended.any() and self._autoreset:
            ids = np.flatnonzero(ended)
            self._keep_final(infos, observation, ended, ids)
            self.before_reset(ids)
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

    def picture(
        self, world: int, width: int = 480, height: int = 480, camera: str | int | None = None
    ) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of one world in its own looks; from the task's view by default.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        self._photographer = self._photographer or Photographer(self.program)
        goal = [(self.goal[world], 0.025, (1.0, 0.2, 0.2, 1.0))] if self._goal_size == 3 else []
        draw = self._moment().take(np.array([world])).draw
        view = self.task.camera if camera is None else camera
        return self._photographer.of_world(
            self.worlds, world, width, height, view, draw, self.task.dress, goal
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderer."""
        if self._photographer is not None:
            self._photographer.close()

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
        self._frame_skip[:], _ = clocked(self.program, self.worlds.values, self.period)
        self.signals.load_state_dict(saved["signals"], self.worlds.values)
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
        coming = self.episodes + 1
        coming[ids] -= 1
        values, fields = self._ahead(self.domains, self._seed, ids, coming)
        self._frame_skip[ids], timestep = clocked(self.program, values, self.period)
        self.worlds.set_domains(ids, values, timestep, fields)
        self.worlds.reset(ids)
        start = self.task.reset_state(Random(self._seed, self._numbers[ids], self.episodes[ids]))
        for name, value in start.items():
            target = self.goal if name == "goal" else self.worlds.bind(name)
            target[ids] = value
        self.worlds.forward(ids)
        self.signals.reset(ids, values, self._moment().take(ids))

    def _disturb(self) -> None:
        """Move drifting domains on, and set the forces of this control step."""
        if self.program.drifts:
            time = np.asarray(self.steps * self.period, dtype=np.float64)
            values = self.domains(self._seed, self._all, self.episodes, time)
            moved = np.flatnonzero((values != self.worlds.values).any(axis=1))
            if len(moved):
                fields = self.program.fields(values[moved], self.program.moves)
                self.worlds.set_domains(moved, values[moved], fields=fields)
        if self._forces:
            forces = self._forces(self.worlds.values, self.period, self._moment())
            self.worlds.bind("xfrc_applied")[:] = forces.reshape(self.worlds.bind("xfrc_applied").shape)

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
        seen = self.signals.seen.active.copy()
        lost = np.flatnonzero(self.worlds.failed)
        lost = lost[self.steps[lost] > 0]
        if len(lost):
            seen[lost] = self._last[lost]
        self._last[:] = seen
        if not isinstance(self.task, GoalTask):
            return seen
        achieved = np.array(self.task.achieved(self.state))
        if len(lost):
            achieved[lost] = np.nan_to_num(achieved[lost])
        return {"observation": seen, "achieved_goal": achieved, "desired_goal": self.goal.copy()}

    def _keep_final(self, infos: dict[str, Any], observation: Any, ended: Any, ids: Ints) -> None:
        final = np.full(self.num_envs, None, dtype=object)
        for world in ids:
            is_dict = isinstance(observation, dict)
            final[world] = (
                {k: v[world].copy() for k, v in observation.items()} if is_dict else observation[world].copy()
            )
        infos["final_info"] = {
            name: value & ended if value.dtype == bool else value.copy() for name, value in infos.items()
        }
        for name in infos.keys() & {"is_success", "_is_success"}:
            infos[name] = infos[name] & ~ended  # what a reset says of it: nothing
        infos["final_obs"], infos["_final_obs"] = final, ended.copy()
        infos["_final_info"] = ended.copy()
