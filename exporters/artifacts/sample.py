"""A user's own inputs to try a model file on, in NumPy's `.npz`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporters.artifacts.artifact import FileTensor
from exporters.parity import Arrays
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.system.errors import ArtifactError

__all__ = ["read_sample", "with_rows"]


def read_sample(path: Path, tensors: Sequence[FileTensor]) -> dict[str, np.ndarray]:
    """A user's own inputs: an `.npz` file with one array per input, by its name.

    Arrays have all axes. Raises `ArtifactError` for a file that is none, and for an array that is
    missing, superfluous, or of another dtype or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: cannot be read as NumPy's .npz: {error}; write it with numpy.savez"
        ) from error
    names = [tensor.name for tensor in tensors]
    if sorted(arrays) != sorted(names):
        raise ArtifactError(
            f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; it needs one array for each "
            f"of the inputs {', '.join(names)}"
        )
    return {tensor.name: _own(path, tensor, arrays[tensor.name]) for tensor in tensors}


def _own(path: Path, tensor: FileTensor, array: np.ndarray) -> np.ndarray:
    is_text = array.dtype.kind in "SU"
    fits = is_text if tensor.dtype.triton == "BYTES" else array.dtype == tensor.dtype.numpy
    if not fits or not shapes_agree(array.shape, tensor.shape) or array.size == 0:
        raise ArtifactError(
            f"{path}: {tensor.name!r} is {array.dtype} {describe_shape(array.shape)}; the model "
            f"takes {tensor.dtype.triton} {describe_shape(tensor.shape)}"
        )
    if is_text:
        return (np.char.decode(array) if array.dtype.kind == "S" else array).astype(object)
    return np.ascontiguousarray(array)


def with_rows(inputs: Arrays, rows: int) -> dict[str, np.ndarray]:
    """The same inputs with `rows` rows, the first ones or the same ones over again."""
    return {
        name: np.take(array, np.arange(rows) % array.shape[0], axis=0)
        for name, array in inputs.items()
    }
