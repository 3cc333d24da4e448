"""Randomization for any Gymnasium environment that simulates with MuJoCo."""

import copy
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Choice, Clock, Delay, Distribution, Disturbance, Drive, SignalTerm, Term
from sim2real.envs.domains import Domains, from_source
from sim2real.envs.edits import Edits
from sim2real.envs.hosts import Host, begin, sensed, simulation, with_sensed
from sim2real.envs.paths import Signals
from sim2real.envs.pictures import Photographer, usual_camera
from sim2real.envs.plants import Forces, applied, clocked, drive
from sim2real.spec import Moment, Problem, Program, ProgramError
from sim2real.worlds import Servos

Ints = NDArray[np.int64]
Floats = NDArray[Any]
_ONE = np.arange(1)
_SIZES = ("nq", "nv", "nu", "nbody", "ngeom", "njnt", "nsite", "ntendon", "neq", "nmocap")


def model_of(env: gym.Env[Any, Any]) -> mujoco.MjModel:
    """Return the environment's MuJoCo model after a reset; an empty one where it has none."""
    if simulation(env) is None:
        return mujoco.MjSpec().compile()
    begin(env)  # some of dm_control's set their dampings and sizes only then
    found = simulation(env)
    assert found is not None
    return found[0]


class HostPlant:
    """A foreign environment in the middle of its step, as `sim2real.envs.paths.Plant` of one world."""

    def __init__(self, host: Host, acts: bool, servos: Servos) -> None:
        self.host, self.acts, self.servos = host, acts, servos
        self.observation: Any = None
        self.under_way = False

    def act(self, ids: Ints, actions: Floats) -> None:
        """Let the action (1, a) take effect, unless the environment may do that itself."""
        if self.acts:
            self.host.act(actions[0], self.under_way)

    def step(self, ids: Ints, nstep: int) -> None:
        """Take physics steps."""
        if self.servos:
            drive(self.servos, self.host.model, self.host.data, nstep, self.host.take_steps)
        else:
            self.host.take_steps(nstep)
        self.under_way = True

    def settle(self) -> None:
        """Nothing: the environment did so itself."""

    def look(self, ids: Ints, inside: bool) -> Floats:
        """Return the observation (1, o): the environment's own, unless its step is under way."""
        return (self.host.look() if inside else sensed(self.observation))[None]


class RandomizedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Puts the wrapped environment's own model into a new domain at every reset.

    What the batched path does to actions and observations, it does too, inside the environment's own physics
    steps. Reward and info are the environment's.

    Args:
        env: An environment that simulates with MuJoCo.
        program: What may vary, bound to the environment's model or to one that is equal to it.
        domains: Where the domains come from; by default the program's whole source.
        seed: Seed until `reset` is given one.
        world: Index of this world, if it is one of several.

    Raises:
        ValueError: If the environment has no MuJoCo model, or is randomized already.
        ProgramError: With every term that this environment cannot take.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        program: Program,
        domains: Domains | None = None,
        seed: int = 0,
        world: int = 0,
    ) -> None:
        super().__init__(env)
        _refuse_randomized(env)
        self.host = Host(env)
        if program.model is self.host.model:  # which is edited, while the program's stays nominal
            program = program.rebound(copy.copy(program.model))
        self.program, self.domains = program, domains or from_source(program)
        self._seed, self._world, self._episode, self._step = seed, np.array([world]), -1, 0
        self.values = program.nominal[None].copy()
        self._last: Any = None
        self._edits = Edits(program)
        self._forces, self._servos = Forces(program), Servos(program, 1)
        pushed = [bound.term.bodies(program.model) for bound in program.terms(Disturbance)]
        self._pushed = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *pushed]))
        self._signals: Signals | None = None
        self._picture: Any = None
        if any(needs_steps(bound.term) for bound in program.bound):
            _probe(self.host, program)
            self._make_signals()

    @property
    def period(self) -> float:
        """Control period [s]; 0 as long as nobody needs it."""
        return self.host.frame_skip * float(self.program.model.opt.timestep)

    @property
    def applied(self) -> Floats:
        """The domain (d,) as applied, which a policy may see; columns are named by `program.names`."""
        return applied(self.program, self.values, self.period)[0] if self.period else self.values[0].copy()

    def _make_signals(self) -> None:
        host, program = self.host, self.program
        self._frame_skip, self._timestep = np.array([host.frame_skip]), np.array([host.model.opt.timestep])
        probe = self.domains(self._seed, self._world, np.zeros(1, dtype=np.int64), np.zeros(1))
        delays = (program.longest_delay(path, probe) for path in ("action", "observation"))
        action, observation = (int(np.ceil(delay / self.period)) + 1 for delay in delays)
        acts = any(getattr(bound.term, "path", None) == "action" for bound in program.bound)
        self._plant = HostPlant(host, acts, self._servos)
        sizes, clock = (host.said().size, host.observation_size), (self._frame_skip, self._timestep)
        made = Signals(program, self._plant, 1, sizes, *clock, (action, observation))
        self._signals = None if made.idle and not self._servos else made

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw a domain, write it into the model, and reset; `info["domain"]` is `applied`."""
        if seed is not None:
            # Vector environments give world i the seed s + i; the keyed draws already tell worlds apart.
            self._seed, self._episode = seed - int(self._world[0]), -1
        self._episode += 1
        self._step = 0
        self._draw()
        self._apply()
        self._servos.reset(_ONE)
        self.host.data.xfrc_applied[self._pushed] = 0.0
        observation, info = self.env.reset(seed=seed, options=options)
        renewed = self.host.refresh()
        if renewed:
            self._adopt()
        if renewed or not self._edits.stand(self.host.model):
            self._apply()
            self.host.update()
        if self._signals is not None:
            self._plant.observation, self._plant.under_way = observation, False
            self._signals.neutral = self.host.neutral
            self._signals.reset(_ONE, self.values, self._moment())
            self._refuse_between()
            observation = with_sensed(observation, self._signals.seen.active[0])
        self._last = observation
        return observation, {**info, "domain": self.applied}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; a MuJoCo warning or a number that is not finite fails the episode."""
        self._disturb()
        data, warnings = self.host.data, self.host.data.warning.number
        warnings[:] = 0  # a failure resets these counters itself, so their growth says nothing
        try:
            taken = self.env.step(action) if self._signals is None else self._step_cut(action, self._signals)
        except Exception:  # dm_control raises what others count
            if not warnings.any():
                raise
            taken = self._last, 0.0, True, False, {}
        observation, reward, terminated, truncated, info = taken
        self._step += 1
        if warnings.any() or not (np.isfinite(data.qpos).all() and np.isfinite(sensed(observation)).all()):
            info, terminated, reward = {**info, "failed": True}, True, 0.0
            observation = self._last
        self._last = observation
        # Stable-Baselines3 insists on Python's own numbers.
        reward = reward.item() if isinstance(reward, np.generic) else reward
        return observation, reward, terminated, truncated, info

    def _step_cut(self, action: Any, signals: Signals) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment with its physics steps cut where something happens on a signal's way."""
        host, plant, done = self.host, self._plant, 0
        inputs, moment = host.inputs() if plant.acts else None, self._moment()
        plant.under_way = False

        def handler(nstep: int) -> None:
            nonlocal done, inputs
            if done == 0:
                signals.begin(host.said()[None], self.values, moment)
            if inputs is not None:
                host.restore(inputs)  # what the environment has just written is still on its way
            signals.simulate(_ONE, done, done + nstep)
            done += nstep
            if inputs is not None:
                inputs = host.inputs()

        with host.watched(handler):
            observation, *rest = self.env.step(action)
        plant.observation = observation
        # An environment may end an episode without simulating: then nothing new is seen.
        seen = signals.finish() if done else signals.seen.active
        return (with_sensed(observation, seen[0]), *rest)  # type: ignore[return-value]

    def __getattr__(self, name: str) -> Any:
        """Hand on what goal environments compute for others; nothing else, as Gymnasium's own wrappers."""
        if name != "compute_reward":
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return self.env.get_wrapper_attr(name)

    def picture(self, width: int = 480, height: int = 480, camera: Any = None) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) in this world's looks, from the usual camera by default.

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        self._picture = self._picture or Photographer(self.program)
        host, draw = self.host, self._moment().draw
        camera = usual_camera(self.unwrapped, host.model) if camera is None else camera
        return self._picture.of_env(host.model, host.data, self.values[0], width, height, camera, draw)

    def close(self) -> None:
        """Free the renderer, and close the environment."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None
        super().close()

    def _moment(self) -> Moment:
        return Moment(self._seed, self._world, np.array([self._episode]), np.array([self._step]))

    def _draw(self) -> None:
        key = self._seed, self._world, np.array([self._episode])
        self.values = self.domains(*key, np.array([self._step * self.period]))

    def _apply(self) -> None:
        model = self.host.model
        if self.period:
            self._clock(model)
        self._edits.write(model, self.values[0])
        if self._servos:
            self._servos.tune(_ONE, self.values, lambda name: getattr(model, name)[None])

    def _adopt(self) -> None:
        """Take over a model that the environment has just compiled."""
        if any(getattr(self.host.model, n) != getattr(self.program.model, n) for n in _SIZES):
            raise ValueError(
                "this environment makes another model at every reset, which cannot be randomized"
            )
        self._edits = Edits(self.program)

    def _refuse_between(self) -> None:
        """Refuse a domain from outside the source whose observations cannot be made."""
        assert self._signals is not None
        lag = self._signals.seen.lag
        if not self.host.can_look and (lag % self._frame_skip).any():
            raise ValueError(_between(self.period))

    def _clock(self, model: mujoco.MjModel) -> None:
        if next(self.program.terms(Clock), None) is None or self.host.clock is None:
            return
        (self._frame_skip[0],), (self._timestep[0],) = clocked(self.program, self.values, self.period)
        model.opt.timestep = self._timestep[0]
        setattr(*self.host.clock, int(self._frame_skip[0]))

    def _disturb(self) -> None:
        """Move a drifting domain on, and set the forces of this control step."""
        if self.program.drifts and self._step > 0:
            before = self.values
            self._draw()
            if (self.values != before).any():
                self._apply()
                self.host.update()
        if self._forces:
            forces = self._forces(self.values, self.period, self._moment())[0]
            self.host.data.xfrc_applied[self._pushed] = forces[self._pushed]


def needs_steps(term: Term) -> bool:
    """Whether a term needs to know when an environment takes which physics steps."""
    return isinstance(term, SignalTerm | Clock | Disturbance | Drive) or term.when.drifts


def _probe(host: Host, program: Program) -> None:
    """Learn how the environment steps, and refuse what it cannot take.

    Raises:
        ProgramError: With every term refused.
    """
    names = [bound.name for bound in program.bound if needs_steps(bound.term)]
    try:
        host.probe()
    except ValueError as error:
        raise ProgramError([Problem(("randomize", name), str(error)) for name in names]) from None
    problems = [
        Problem(("randomize", bound.name), "needs a number of physics steps that this environment lets set")
        for bound in program.terms(Clock)
        if host.clock is None
    ]
    problems += [
        Problem(("randomize", bound.name), host.refusal)
        for bound in program.terms(SignalTerm, "action")
        if host.refusal
    ]
    period = host.frame_skip * float(program.model.opt.timestep)
    problems += [
        Problem(("randomize", bound.name), _between(period))
        for bound in program.terms(Delay, "observation")
        if not host.can_look and not _whole(bound.parameters[0].distribution, period)
    ]
    if problems:
        raise ProgramError(problems)


def _between(period: float) -> str:
    return (
        "this environment's observation cannot be made between its physics steps; delay it by whole "
        f"control steps, as {{choice: [0 s, {period:g} s, {2 * period:g} s]}}"
    )


def _refuse_randomized(env: gym.Env[Any, Any]) -> None:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, RandomizedEnv):
            raise ValueError("this environment is randomized already; put all terms in one spec")
        env = env.env


def _whole(delay: Distribution, period: float) -> bool:
    """Whether a delay can only be a whole number of control periods."""
    low, high = delay.support
    steps = np.array(delay.values if isinstance(delay, Choice) else (low, high)) / period
    return bool(np.isclose(steps, np.rint(steps)).all()) and (isinstance(delay, Choice) or low == high)
