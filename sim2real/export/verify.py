"""`sim2real verify`: a policy file against the run it is of, and the robot it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sim2real.agents.base import elsewhere
from sim2real.agents.recurrent import FLAGS
from sim2real.deploy.contract import Contract, difference
from sim2real.deploy.policy import Policy, session_of
from sim2real.export.export import contract_of
from sim2real.export.graph import Graph
from sim2real.export.robot import robot_at
from sim2real.runs import Run, RunError
from sim2real.session import CATALOG, reload, trained_agent, training_env
from sim2real.spec import load

COUNT = 10_000
"""Observations that file and run are compared on: half of them from rollouts, half drawn."""
TOLERANCE = 1e-5
"""Largest difference of actions that passes, as a share of their range: float32 keeps about seven digits, and
a network's sums lose one or two of them to another order of summation."""
_SPREAD = 2.0
_SEED = 20_000
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Verified:
    """What was compared.

    Attributes:
        contract: Of the file.
        count: Observations.
        largest: Largest difference of any action, as a share of its range.
        action: Which action that was.
        difference: The same in the action's own unit.
    """

    contract: Contract
    count: int
    largest: float
    action: str
    difference: float

    @property
    def passed(self) -> bool:
        """Whether file and run are the same policy."""
        return self.largest <= TOLERANCE

    def __str__(self) -> str:
        """Return it in a line."""
        return (
            f"{self.count:,} observations: the largest difference is {self.difference:.2g} of {self.action}, "
            f"{self.largest:.2g} of its range; up to {TOLERANCE:g} passes"
        )


def verify(path: Path, run: Run, robot: Path | None = None, any_spec: bool = False) -> Verified:
    """Compare a policy file with the policy of a run, and with a robot.

    Args:
        path: The file.
        run: The run it was exported from.
        robot: A spec or a model (.xml) of the robot; by default the run's own.
        any_spec: Whether it may be of another spec than the run's, as after a change of words there.

    Raises:
        ContractError: If the file is none.
        RunError: If it is of another spec, its contract does not fit the run or the robot, or its actions
            differ.
    """
    file = Policy(path).contract
    if file.spec_sha256 != run.spec_sha256 and not any_spec:
        raise RunError(f"{path}: exported from another spec (sha256 {file.spec_sha256[:12]}) than "
                       f"{run.spec} ({run.spec_sha256[:12]}); --any-spec compares it anyway")  # fmt: skip
    agent, steps = trained_agent(run)
    graph = Graph(agent, reload(run).spec.train.algorithm)
    ours = contract_of(run, agent, graph, steps)
    _must_fit(path, file, ours, run.path)
    if robot is not None and (why := difference(file, robot_at(robot, lambda spec: load(spec, CATALOG)))):
        raise RunError(f"{path} does not fit {robot}: {why}")
    return _compared(path, file, agent, graph, _observations(run, agent))


def _must_fit(path: Path, file: Contract, ours: Contract, run: Path) -> None:
    """Refuse a file whose contract is not what the run's export would say, but for what was measured."""
    there = {
        "joints": [joint.name for joint in ours.joints],
        "actions": [one.name for one in ours.action],
        "ranges": [[joint.low, joint.high] for joint in ours.joints],
        "low": [one.low for one in ours.action],
        "high": [one.high for one in ours.action],
        "observation": len(ours.observation),
        "period": ours.period,
    }
    if why := difference(file, there):
        raise RunError(f"{path} does not fit {run}: {why}")
    for name in ("observation", "action", "joints", "history", "memory"):
        if getattr(file, name) != getattr(ours, name):
            raise RunError(f"{path} does not fit {run}: its contract says something else of its {name}")


def _compared(
    path: Path, file: Contract, agent: Any, graph: Graph, observations: Iterator[tuple[Any, Any]]
) -> Verified:
    session, layout = session_of(path), graph.layout
    wide = np.array([one.high - one.low for one in file.action])
    worst, count = np.zeros(len(wide)), 0
    for raw, hidden in observations:
        fed: Arrays = {"observation": raw[:, : layout.plain]}
        fed |= {key: raw[:, layout.columns(key)] for key in graph.inputs if key in dict(layout.context)}
        if hidden is not None:
            fed["hidden"] = hidden.numpy()
            agent.memory.hidden = hidden
        apart = np.abs(session.run(None, fed)[0] - agent.act(raw, deterministic=True))
        worst = np.maximum(worst, np.where(np.isfinite(apart), apart, np.inf).max(0))
        count += len(raw)
    most = int(np.argmax(worst / wide))
    return Verified(file, count, float(worst[most] / wide[most]), file.action[most].name, float(worst[most]))


def _observations(run: Run, agent: Any) -> Iterator[tuple[NDArray[np.float32], Any]]:
    """Yield what worlds show `(n, obs)` and hidden states before it, None without a memory."""
    yield _drawn(agent, COUNT - COUNT // 2)
    env, left = training_env(reload(run), "policy"), COUNT // 2
    try:
        with elsewhere(agent):
            obs, _ = env.reset(seed=_SEED)
            while left > 0:
                raw, hidden = agent.layout.flatten(obs), None
                if hasattr(agent, "memory"):
                    raw, hidden = agent.memory.entered(raw)
                yield raw[:left].numpy(), None if hidden is None else hidden[:left]
                left -= len(raw)
                if hidden is not None:
                    agent.memory.hidden = hidden
                obs = env.step(agent.act(obs, deterministic=True))[0]
    finally:
        env.close()


def _drawn(agent: Any, count: int) -> tuple[NDArray[np.float32], Any]:
    """Return normal observations around the policy's statistics, twice as wide as those."""
    normalizer = agent.normalizer if hasattr(agent, "normalizer") else agent.actor.normalizer
    generator = torch.Generator().manual_seed(_SEED)
    raw = normalizer.invert(_SPREAD * torch.randn(count, agent.layout.size, generator=generator))
    if not hasattr(agent, "memory"):
        return raw.float().numpy(), None
    raw[:, -FLAGS:] = 0.0
    return raw.float().numpy(), 2.0 * torch.rand(count, agent.config.units, generator=generator) - 1.0
