"""Rows that show which ranges a model's numbers take: its own samples, or a file of arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from exporters.formats.exporter import ExportError
from exporters.original import Original
from exporters.parity import Arrays
from exporters.precision.reference import drawn_rows
from trimaran.repository.dtypes import TensorSpec, describe_shape, shapes_agree

__all__ = ["CALIBRATION_ROWS", "calibration_batches", "read_rows"]

CALIBRATION_ROWS = 128
_SEED = 40_961
_LARGEST_BATCH = 8
"""Every tensor of the network is kept for a batch, so that batches stay small."""


def calibration_batches(original: Original, given: Arrays | None) -> list[Arrays]:
    """Batches to run through the network: the rows that were given, or 128 rows of its samples.

    They are other rows than those that the gate judges by.
    """
    if given is None:
        return list(drawn_rows(original, CALIBRATION_ROWS, _LARGEST_BATCH, _SEED))
    rows = len(next(iter(given.values())))
    return [
        {name: array[start : start + _LARGEST_BATCH] for name, array in given.items()}
        for start in range(0, rows, _LARGEST_BATCH)
    ]


def read_rows(path: Path, inputs: tuple[TensorSpec, ...]) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file by input name, `[rows, ...]` each.

    Raises `ExportError` where the file cannot be read, or a name, type, shape or number of rows is
    not the model's.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("it holds one array without a name")
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(
            f"{path} cannot be read as calibration rows: {reason[:200]}; write it with "
            "numpy.savez, one array per input"
        ) from error
    problem = _problem(arrays, inputs)
    if problem:
        raise ExportError(f"{path}: {problem}")
    return arrays


def _problem(arrays: Mapping[str, np.ndarray], inputs: tuple[TensorSpec, ...]) -> str | None:
    names = [spec.name for spec in inputs]
    for name in names:
        if name not in arrays:
            return f"has no array {name!r}; it needs one per input: {', '.join(names)}"
    for name in arrays:
        if name not in names:
            return f"array {name!r} is no input; the inputs are {', '.join(names)}"
    rows = {name: arrays[name].shape[0] if arrays[name].ndim else 0 for name in names}
    for spec in inputs:
        array = arrays[spec.name]
        if array.dtype != spec.dtype.numpy:
            return f"array {spec.name!r} is {array.dtype}; the input is {spec.dtype.numpy}"
        if not shapes_agree(array.shape, (-1, *spec.dims)):
            return (
                f"array {spec.name!r} has shape {describe_shape(array.shape)}; the input is "
                f"{describe_shape((-1, *spec.dims))}, the rows first"
            )
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return f"array {spec.name!r} holds numbers that are not finite; leave their rows out"
        if rows[spec.name] != rows[names[0]]:
            return (
                f"array {spec.name!r} has {rows[spec.name]} rows and {names[0]!r} has "
                f"{rows[names[0]]}; give each input the same rows"
            )
    if not rows[names[0]]:
        return "holds no rows; give 100 or more that the model will meet"
    return None
