"""Weights beside an ONNX file: found inside its directory only, and brought into one file.

Triton serves one file, or a directory `model.onnx/`. The first is made wherever protobuf allows,
which is below 2 GiB.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx

from trimaran.system.errors import ArtifactError

__all__ = ["PROTOBUF_LIMIT_BYTES", "External", "externals", "place"]

PROTOBUF_LIMIT_BYTES = 2**31 - 1
"""The most that one protobuf message may hold."""

_MARGIN_BYTES = 2**20
"""Room for the lengths that grow when weights move into the graph."""


@dataclass(frozen=True)
class External:
    """One tensor's bytes in another file: `location` is relative to the model's directory."""

    tensor: onnx.TensorProto
    location: str
    path: Path
    offset: int
    length: int


def externals(model: onnx.ModelProto, source: Path) -> list[External]:
    """Every tensor of the model that lies in another file.

    Raises `ArtifactError` for a file that is missing, too short, or outside the directory.
    """
    return [
        _external(tensor, source)
        for tensor in _tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]


def place(
    model: onnx.ModelProto, found: Sequence[External], target: Path, limit: int
) -> tuple[str, ...]:
    """Write `model`, with the tensors `found` in other files, to `target`.

    It becomes one file where that stays below `limit` bytes, or else a directory with the other
    files beside the graph. Returns the locations of the other files.
    """
    locations = tuple(sorted({item.location for item in found}))
    size = model.ByteSize() + sum(item.length for item in found) + _MARGIN_BYTES
    if size < limit:
        for item in found:
            with item.path.open("rb") as file:
                file.seek(item.offset)
                item.tensor.raw_data = file.read(item.length)
            item.tensor.ClearField("external_data")
            item.tensor.ClearField("data_location")
        target.write_bytes(model.SerializeToString(deterministic=True))
        return locations
    target.mkdir()
    for item in {item.location: item for item in found}.values():
        copy = target / item.location
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(item.path, copy)
    (target / target.name).write_bytes(model.SerializeToString(deterministic=True))
    return locations


def _external(tensor: onnx.TensorProto, source: Path) -> External:
    entries = {item.key: item.value for item in tensor.external_data}
    location = entries.get("location", "")
    what = f"{source}: the weights of {tensor.name!r} lie in {location!r}"
    parts = PurePosixPath(location).parts
    if not parts or ".." in parts or location.startswith("/") or set(location) & set("\\\0"):
        raise ArtifactError(
            f"{what}, which is no path inside the model's directory; save the model again with "
            "its weights beside it"
        )
    path, directory = source.parent / location, source.parent.resolve()
    if not path.is_file():
        raise ArtifactError(f"{what}, which is not there; put that file beside the model")
    if not path.resolve().is_relative_to(directory) or path.resolve() == source.resolve():
        raise ArtifactError(
            f"{what}, which leads out of the model's directory or to the model itself; copy the "
            "weights into the directory"
        )
    if PurePosixPath(location).as_posix() == "model.onnx":
        raise ArtifactError(f"{what}, a name that the model itself takes; rename the weights")
    size = path.stat().st_size
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
    except ValueError:
        offset = length = -1
    if min(offset, length) < 0 or offset + length > size or length != _size(tensor):
        raise ArtifactError(
            f"{what}, which has {size} bytes where the model expects {_size(tensor)} from byte "
            f"{offset}; copy the model and its weights again"
        )
    return External(tensor, location, path, offset, length)


def _size(tensor: onnx.TensorProto) -> int:
    """The bytes of a tensor's elements; -1 where they cannot lie in another file."""
    count = math.prod(tensor.dims)
    four_bits = {onnx.TensorProto.INT4, onnx.TensorProto.UINT4, onnx.TensorProto.FLOAT4E2M1}
    if tensor.data_type in four_bits:
        return (count + 1) // 2
    if tensor.data_type in (onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED):
        return -1
    try:
        return count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        return -1


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor in a message, at any depth: weights, constants, subgraphs, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if hasattr(value, "__len__") else [value]:
            if isinstance(item, onnx.TensorProto):
                yield item
            else:
                yield from _tensors(item)
