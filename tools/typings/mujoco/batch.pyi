from typing import Any

import numpy as np

MODEL_FIELDS: frozenset[str]
DATA_FIELDS: frozenset[str]

class SimulationError(RuntimeError):
    ids: np.ndarray[Any, np.dtype[np.int64]]

class Batch:
    warning: np.ndarray[Any, np.dtype[np.int32]]
    def __init__(self, model: Any, nsim: int, nthread: int = 0, persistent: bool = False) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
