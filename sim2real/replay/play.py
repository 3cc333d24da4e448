"""Open-loop replay: logged commands through N worlds in N domains, and where their joints go."""

import numpy as np
from numpy.typing import NDArray

from randomizers import Clock, Disturbance
from sim2real.logs import Finding, Log
from sim2real.replay.robot import Robot, robot_of
from sim2real.replay.signals import distorted, in_force
from sim2real.spec import Program
from sim2real.worlds import Worlds

Floats = NDArray[np.float64]
_NUMBERS = 400_000
"""Numbers of `qpos` that are kept at once."""


class Player:
    """Replays logs in worlds of a program, each in its own domain.

    A command takes effect in the physics step nearest to when it was logged, after whatever latency, jitter
    and distortion the domain has; a position is read as the domain's sensors would read it in that row.
    Forces from outside and changes of the time step are left out: see `left_out`.

    Args:
        program: What may vary.
        v: The domains (w, d).
        encoders: Columns of the environment's observation that are joint positions, for terms that name
            channels; None if the observation is taken to be the joints alone.
        width: Numbers in the environment's observation.
        seed: Of noise, jitter and losses, which are alike in all worlds.
        threads: Physics threads, 0 for all processors; results do not depend on it.
        smooth: Whether positions change with every change of a latency, and not only from one physics step to
            the next. What rounding a latency leaves over then delays what is seen, which is the same for
            whatever began at rest. An environment rounds.
    """

    def __init__(
        self,
        program: Program,
        v: Floats,
        encoders: slice | None = None,
        width: int = 0,
        seed: int = 0,
        threads: int = 0,
        smooth: bool = False,
    ) -> None:
        self.program, self.v, self.seed = program, np.atleast_2d(v), seed
        self.smooth = smooth
        self.robot: Robot = robot_of(program.model)
        self.worlds = Worlds(program, len(self.v), threads)
        self._all = np.arange(len(self.v))
        self.move(self.v)
        self.timestep = float(program.model.opt.timestep)
        every = len(self.robot.joints.names)
        self._columns, self._width = np.arange(every), every
        if encoders is not None:
            self._columns, self._width = np.arange(width)[encoders], width

    def move(self, v: Floats) -> None:
        """Put the worlds into other domains (w, d)."""
        self.v = v
        self.worlds.set_domains(self._all, v)

    def play(self, log: Log) -> Floats:
        """Return where the log's joints are in its rows (w, n, j); NaN in worlds that became unstable.

        Args:
            log: Matched to the model; see `sim2real.logs.matched`.

        Raises:
            LogError: If the model has no position servo for one of its joints.
        """
        self._begin(log)
        time = log.time - log.time[0]
        rows = np.rint(time / self.timestep).astype(np.int64)
        asked = np.repeat(self.robot.controls(log)[None], len(self.v), axis=0)
        told = distorted(self.program, "action", self.v, asked, self.seed)
        late, old = (self.program.delay(path, self.v) / self.timestep for path in ("action", "observation"))
        lag = np.rint(late)
        age = old + late - lag if self.smooth else np.rint(old)
        steps = np.arange(int(np.ceil(time[-1] / self.timestep)) + 1)
        due = rows + lag[:, None].astype(np.int64)
        acting = in_force(self.program, "action", self.v, due, steps, self.timestep, self.seed)
        # Until the first command arrives, the arm is taken to have been asked for just that.
        told = np.concatenate([asked[:, :1], told], axis=1)
        seen = self._simulate(log, told, acting + 1, time / self.timestep - age[:, None])
        seen[self.worlds.failed] = np.nan
        return self._sensed(log, seen, np.repeat(rows[None], len(self.v), axis=0), rows)

    def _begin(self, log: Log) -> None:
        """Put the worlds where the log begins."""
        self.worlds.reset(self._all)
        rows = self.robot.rows(log.joints)
        self.worlds.bind("qpos")[:, self.robot.qpos[rows]] = log.position[0]
        if log.velocity is not None and np.isfinite(log.velocity[0]).all():
            self.worlds.bind("qvel")[:, self.robot.dof[rows]] = log.velocity[0]
        model, controls = self.program.model, self.robot.controls(log)[0]
        filtered = np.flatnonzero(model.actuator_actnum == 1)
        if len(filtered):
            self.worlds.bind("act")[:, model.actuator_actadr[filtered]] = controls[filtered]
        pace = np.zeros(model.nv)
        if log.velocity is not None:
            pace[self.robot.dof[rows]] = np.nan_to_num(log.velocity[0])
        self.worlds.servos.begin(controls, pace)
        self.worlds.forward(self._all)

    def _simulate(self, log: Log, told: Floats, acting: NDArray[np.int64], when: Floats) -> Floats:
        """Return positions (w, n, j) at times (w, n) [physics steps], on straight lines between steps.

        Args:
            log: Whose joints.
            told: Controls (w, n + 1, nu).
            acting: Which of them are in force in each of the physics steps (w, m).
            when: The times.
        """
        address = self.robot.qpos[self.robot.rows(log.joints)]
        place = np.clip(when, 0.0, acting.shape[1])
        before = np.minimum(place.astype(np.int64), acting.shape[1] - 1)
        found = np.zeros((*when.shape, len(address)))
        last = self.worlds.bind("qpos")[:, None, address].copy()
        chunk = max(20, _NUMBERS // self.worlds.bind("qpos").size)
        for start in range(0, acting.shape[1], chunk):
            part = acting[:, start : start + chunk]
            controls = told[self._all[:, None], part]
            path = self.worlds.play(controls, self._all, ("qpos",))["qpos"][:, :, address]
            path = np.concatenate([last, path], axis=1)
            world, row = np.nonzero((before >= start) & (before < start + part.shape[1]))
            at, share = before[world, row] - start, (place - before)[world, row, None]
            found[world, row] = (1 - share) * path[world, at] + share * path[world, at + 1]
            last = path[:, -1:]
        return found

    def _sensed(self, log: Log, seen: Floats, due: NDArray[np.int64], at: NDArray[np.int64]) -> Floats:
        """Return positions (w, n, j) as sensors give them, and as the newest that has come."""
        columns = self._columns[self.robot.rows(log.joints)]
        observed = np.zeros((*seen.shape[:2], self._width))
        observed[:, :, columns] = seen
        seen = distorted(self.program, "observation", self.v, observed, self.seed)[:, :, columns]
        newest = in_force(self.program, "observation", self.v, due, at, self.timestep, self.seed)
        return np.take_along_axis(seen, np.maximum(newest, 0)[:, :, None], axis=1)


def left_out(program: Program, v: Floats) -> list[Finding]:
    """Return what a domain (d,) has that a replay does not follow."""
    found: list[Finding] = []
    for kind, what in ((Disturbance, "forces from outside"), (Clock, "another time step")):
        for bound in program.terms(kind):
            if (v[bound.columns] != program.nominal[bound.columns]).any():
                says = f"it means {what}, which a replay leaves out"
                found.append(Finding("left out", bound.name, says, "certain", "nothing, if that is wanted"))
    return found
