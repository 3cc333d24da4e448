"""Modular policy networks (Devin et al. 2017, arXiv 1609.07088): a module a task and a module a robot.

The policy of task k on robot r is `f_r(g_k(o_task), o_robot)`: the task's module says through an interface
what is to be done, the robot's module does it. All pairs that are trained on share their modules; one that
never was is put together from modules that other pairs trained. So that what passes the interface means the
same to all robots, it is narrow, bounded, and partly dropped while the policy learns.

What differs from the paper: the learner is an off-policy actor-critic, whose critics see everything, and not
guided policy search; the spread of actions depends on the state, as that of all our policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sim2real.agents.bounds import Bounded
from sim2real.agents.networks import Actor, Normalizer, StackedLinear
from sim2real.agents.sac_config import FastSACConfig, Widths
from sim2real.agents.tqc import TQC
from sim2real.envs.registry import make_task
from sim2real.spec import Bundle, Problem, Spec
from sim2real.transfer.source import OnSource


class ModularConfig(FastSACConfig):
    """Modular policy (Devin et al. 2017): a network for each task and each robot, which combine freely."""

    actor_hidden: Widths = Field((64, 64), description="Widths of the hidden layers of each robot's module.")
    task_hidden: Widths = Field((64, 64), description="Widths of the hidden layers of each task's module.")
    interface: PositiveInt = Field(4, le=64, description="Numbers that a task's module tells a robot's.")
    interface_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of them that is dropped while the policy learns."
    )


@dataclass(frozen=True)
class Columns:
    """Columns of the observation vector.

    Attributes:
        task: What the task's modules see.
        robot: What the robots' modules see besides the interface.
        which_task: The one-hot of the tasks.
        which_robot: The one-hot of the robots; empty if there is one.
    """

    task: slice
    robot: slice
    which_task: slice
    which_robot: slice


class ModularActor(Actor):
    """A Gaussian policy of modules: all modules see all rows, and each row keeps what its own say.

    Its layers are those of the tasks' modules, the last of which is the interface, and then the robots'.

    Args:
        columns: Who sees what.
        config: Widths and dropout.
        low: Lower action bounds `(act,)`.
        high: Upper action bounds `(act,)`.
        generator: Source of the initial weights.
        normalizer: The observation statistics that this policy owns.
    """

    def __init__(
        self,
        columns: Columns,
        config: ModularConfig,
        low: Tensor,
        high: Tensor,
        generator: torch.Generator,
        normalizer: Normalizer,
    ) -> None:
        Bounded.__init__(self, low, high)  # instead of Actor's own, which would make one network
        self.normalizer, self.front, self.columns = normalizer, nn.Identity(), columns
        tasks, robots = _width(columns.which_task), max(1, _width(columns.which_robot))
        told, robot = config.interface, _width(columns.robot)
        task = [_width(columns.task), *config.task_hidden, told]
        hidden = [told + robot, *config.actor_hidden]
        first, second = (_layers(tasks, task, generator)[:-1], _layers(robots, hidden, generator))
        self._joint = len(first)
        self.body = nn.Sequential(*first, *second)
        self.head = StackedLinear(robots, hidden[-1], 2 * low.shape[0], generator)
        self._dropout, self._noise = config.interface_dropout, None

    def told(self, features: Tensor) -> Tensor:
        """Return what the tasks' modules tell those of the robots `(n, interface)`, in [-1, 1]."""
        everyones = self.body[: self._joint](features[:, self.columns.task])
        return torch.tanh(_own(everyones, features[:, self.columns.which_task]))

    def outputs(self, features: Tensor) -> Tensor:
        """Return what `gaussian` reads its two parts from, `(n, 2 act)`."""
        told = self.told(features)
        if self._noise is not None:
            kept = torch.empty_like(told).bernoulli_(1.0 - self._dropout, generator=self._noise)
            told = told * kept / (1.0 - self._dropout)
        inputs = torch.cat((told, features[:, self.columns.robot]), 1)
        everyones = self.head(self.body[self._joint :](inputs))
        return _own(everyones, features[:, self.columns.which_robot])

    @contextmanager
    def dropping(self, noise: torch.Generator) -> Iterator[None]:
        """Drop, inside the block, each number of the interface with the probability of the settings."""
        self._noise = noise if self._dropout else None
        try:
            yield
        finally:
            self._noise = None


class Modular(TQC):
    """An actor-critic with a modular policy; arguments and use as in `ActorCritic`.

    Raises:
        ValueError: If its worlds do not show task and proprioception, or it is to be built upon.
    """

    config: ModularConfig

    def _make_networks(self) -> dict[str, nn.Module]:
        layout = self.layout
        if not {"task", "proprioception"} <= {key for key, _ in layout.context}:
            raise ValueError("modular needs the worlds of a set, which show task and proprioception")
        if isinstance(self, OnSource):
            raise ValueError("no column and no residual is known for modules; fine-tune all, layers or bias")
        columns = Columns(
            slice(0, layout.plain), *(layout.columns(key) for key in ("proprioception", "task", "robot"))
        )
        low, high = (torch.from_numpy(b) for b in (self.action_space.low, self.action_space.high))
        actor = ModularActor(columns, self.config, low, high, self._generator, self._make_normalizer())
        return {"actor": self._ready("actor", actor), **self._make_critics()}

    def _update_actor(self, features: Tensor, judged: Tensor | None = None) -> None:
        with self.actor.dropping(self._generator):
            super()._update_actor(features, judged)


def check_modular(spec: Spec, members: Mapping[str, Bundle]) -> list[Problem]:
    """Return what a modular policy misses: a set, proprioception, or a module trained for a held-out pair."""
    if spec.train.algorithm != "modular":
        return []
    if not members:
        message = "modular is for several tasks and robots: name a set under envs, in place of env"
        return [Problem(("train", "algorithm"), message)]
    found: list[Problem] = []
    trained = [member for member in spec.envs.values() if not member.held_out]
    for name, member in spec.envs.items():
        if make_task(member.env, member.options).proprioception is None:
            message = f"modular must know which observations are the robot's, and {member.env} does not say"
            found.append(Problem(("envs", name, "env"), message))
        for kind in ("task", "robot"):
            own = getattr(member, kind)
            if own not in {getattr(other, kind) for other in trained}:
                message = (
                    f"is held out, and so is all else with the {kind} {own}: none would train its module"
                )
                found.append(Problem(("envs", name), message))
    return found


def _layers(members: int, widths: Sequence[int], generator: torch.Generator) -> list[nn.Module]:
    """Return the layers of `members` networks side by side, a ReLU after each."""
    stacked = [StackedLinear(members, *pair, generator) for pair in pairwise(widths)]
    return [layer for one in stacked for layer in (one, nn.ReLU(inplace=True))]


def _own(everyones: Tensor, which: Tensor) -> Tensor:
    """Return of what every module says `(members, n, out)` what each row's own does `(n, out)`.

    Args:
        everyones: Outputs of all.
        which: One-hots `(n, members)`, normalized or not; without columns if there is one module.
    """
    if which.shape[1] == 0:
        return everyones[0]
    return everyones[which.argmax(1), torch.arange(len(which))]


def _width(columns: slice) -> int:
    return columns.stop - columns.start
