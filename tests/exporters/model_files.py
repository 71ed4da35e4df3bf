"""Model files as people bring them: ONNX built node by node, TorchScript scripted or traced."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from trimaran import target

Shape = Sequence[int | str | None] | None
Value = tuple[str, int, Shape]


def onnx_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    weights: Sequence[onnx.TensorProto] = (),
    opset: int = target.ONNX_OPSET,
    ir_version: int = target.ONNX_IR_VERSION,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        weights,
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def unary(operator: str, shape: Shape, answer: Shape, **options: int) -> onnx.ModelProto:
    """One operator from `x` to `y`, both FP32."""
    node = helper.make_node(operator, ["x"], ["y"])
    value = TensorProto.FLOAT
    return onnx_model([node], [("x", value, shape)], [("y", value, answer)], **options)


def weighted(rows: int = 3, columns: int = 4) -> onnx.ModelProto:
    """Rows of three values to rows of four: `y = x @ w`, `w` of 0, 1, 2, …"""
    weights = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    return onnx_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", TensorProto.FLOAT, ["N", rows])],
        [("y", TensorProto.FLOAT, ["N", columns])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )


def write(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def write_beside(model: onnx.ModelProto, path: Path, location: str = "weights.bin") -> Path:
    """The model with all weights in another file of its directory."""
    onnx.save_model(model, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


class Affine(nn.Module):
    """Two inputs by their names; rows of three to rows of two, and the sum of each row."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)

    def forward(self, image: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(image) * scale, image.sum(1)


def write_script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path
