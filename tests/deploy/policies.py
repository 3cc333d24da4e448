"""Policy files whose every action is known, and robots that do as they are told."""

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sim2real.deploy.contract import KEY, Action, Contract, Entry, History, Joint, to_json

JOINTS = ("waist", "elbow")
CONTRACT = Contract(
    "by_hand", "Toy-v0", 0, "0" * 64, 0.05,
    tuple(Joint(name, "rad", -1.5, 1.5) for name in JOINTS),
    (*(Entry(f"position.{name}", "rad", "qpos", name) for name in JOINTS), Entry("goal", "m", "goal")),
    tuple(Action(f"{name}_servo", -2.0, 2.0, "position", "rad", name) for name in JOINTS),
)  # fmt: skip


def write(path, weights, bias, contract=CONTRACT):
    """A policy that acts `inputs @ weights + bias`, the inputs side by side."""
    width = len(contract.observation)
    inputs = {"observation": width}
    if (past := contract.history) is not None:
        inputs["history"] = past.pairs * (past.observation + len(contract.action))
    constants = {"weights": np.asarray(weights, np.float32), "bias": np.asarray(bias, np.float32)}
    nodes = [
        helper.make_node("Concat", list(inputs), ["all"], axis=1),
        helper.make_node("Gemm", ["all", *constants], ["action"]),
    ]
    graph = helper.make_graph(
        nodes, "policy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", own]) for name, own in inputs.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["n", len(contract.action)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, to_json(contract)
    onnx.save(model, path)
    return path


def constant(path, *action, contract=CONTRACT):
    """A policy that always asks for the same."""
    return write(path, np.zeros((len(contract.observation), len(action))), action, contract)


def with_history(pairs):
    return replace(CONTRACT, history=History(pairs, 3))


class Toy:
    """Servos that are where they were told to be one step later; it counts observations."""

    description = None

    def __init__(self, on_step=None, numbered=True):
        self.position = np.array([0.1, -0.2])
        self.sent, self.on_step, self.numbered, self.count = [], on_step, numbered, 0

    def seen(self):
        info = {"sequence": self.count} if self.numbered else {}
        return np.array([*self.position, 0.3]), info

    def reset(self, *, seed=None, options=None):
        return self.seen()

    def step(self, action):
        self.sent.append(np.asarray(action, float))
        self.count += 1
        self.position = self.sent[-1].copy()
        if self.on_step is not None:
            self.on_step(self)
        observation, info = self.seen()
        return observation, 0.0, False, False, info


class Stopping(Toy):
    """One with a stop of its own."""

    stopped = 0

    def stop(self):
        self.stopped += 1
