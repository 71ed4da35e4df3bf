"""The embeddings of texts by a frozen encoder, in pieces on disk, so that a killed run goes on."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trimaran.served.tokens import Encoding
from trimaran.system.files import write_bytes

__all__ = ["embeddings", "remove_pieces"]

_PIECE = 128
_BATCH = 32
_PATTERN = "embeddings-*.npy"


def embeddings(
    encoder: nn.Module,
    encoding: Encoding,
    tokens: Sequence[Sequence[int]],
    directory: Path,
    watch: Callable[[str, int, int], None],
) -> npt.NDArray[np.float32]:
    """float32 `[rows, width]`. Pieces that stand in `directory` are read, and others written there.

    Rows of like length share a batch, padded as they are when they are served.
    """
    order = np.argsort([len(row) for row in tokens], kind="stable")
    pieces = []
    for number, start in enumerate(range(0, len(order), _PIECE)):
        watch("reading texts", start, len(order))
        path = directory / f"embeddings-{number:05d}.npy"
        rows = [tokens[row] for row in order[start : start + _PIECE]]
        if not path.is_file():
            write_bytes(path, _saved(_computed(encoder, encoding, rows)))
        pieces.append(np.load(path, allow_pickle=False))
    found = np.empty((len(order), pieces[0].shape[1]), np.float32)
    found[order] = np.concatenate(pieces)
    return found


def remove_pieces(directory: Path) -> None:
    """Remove what `embeddings` keeps in a directory."""
    for path in directory.glob(_PATTERN):
        path.unlink()


def _computed(
    encoder: nn.Module, encoding: Encoding, rows: Sequence[Sequence[int]]
) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        return np.concatenate(
            [
                encoder(torch.from_numpy(encoding.padded(rows[start : start + _BATCH]))).numpy()
                for start in range(0, len(rows), _BATCH)
            ]
        )


def _saved(array: npt.NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
