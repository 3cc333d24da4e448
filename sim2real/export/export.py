"""`sim2real export`: the policy of a run into one ONNX file with its contract."""

from __future__ import annotations

import logging
import platform
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sim2real.agents import Agent
from sim2real.deploy.contract import KEY, Contract, History, Latency, Memory, to_json
from sim2real.deploy.policy import session_of
from sim2real.export.graph import Graph
from sim2real.export.robot import actions_of, entries_of, joints_of, period_of
from sim2real.runs import Run, RunError, write_atomically
from sim2real.session import reload, trained_agent

RUNS = 1_000
"""Inferences by which the latency is measured, after a tenth as many to warm up."""


def export(run: Run, path: Path) -> Contract:
    """Write the policy of a run, the best one if it was chosen by validation, and return its contract.

    Raises:
        RunError: If it is not trained, cannot be exported, or a package is missing.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise RunError(f"export needs {error.name}: pip install 'sim2real[export]'") from None
    if not path.parent.is_dir():
        raise RunError(f"{path}: there is no folder {path.parent}")
    agent, steps = trained_agent(run)
    graph = Graph(agent, reload(run).spec.train.algorithm)
    contract = contract_of(run, agent, graph, steps)
    model = traced(graph)
    contract = replace(contract, latency=latency(model.SerializeToString(), graph))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, to_json(contract)
    write_atomically(path, model.SerializeToString())
    return contract


def traced(graph: Graph) -> Any:
    """Return a graph as an ONNX model that takes any number of observations at a time."""
    torch.set_num_threads(1)
    fed = tuple(torch.zeros(2, width) for width in graph.inputs.values())
    shapes = tuple({0: torch.export.Dim("n")} for _ in fed)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that are not needed
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(), fed, input_names=list(graph.inputs), output_names=graph.outputs,
            dynamic_shapes=(shapes,), dynamo=True, verbose=False,
        )  # fmt: skip
    if program is None:
        raise RunError("the policy could not be exported")
    return program.model_proto


def contract_of(run: Run, agent: Agent, graph: Graph, steps: int) -> Contract:
    """Return the contract of a run's policy, but for its latency."""
    bundle, layout, actions = reload(run), graph.layout, agent.action_space.shape[0]
    widths = dict(layout.context)
    history = None
    if "history" in graph.inputs:
        seen = layout.plain - 2 * layout.goal
        history = History(widths["history"] // (seen + actions), seen)
    return Contract(
        bundle.spec.train.algorithm,
        bundle.spec.env,
        steps,
        run.spec_sha256,
        period_of(bundle),
        joints_of(bundle.program.model),
        entries_of(bundle, layout.plain, layout.goal),
        actions_of(bundle, agent.action_space),
        history,
        _memory(graph) if graph.remembers else None,
    )


def _memory(graph: Graph) -> Memory:
    memory, config = graph.agent.memory, graph.agent.config
    first, recalled = (tuple(one[0].tolist()) for one in (memory.first, memory.recalled))
    return Memory(config.units, config.memory != "zeroed", first, recalled)


def latency(model: bytes, graph: Graph) -> Latency:
    """Measure one observation after the other on one thread."""
    session = session_of(model)
    fed = {name: np.zeros((1, width), np.float32) for name, width in graph.inputs.items()}
    took: list[float] = []
    for _ in range(RUNS + RUNS // 10):
        start = time.perf_counter()
        session.run(None, fed)
        took.append(time.perf_counter() - start)
    median, p99 = np.percentile(took[-RUNS:], [50, 99])
    return Latency(float(median), float(p99), RUNS, processor())


def processor() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
