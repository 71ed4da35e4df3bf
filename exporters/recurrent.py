"""GRU and LSTM of any length, while a module is captured or run on symbols.

Torch can take a recurrent layer for a loop over its sequence, which is open; otherwise it unrolls
the layer to the example's length. It swaps the kernel for that, and keeps using the one that it
called last: what it remembers has to be cleared on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["as_loops", "forgetting_kernels"]

_OPERATORS = (
    torch.ops.aten.gru.input,
    torch.ops.aten.gru.data,
    torch.ops.aten.lstm.input,
    torch.ops.aten.lstm.data,
)


@contextmanager
def forgetting_kernels() -> Iterator[None]:
    """Choose the kernels of recurrent layers anew within the block, and after it."""
    _forget()
    try:
        yield
    finally:
        _forget()


@contextmanager
def as_loops() -> Iterator[None]:
    """Take recurrent layers for loops over their sequence within the block."""
    # Torch loads what registers decompositions only where it is needed, and so do we.
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
