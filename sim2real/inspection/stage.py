"""One environment on which a spec is tried out, whatever its kind."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers import Disturbance
from sim2real.envs.domains import fixed
from sim2real.envs.hosts import sensed
from sim2real.envs.make import make_worlds
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wrapper import RandomizedEnv
from sim2real.spec import Bundle

STEPS = 100
"""Control steps of a rollout."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Meeting:
    """Two geoms that touched, and what the contact was made of.

    Attributes:
        geoms: Their ids, the smaller first.
        pair: The explicit pair that made the contact, or −1.
        dim: Its dimension: 1 frictionless, 3 sliding, 4 with torsion, 6 with rolling.
    """

    geoms: tuple[int, int]
    pair: int
    dim: int


@dataclass(frozen=True)
class Rollout:
    """What came of one domain.

    Attributes:
        seen: What the policy saw (steps + 1, o).
        qpos: Where everything was (steps + 1, nq).
        failed: Whether the simulation became unstable.
        met: What touched what, if it was asked for.
    """

    seen: Floats
    qpos: Floats
    failed: bool
    met: frozenset[Meeting] = frozenset()


class Stage:
    """An environment with one world of a spec, which starts alike in every rollout.

    Args:
        bundle: The spec.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.program = bundle, bundle.program
        spec, nominal = bundle.spec, fixed(bundle.program.nominal)
        # Where an episode ends, a native task goes on: only a foreign environment would begin anew.
        made = make_worlds(spec.env, spec.env_options, bundle.program, 1, nominal, threads=1, same_step=False)
        self.env: Any = made
        self.host: Any = made if isinstance(made, TaskVectorEnv) else self._wrapped(made)
        self._actions = self._some_actions(self._length())

    def _wrapped(self, made: Any) -> RandomizedEnv | None:
        one = getattr(made, "envs", [None])[0]
        return one if isinstance(one, RandomizedEnv) else None

    def _length(self) -> int:
        """Return how many control steps a rollout takes: long enough to see every push."""
        waits = [getattr(bound.term, "every", 0.0) for bound in self.program.terms(Disturbance)]
        period = float(self.host.period) if self.host is not None else 0.0
        return max(STEPS, int(np.ceil(max(waits, default=0.0) / period)) if period else 0)

    def _some_actions(self, count: int) -> list[Any]:
        self.env.action_space.seed(0)
        return [self.env.action_space.sample() for _ in range(count)]

    def run(self, v: Floats, contacts: bool = False) -> Rollout:
        """Roll out the domain v (d,) from the same start with the same random actions."""
        if self.host is not None:
            self.host.domains = fixed(v)
        observation, _ = self.env.reset(seed=0)
        seen, qpos, failed = [self._numbers(observation)], [self._qpos()], False
        met: set[Meeting] = set()
        for action in self._actions:
            observation, _, terminated, truncated, infos = self.env.step(action)
            failed |= bool(np.any(infos.get("failed", False)))
            seen.append(self._numbers(observation))
            qpos.append(self._qpos())
            if contacts:
                met |= self._contacts()
            if failed or (not isinstance(self.env, TaskVectorEnv) and (terminated | truncated).any()):
                break  # a foreign environment would begin anew
        return Rollout(np.stack(seen), np.stack(qpos), failed, frozenset(met))

    def picture(self, v: Floats, size: int = 160) -> NDArray[np.uint8]:
        """Return a picture (size, size, 3) of the start in the domain v (d,).

        Raises:
            RenderingUnavailableError: If there is no OpenGL.
        """
        self.host.domains = fixed(v)
        self.env.reset(seed=0)
        native = isinstance(self.host, TaskVectorEnv)
        return self.host.picture(0, size, size) if native else self.host.picture(size, size)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _numbers(self, observation: Any) -> Floats:
        one = {k: v[0] for k, v in observation.items()} if isinstance(observation, dict) else observation[0]
        return sensed(one).astype(np.float64)

    def _qpos(self) -> Floats:
        if isinstance(self.host, TaskVectorEnv):
            return np.array(self.host.worlds.bind("qpos")[0])
        return np.zeros(0) if self.host is None else self.host.host.data.qpos.copy()

    def _contacts(self) -> set[Meeting]:
        if isinstance(self.host, TaskVectorEnv):
            data = self.host.worlds.data(0)
            model = self.host.worlds.model(0)
            mujoco.mj_forward(model, data)
        elif self.host is not None:
            model, data = self.host.host.model, self.host.host.data
        else:
            return set()
        return {_meeting(model, contact) for contact in data.contact}


def _meeting(model: mujoco.MjModel, contact: Any) -> Meeting:
    a, b = sorted(int(g) for g in contact.geom)
    pairs = [
        i
        for i in range(model.npair)
        if sorted((int(model.pair_geom1[i]), int(model.pair_geom2[i]))) == [a, b]
    ]
    return Meeting((a, b), pairs[0] if pairs else -1, int(contact.dim))
