"""Rows that a person gives, as the arrays of a request: JSON objects and `.npz` files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.serving.client import as_array
from trimaran.system.errors import UsageError

__all__ = ["read_arrays", "row_of"]


def row_of(config: ModelConfig, given: Any, where: str) -> dict[str, np.ndarray]:
    """One row by input name, from JSON's values; with a batch axis of 1 where the model batches.

    Optional inputs may be left out. Raises `UsageError` naming `where` and the input at fault.
    """
    if not isinstance(given, dict):
        raise UsageError(f"{where} is not an object with the inputs' names")
    specs = {spec.name: spec for spec in inputs_of(config)}
    unknown = sorted(given.keys() - specs.keys())
    if unknown:
        raise UsageError(
            f"{where}: {config.name} has no input {unknown[0]!r}; it has {', '.join(specs)}"
        )
    arrays = {}
    for name, spec in specs.items():
        if name not in given:
            if spec.optional:
                continue
            raise UsageError(f"{where}: input {name!r} is missing")
        value = given[name] if isinstance(given[name], list) else [given[name]]
        array = as_array(value, spec.dtype, f"{where}: input {name!r}")
        arrays[name] = array[None] if config.max_batch_size > 0 else array
    return arrays


def read_arrays(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an `.npz` file by name, without unpickling. Raises `UsageError`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise UsageError(f"{path} is no .npz file of plain arrays: {error}") from error
