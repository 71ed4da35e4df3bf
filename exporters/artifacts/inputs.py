"""Arrays to try a model file on: made up from dtypes and shapes, or a user's own."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from exporters.artifacts.artifact import FileTensor
from exporters.parity import Arrays
from trimaran import dtypes
from trimaran.errors import ArtifactError
from trimaran.tensors import describe_shape, shapes_agree

__all__ = ["made_up", "read_sample", "with_rows"]

_LENGTHS = (4, 1, 32, 224)
"""Lengths to try for open axes: a window may need many, a fixed reshape only one."""
_VALUES = ("small", "zeros", "ones")
_MOST_BYTES = 2**30
_TEXT_BYTES = 64
"""What an element of text is taken to need in memory."""


def made_up(tensors: Sequence[FileTensor], rows: int | None) -> Iterator[dict[str, np.ndarray]]:
    """Inputs to try, one set after another, the likeliest first and the same every time.

    `rows` is the length of every first axis, or `None` where that is an axis like others. Sets of
    more than 1 GiB are left out.
    """
    is_open = any(
        not isinstance(axis, int)
        for tensor in tensors
        for axis in (tensor.axes if rows is None else tensor.axes[1:])
    )
    for length in _LENGTHS if is_open else _LENGTHS[:1]:
        shapes = {tensor.name: _shape(tensor, rows, length) for tensor in tensors}
        sizes = (math.prod(shapes[t.name]) * _item_bytes(t.dtype) for t in tensors)
        if sum(sizes) > _MOST_BYTES:
            continue
        for values in _VALUES:
            yield {t.name: _fill(t.dtype, shapes[t.name], values) for t in tensors}


def _shape(tensor: FileTensor, rows: int | None, length: int) -> tuple[int, ...]:
    shape = [axis if isinstance(axis, int) else length for axis in tensor.axes]
    return tuple(shape if rows is None else [rows, *shape[1:]])


def _item_bytes(dtype: dtypes.DType) -> int:
    return _TEXT_BYTES if dtype.triton == "BYTES" or dtype.numpy is None else dtype.numpy.itemsize


def _fill(dtype: dtypes.DType, shape: tuple[int, ...], values: str) -> np.ndarray:
    drawn = np.asarray(np.random.default_rng(0).random(shape))  # a scalar comes as a float
    if values != "small":
        drawn = np.full(shape, 0.0 if values == "zeros" else 1.0)
    if dtype.triton == "BYTES":
        return np.asarray(np.where(drawn < 0.5, "0", "1")).astype(object)
    if dtype.numpy is None:
        raise ArtifactError(f"there are no arrays of {dtype.triton} to try a model on")
    numbers = drawn if dtype.is_floating else np.asarray(drawn >= 0.5)
    return numbers.astype(dtype.numpy)


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
