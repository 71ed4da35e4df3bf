"""Small ONNX models, built from their nodes, and written into a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trimaran.repository.repository import Repository

__all__ = ["Shape", "graph", "value", "write_model"]

Shape = Sequence[int | str | None]


def value(name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An input or output; `kind` is a data type of `TensorProto`."""
    return helper.make_tensor_value_info(name, kind, shape)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Mapping[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """A model, with `weights` as its initializers."""
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    body = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_model(repository: Repository, name: str, model: onnx.ModelProto, config: str) -> None:
    """Write version 1 of a model, and its configuration."""
    version = repository.model(name) / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(model.SerializeToString())
    repository.config_path(name).write_text(config, encoding="utf-8")
