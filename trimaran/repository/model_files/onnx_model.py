"""An ONNX model before it is run: its operators and opsets, its ZipMaps, and external weights.

- Operators and opsets say whether the target container reads the model.
- A ZipMap at the end of a converted classifier turns its scores into Python dictionaries, which no
  server carries. Converters of scikit-learn add it by default. The scores before it are a tensor,
  `[rows, classes]`, and that is served.
- Weights in other files are looked for inside the model's directory only. They are moved into one
  file wherever protobuf allows it, which is below 2 GiB; otherwise Triton serves a directory
  `model.onnx/`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from onnx import TensorProto, helper

from trimaran.repository import target
from trimaran.system.errors import ArtifactError

__all__ = [
    "PROTOBUF_LIMIT_BYTES",
    "External",
    "externals",
    "find_too_new",
    "nodes",
    "opsets",
    "place",
    "without_zipmaps",
]

_ONNX_DOMAINS = ("", "ai.onnx")
"""Two names of one domain."""
PROTOBUF_LIMIT_BYTES = 2**31 - 1
"""The most that one protobuf message may hold."""
_MARGIN_BYTES = 2**20
"""Room for the lengths that grow when weights move into the graph."""


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the graph, of its subgraphs, and of the model's functions."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """The newest opset of each domain that a model or one of its functions imports.

    `ai.onnx` is returned as the empty name; some exporters import both.
    """
    newest: dict[str, int] = {}
    functions = (item for function in model.functions for item in function.opset_import)
    for item in (*model.opset_import, *functions):
        domain = "" if item.domain in _ONNX_DOMAINS else item.domain
        newest[domain] = max(newest.get(domain, 0), item.version)
    return newest


def find_too_new(model: onnx.ModelProto) -> str | None:
    """The part of a model that the target container does not read, and the remedy, or `None`."""
    asked = opsets(model)
    for what, found, most, remedy in (
        ("opset", asked.get("", 0), target.READ_OPSET,
         "export it with that, or use onnx.version_converter"),
        ("opset of ai.onnx.ml", asked.get("ai.onnx.ml", 0), target.READ_ML_OPSET,
         "export it with that"),
        ("IR version", model.ir_version, target.READ_IR_VERSION, "save it with that ir_version"),
    ):  # fmt: skip
        if found > most:
            problem = f"has {what} {found}, and container {target.CONTAINER} reads {most} at most"
            return f"{problem}; {remedy}"
    for node in nodes(model):
        since = target.ONNX_MISSING.get(node.op_type)
        if since and node.domain in _ONNX_DOMAINS and asked.get("", 0) >= since:
            return (
                f"has opset {asked['']} and the operator {node.op_type}, which container "
                f"{target.CONTAINER} does not support from opset {since} on; export it with an "
                f"older opset that has it, or with other operators"
            )
    return None


def without_zipmaps(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Replace each output that a ZipMap makes by the scores before it, in place.

    Returns the classes by output, in the order of the columns; empty without a ZipMap.
    """
    outputs = {value.name: value for value in model.graph.output}
    classes = {}
    for node in model.graph.node:
        if (node.op_type, node.domain) == ("ZipMap", "ai.onnx.ml") and node.output[0] in outputs:
            labels = _labels(node)
            value = outputs[node.output[0]]
            value.CopyFrom(_scores(model, value.name, len(labels)))
            node.CopyFrom(helper.make_node("Identity", node.input, node.output, node.name))
            classes[value.name] = labels
    return classes


@dataclass(frozen=True)
class External:
    """One tensor's bytes in another file: `location` is relative to the model's directory."""

    tensor: onnx.TensorProto
    location: str
    path: Path
    offset: int
    length: int


def externals(model: onnx.ModelProto, source: Path) -> list[External]:
    """Every tensor of the model that is stored in another file.

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

    It becomes one file if that stays below `limit` bytes, or else a directory with the other
    files next to the graph. Returns the locations of the other files.
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


def _nodes(found: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in found:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _nodes(graph.node)


def _labels(node: onnx.NodeProto) -> list[str]:
    for attribute in node.attribute:
        if attribute.name == "classlabels_int64s":
            return [str(label) for label in attribute.ints]
        if attribute.name == "classlabels_strings":
            return [label.decode(errors="replace") for label in attribute.strings]
    return []


def _scores(model: onnx.ModelProto, name: str, count: int) -> onnx.ValueInfoProto:
    """Scores of as many rows as the first input has; ZipMap takes float alone."""
    scores = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, count or None])
    first = model.graph.input[0].type.tensor_type.shape.dim if model.graph.input else []
    if first:
        scores.type.tensor_type.shape.dim[0].CopyFrom(first[0])
    return scores


def _external(tensor: onnx.TensorProto, source: Path) -> External:
    entries = {item.key: item.value for item in tensor.external_data}
    location = entries.get("location", "")
    what = f"{source}: the weights of {tensor.name!r} are in {location!r}"
    parts = PurePosixPath(location).parts
    if not parts or ".." in parts or location.startswith("/") or set(location) & set("\\\0"):
        raise ArtifactError(
            f"{what}, which is not a path inside the model's directory; save the model again with "
            "its weights next to it"
        )
    path, directory = source.parent / location, source.parent.resolve()
    if not path.is_file():
        raise ArtifactError(f"{what}, which does not exist; put that file next to the model")
    if not path.resolve().is_relative_to(directory) or path.resolve() == source.resolve():
        raise ArtifactError(
            f"{what}, which leads out of the model's directory or to the model itself; copy the "
            "weights into the directory"
        )
    if PurePosixPath(location).as_posix() == "model.onnx":
        raise ArtifactError(f"{what}, the file name of the model itself; rename the weights")
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
