"""Tensors and plain values on disk: whole or not at all, and read without running any code."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from trimaran.errors import TrimaranError

__all__ = ["load_tensors", "save_tensors", "write_bytes"]


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
    except Exception as error:  # what torn bytes lead the unpickler to is any exception
        raise TrimaranError(
            f"{path} cannot be read as tensors ({type(error).__name__}); delete it to train anew"
        ) from error
    if not isinstance(values, dict):
        raise TrimaranError(f"{path} holds a {type(values).__name__}; delete it to train anew")
    return values
