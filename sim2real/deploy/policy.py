"""A policy file at work: one observation in, one action out, with the past that it wants to see."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.deploy.contract import KEY, Contract, ContractError, from_json

Floats = NDArray[np.float64]
GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")


def session_of(path: Path | bytes) -> Any:
    """Open an ONNX file, or what is in one, on one thread of the processor.

    Raises:
        ContractError: If it is none.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if isinstance(path, Path) and not path.is_file():
        raise ContractError(f"{path}: no such file")
    content = path if isinstance(path, bytes) else str(path)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises kinds of its own
        named = path if isinstance(path, Path) else "the policy"
        raise ContractError(f"{named}: no ONNX file that can be run ({str(error).splitlines()[0]})") from None


class Policy:
    """A policy in the loop: it must be told when a motion begins, and what was really done.

    Args:
        path: An ONNX file that `sim2real export` wrote.

    Attributes:
        contract: What it is for.

    Raises:
        ContractError: If it is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self._session = session_of(Path(path))
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise ContractError(f"{path}: has no contract; was it written by sim2real export?")
        self.contract: Contract = from_json(text, str(path))
        self._low = np.array([one.low for one in self.contract.action])
        self._high = np.array([one.high for one in self.contract.action])
        self.reset()

    def reset(self) -> None:
        """Begin with nothing to remember."""
        past, memory, actions = self.contract.history, self.contract.memory, len(self._low)
        self._past = np.zeros((past.pairs, past.observation + actions)) if past else np.zeros((0, 0))
        self._hidden = np.array([memory.first if memory else ()], np.float32)
        self._recall = np.array([*memory.recalled, 0.0, 0.0]) if memory else np.zeros(0)
        self._seen: Floats | None = None

    def flatten(self, observation: Any) -> Floats:
        """Return an observation (o,) of numbers, or of the keys of goals, as one vector.

        Raises:
            ContractError: If it has another number of entries than the contract.
        """
        if isinstance(observation, dict):
            parts = [observation[key] for key in GOAL_KEYS if key in observation]
            observation = np.concatenate([np.asarray(part, float).ravel() for part in parts])
        flat = np.asarray(observation, float).ravel()
        if len(flat) != len(self.contract.observation):
            wanted = len(self.contract.observation)
            raise ContractError(f"the robot shows {len(flat)} numbers, but the policy wants {wanted}")
        return flat

    def inputs(self, observation: Floats) -> dict[str, NDArray[np.float32]]:
        """Return what the graph is fed at an observation (o,): arrays (1, ...)."""
        fed = {"observation": observation[None]}
        if self.contract.history:
            fed["history"] = self._past.reshape(1, -1)
        if self.contract.memory:
            fed |= {"hidden": self._hidden, "recall": self._recall[None]}
        return {name: np.asarray(value, np.float32) for name, value in fed.items()}

    def act(self, observation: Floats) -> Floats:
        """Return the action (a,) at an observation (o,), in the contract's units."""
        out = self._session.run(None, self.inputs(observation))
        if self.contract.memory:
            self._hidden = out[1]
        self._seen = observation
        return np.asarray(out[0][0], float)

    def done(self, action: Floats, reward: float = 0.0) -> None:
        """Remember what was done (a,) at the last observation, and what it brought."""
        scaled = 2.0 * (action - self._low) / (self._high - self._low) - 1.0
        if (past := self.contract.history) and self._seen is not None:
            self._past[:-1] = self._past[1:]
            self._past[-1] = np.concatenate([self._seen[: past.observation], scaled])
        if self.contract.memory:
            self._recall = np.array([*scaled, reward, 0.0, 0.0, 0.0])
