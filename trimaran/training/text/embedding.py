"""The embeddings of texts by a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trimaran.served.tokens import Encoding
from trimaran.training.pieces import in_pieces
from trimaran.training.progress import Watch

__all__ = ["PIECES", "embeddings"]

PIECES = "embeddings"
"""The name of the pieces that are kept of them."""

_BATCH = 32


def embeddings(
    encoder: nn.Module,
    encoding: Encoding,
    tokens: Sequence[Sequence[int]],
    directory: Path,
    watch: Watch,
) -> npt.NDArray[np.float32]:
    """float32 `[rows, width]`. Pieces that stand in `directory` are read, and others written there.

    Rows of like length share a batch, padded as they are when they are served.
    """

    def compute(rows: Sequence[int]) -> npt.NDArray[np.float32]:
        chosen = [tokens[row] for row in rows]
        batches = [chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)]
        with torch.inference_mode():
            return np.concatenate(
                [encoder(torch.from_numpy(encoding.padded(batch))).numpy() for batch in batches]
            )

    order = np.argsort([len(row) for row in tokens], kind="stable")
    return in_pieces(directory, PIECES, order, compute, watch, "reading texts")
