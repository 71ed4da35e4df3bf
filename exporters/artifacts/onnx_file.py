"""An existing ONNX file: read without following its paths, checked, and opened in ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from exporters.artifacts.artifact import Artifact, Axis, FileTensor, first_repeated, reason
from exporters.parity import Arrays
from trimaran.repository import dtypes, target
from trimaran.repository.model_files.onnx_model import (
    PROTOBUF_LIMIT_BYTES,
    externals,
    find_too_new,
    nodes,
    opsets,
    place,
    without_zipmaps,
)
from trimaran.system.errors import ArtifactError

__all__ = ["FILE_NAME", "take"]

FILE_NAME = "model.onnx"

_TYPES = {
    "float": "FP32",
    "double": "FP64",
    "float16": "FP16",
    "string": "BYTES",
    "bool": "BOOL",
    **{f"{u}int{n}": f"{u.upper()}INT{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
}
"""ONNX Runtime's names for the element types that Triton's `onnxruntime` backend serves."""

_RANDOM = {
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
}  # fmt: skip
"""Operators that draw numbers, `Dropout` in training mode only."""
_RANGING = {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"}
"""Operators that take one range over a tensor, so over all rows of a batch."""

_NO_LOG = 4
_OLDEST_OPSET = 7
"""From here on ONNX Runtime has every operator (its `docs/Versioning.md`)."""


def take(source: Path, staged: Path, limit: int = PROTOBUF_LIMIT_BYTES) -> Artifact:
    """Copy an ONNX file into the directory `staged` as `model.onnx`, and open it there.

    External weights are included, in one file if that stays below `limit` bytes; a ZipMap at its
    end is left out. Raises `ArtifactError` for anything that cannot be served.
    """
    size = source.stat().st_size
    if size > PROTOBUF_LIMIT_BYTES:
        raise ArtifactError(
            f"{source}: has {size} bytes, and ONNX allows 2 GiB in one file; save its weights as "
            "external data"
        )
    content = source.read_bytes()
    model = _parsed(content, source)
    asked = _target(model, source)
    _require_tensors(model, source)
    classes = without_zipmaps(model)
    origin = {"file": str(source.resolve()), "sha256": hashlib.sha256(content).hexdigest()}
    path = staged / FILE_NAME
    found = externals(model, source)
    if found or classes:
        others = place(model, found, path, limit)
        origin |= {"external": ", ".join(others)} if others else {}
        origin |= {"without_zipmap": ", ".join(classes)} if classes else {}
    else:
        path.write_bytes(content)
    operators = {node.op_type for node in nodes(model)}
    del model, content, found
    session = _opened(path / FILE_NAME if path.is_dir() else path, source, int(asked["opset"]))
    inputs = [_tensor(item, "input", source) for item in session.get_inputs()]
    outputs = [_tensor(item, "output", source) for item in session.get_outputs()]
    if not inputs:
        raise ArtifactError(f"{source}: has no inputs, and a request needs one; add an input")
    names = [tensor.name for tensor in outputs]

    def run(arrays: Arrays) -> Arrays:
        return dict(zip(names, map(np.asarray, session.run(names, dict(arrays))), strict=True))

    return Artifact(
        format="onnx",
        backend="onnxruntime",
        file_name=FILE_NAME,
        libraries=("onnx", "onnxruntime"),
        inputs=inputs,
        outputs=outputs,
        run=run,
        target=asked,
        source=origin,
        served_names={},
        random=sorted(operators & _RANDOM),
        remarks=[
            f"{name} is the scores before the file's ZipMap, of the classes {', '.join(labels)}"
            for name, labels in classes.items()
        ],
        mixing=[f"{name} takes one range over all rows" for name in sorted(operators & _RANGING)],
    )


def _parsed(content: bytes, source: Path) -> onnx.ModelProto:
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        model = onnx.ModelProto()
    if not (model.ir_version and model.graph.output and _is_text(model)):
        raise ArtifactError(
            f"{source}: is not an ONNX, TorchScript or TensorRT file, or it is damaged or cut "
            f"short "
            f"({len(content)} bytes, beginning with {content[:8]!r}); copy or export it again"
        )
    return model


def _is_text(message: Any) -> bool:
    """Whether every name in a message is UTF-8; protobuf gives bytes for one that is not."""
    for field, value in message.ListFields():
        items = value if hasattr(value, "__len__") and not isinstance(value, str) else [value]
        if field.type == field.TYPE_STRING:
            if isinstance(value, bytes) or any(isinstance(item, bytes) for item in items):
                return False
        elif field.message_type is not None and not all(map(_is_text, items)):
            return False
    return True


def _target(model: onnx.ModelProto, source: Path) -> dict[str, str | int]:
    """What the file requires of a server, compared with what the target container reads."""
    problem = find_too_new(model)
    if problem:
        raise ArtifactError(f"{source}: {problem}")
    return {
        "container": target.CONTAINER,
        "opset": opsets(model).get("", 0),
        "ir_version": model.ir_version,
    }


def _require_tensors(model: onnx.ModelProto, source: Path) -> None:
    weights = {item.name for item in model.graph.initializer}
    weights |= {item.values.name for item in model.graph.sparse_initializer}
    for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
        twice = first_repeated([value.name for value in values])
        if twice is not None:
            raise ArtifactError(f"{source}: has two {kind}s named {twice!r}; rename one")
        for value in values:
            if not value.name:
                raise ArtifactError(f"{source}: has an {kind} without a name; name it")
            has_rank = value.type.tensor_type.HasField("shape")
            if (
                kind == "input"
                and value.name not in weights
                and value.type.WhichOneof("value") == "tensor_type"
                and not has_rank
            ):
                raise ArtifactError(
                    f"{source}: input {value.name!r} has no shape, and Triton needs the number of "
                    "its axes; write its shape into the file"
                )


def _opened(path: Path, source: Path, opset: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _NO_LOG
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own types
        remedy = "export it again with operators of standard ONNX"
        if 0 < opset < _OLDEST_OPSET:
            remedy = f"its opset {opset} is too old, so convert it with onnx.version_converter"
        raise ArtifactError(
            f"{source}: cannot be loaded by ONNX Runtime {onnxruntime.__version__}: "
            f"{reason(error)}; {remedy}"
        ) from error


def _tensor(item: Any, kind: str, source: Path) -> FileTensor:
    element = item.type.removeprefix("tensor(").removesuffix(")")
    if item.type != f"tensor({element})" or element not in _TYPES:
        raise ArtifactError(
            f"{source}: {kind} {item.name!r} is {item.type}, which Triton's onnxruntime backend "
            "cannot carry; convert it to a tensor of a common type in the graph"
        )
    axes: tuple[Axis, ...] = tuple(_axis(dim) for dim in item.shape)
    if 0 in axes:
        raise ArtifactError(
            f"{source}: {kind} {item.name!r} has an axis of length 0, and Triton needs 1 or more; "
            "remove the tensor, or leave the axis open"
        )
    return FileTensor(item.name, dtypes.by_triton(_TYPES[element]), axes)


def _axis(dim: object) -> Axis:
    """ONNX Runtime gives a number, a name, or `None`, and a negative number for an unknown one."""
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return str(dim) if dim else None
