"""What a user says about a file: tensors such as `image:FP32[-1,3,224,224]`, and a sample."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporters.artifacts.artifact import FileTensor, first_repeated
from exporters.parity import Arrays
from trimaran.repository import dtypes
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.system.errors import ArtifactError, UsageError

__all__ = ["Declared", "narrowed", "parse_declared", "read_sample", "require_equal", "with_rows"]

_FULL = re.compile(r"(?P<name>.+):(?P<dtype>\w+)\[(?P<shape>[-\d,\s]*)\]")
_EXAMPLE = "write name:dtype[shape], such as image:FP32[-1,3,224,224]"


@dataclass(frozen=True)
class Declared:
    """A tensor as declared. An output may be named only; then `dtype` and `shape` are `None`."""

    name: str
    dtype: dtypes.DType | None
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        if self.dtype is None or self.shape is None:
            return self.name
        return f"{self.name} {self.dtype.triton} {describe_shape(self.shape)}"


def parse_declared(option: str, texts: Sequence[str], *, name_only: bool = False) -> list[Declared]:
    """The tensors that were given with one option, `--input` or `--output`.

    Raises `UsageError` naming the option, for a text that is not one or a name given twice.
    """
    declared = [_parse(option, text, name_only) for text in texts]
    twice = first_repeated([item.name for item in declared])
    if twice:
        raise UsageError(f"{option} names {twice!r} twice; give each tensor once")
    return declared


def _parse(option: str, text: str, name_only: bool) -> Declared:
    match = _FULL.fullmatch(text.strip())
    if not match:
        if name_only and text.strip() and "[" not in text:
            return Declared(text.strip(), None, None)
        raise UsageError(f"{option} {text!r} cannot be read; {_EXAMPLE}")
    try:
        dtype = dtypes.by_triton(match["dtype"].upper())
    except KeyError:
        known = ", ".join(item.triton for item in dtypes.DTYPES)
        raise UsageError(
            f"{option} {text!r} has the dtype {match['dtype']!r}; choose from {known}"
        ) from None
    try:
        shape = tuple(int(dim) for dim in match["shape"].split(",")) if match["shape"] else ()
    except ValueError:
        raise UsageError(f"{option} {text!r} has no shape that can be read; {_EXAMPLE}") from None
    if any(dim == 0 or dim < -1 for dim in shape):
        raise UsageError(f"{option} {text!r} has an axis below 1; write -1 for one of any length")
    return Declared(match["name"], dtype, shape)


def narrowed(
    where: str, tensors: Sequence[FileTensor], declared: Sequence[Declared]
) -> list[FileTensor]:
    """The file's inputs, with open axes fixed where a declaration fixes them.

    Raises `ArtifactError` where a declaration contradicts the file; `where` names the file.
    """
    wanted = {item.name: item for item in declared}
    _require_known(where, "input", tensors, wanted)
    return [_narrow(where, t, wanted[t.name]) if t.name in wanted else t for t in tensors]


def require_equal(where: str, tensors: Sequence[FileTensor], declared: Sequence[Declared]) -> None:
    """Refuse declarations of outputs that are not what the file has. Raises `ArtifactError`."""
    wanted = {item.name: item for item in declared}
    _require_known(where, "output", tensors, wanted)
    for tensor in tensors:
        item = wanted.get(tensor.name)
        if item and item.dtype and (item.dtype, item.shape) != (tensor.dtype, tensor.shape):
            raise ArtifactError(
                f"{where}: --output says {item}, the file has {tensor}; leave --output out"
            )


def _require_known(
    where: str, kind: str, tensors: Sequence[FileTensor], wanted: dict[str, Declared]
) -> None:
    names = [tensor.name for tensor in tensors]
    for name in wanted:
        if name not in names:
            raise ArtifactError(
                f"{where}: has no {kind} {name!r}; its {kind}s are {', '.join(names)}"
            )


def _narrow(where: str, tensor: FileTensor, declared: Declared) -> FileTensor:
    shape = declared.shape or ()
    fits = len(shape) == len(tensor.shape) and all(
        have in (-1, want) for have, want in zip(tensor.shape, shape, strict=True)
    )
    if declared.dtype != tensor.dtype or not fits:
        raise ArtifactError(
            f"{where}: --input says {declared}, the file has {tensor}; only axes of -1 may be fixed"
        )
    axes = tuple(a if want == -1 else want for a, want in zip(tensor.axes, shape, strict=True))
    return FileTensor(tensor.name, tensor.dtype, axes)


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
    return {tensor.name: _checked(path, tensor, arrays[tensor.name]) for tensor in tensors}


def _checked(path: Path, tensor: FileTensor, array: np.ndarray) -> np.ndarray:
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
