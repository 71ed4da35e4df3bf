"""Tensors and plain values on disk: written atomically, and read without running any code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_bytes

__all__ = ["load_tensors", "remove_torn", "save_tensors"]


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write nested dictionaries and lists of tensors, numbers and text.

    Equal values make equal bytes: torch names the archive after its file, so it gets none.
    """
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_bytes(path, buffer.getvalue())


def load_tensors(path: Path) -> dict[str, Any]:
    """What `save_tensors` wrote. Raises `TrimaranError` for anything else."""
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torn bytes can make the unpickler raise anything
        raise TrimaranError(
            f"{path} cannot be read as tensors ({type(error).__name__}); delete it to train again"
        ) from error
    if not isinstance(values, dict):
        raise TrimaranError(f"{path} holds a {type(values).__name__}; delete it to train again")
    return values


def remove_torn(directory: Path) -> None:
    """Remove the partial files of a process that was killed while it wrote to this directory."""
    for torn in directory.glob(".*.*"):
        torn.unlink()
