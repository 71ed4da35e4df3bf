"""The global state of torch while modules are run and captured.

Warnings, log and gradients are off. GRU and LSTM may be captured as loops, so that their sequence
has any length: torch swaps the kernel for that, and keeps using the one that it called last, so the
kernels that it remembers are cleared on both sides.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch

__all__ = ["as_loops", "forgetting_kernels", "quiet", "silent_torch"]


@contextmanager
def quiet() -> Iterator[None]:
    """Without gradients, and without the warnings that capturing a module emits."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def silent_torch() -> Iterator[None]:
    """Without torch's log, and the graph that it prints when it gives up: the error says enough."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


_OPERATORS = (
    torch.ops.aten.gru.input,
    torch.ops.aten.gru.data,
    torch.ops.aten.lstm.input,
    torch.ops.aten.lstm.data,
)


@contextmanager
def forgetting_kernels() -> Iterator[None]:
    """Choose the kernels of recurrent layers again within the block, and after it."""
    _forget()
    try:
        yield
    finally:
        _forget()


@contextmanager
def as_loops() -> Iterator[None]:
    """Capture recurrent layers as loops over their sequence within the block."""
    # Torch imports these only where they are needed.
    from torch.export._patches import (
        register_gru_while_loop_decomposition,
        register_lstm_while_loop_decomposition,
    )

    with (
        forgetting_kernels(),
        register_lstm_while_loop_decomposition(),
        register_gru_while_loop_decomposition(),
    ):
        yield


def _forget() -> None:
    for operator in _OPERATORS:
        operator._dispatch_cache.clear()
