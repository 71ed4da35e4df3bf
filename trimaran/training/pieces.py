"""Rows that a network computes once, piece by piece on disk, so that a killed run goes on."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimaran.system.files import write_bytes
from trimaran.training.progress import Watch

__all__ = ["in_pieces", "remove_pieces", "saved"]

_PIECE = 128

Rows = npt.NDArray[np.float32]


def in_pieces(
    directory: Path,
    name: str,
    order: Sequence[int] | npt.NDArray[np.intp],
    compute: Callable[[Sequence[int]], Rows],
    watch: Watch,
    what: str,
) -> Rows:
    """float32 `[rows, width]`, of row numbers in the `order` in which they are computed.

    Pieces `<name>-00000.npy` that stand in `directory` are read, and others written there.
    """
    pieces = []
    for number, start in enumerate(range(0, len(order), _PIECE)):
        watch(what, start, len(order))
        path = directory / f"{name}-{number:05d}.npy"
        if not path.is_file():
            write_bytes(path, saved(compute([int(row) for row in order[start : start + _PIECE]])))
        pieces.append(np.load(path, allow_pickle=False))
    found = np.empty((len(order), pieces[0].shape[1]), np.float32)
    found[order] = np.concatenate(pieces)
    return found


def remove_pieces(directory: Path, name: str) -> None:
    """Remove what `in_pieces` keeps in a directory under a name."""
    for path in directory.glob(f"{name}-*.npy"):
        path.unlink()


def saved(array: npt.NDArray[np.generic]) -> bytes:
    """The content of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
