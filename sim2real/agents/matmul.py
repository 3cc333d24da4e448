"""Which library multiplies matrices."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch


@contextmanager
def fast_matmul(on: bool) -> Iterator[None]:
    """Let float32 matrices be multiplied by oneDNN instead of the default library, MKL, inside the block.

    MKL does not use the wide registers of AMD's processors: there oneDNN is twice as fast, and as exact.
    Where the processor has matrix units (AMX), factors are rounded to bfloat16, and summed in float32.
    """
    matmul: Any = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = matmul.fp32_precision
    if on:
        matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@cache
def fast_matmul_rounds() -> bool:
    """Return whether `fast_matmul` rounds factors on this processor."""
    exact = torch.full((64, 64), 1.0 + 2.0**-12)  # bfloat16 has 8 bits
    with fast_matmul(True):
        return not torch.equal(exact @ torch.eye(64), exact)
