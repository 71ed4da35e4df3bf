"""Model files as users have them: ONNX built node by node, TorchScript scripted or traced."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from trimaran.repository import target

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


def forest(opset: int = 21) -> onnx.ModelProto:
    """Two trees on rows of two values: a class and its scores, after `ai.onnx.ml` 3.

    As skl2onnx writes them, with the opset of ONNX imported twice.
    """
    trees = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0, 1, 1, 1],
        nodes_nodeids=[0, 1, 2, 0, 1, 2],
        nodes_featureids=[0, 0, 0, 1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        nodes_values=[0.25, 0.0, 0.0, 0.75, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0, 1, 0, 0],
        nodes_falsenodeids=[2, 0, 0, 2, 0, 0],
        class_treeids=[0, 0, 0, 0, 1, 1, 1, 1],
        class_nodeids=[1, 1, 2, 2] * 2,
        class_ids=[0, 1] * 4,
        class_weights=[0.5, 0.0, 0.0, 0.5, 0.25, 0.0, 0.0, 0.75],
        classlabels_int64s=[0, 1],
        post_transform="NONE",
    )
    value = TensorProto.FLOAT
    model = onnx_model(
        [trees],
        [("x", value, ["N", 2])],
        [("label", TensorProto.INT64, ["N"]), ("scores", value, ["N", 2])],
        opset=opset,
    )
    imports = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", opset)]
    model.opset_import.extend(imports)
    return model


def zipped_forest() -> onnx.ModelProto:
    """The forest with its scores as dictionaries by class, as skl2onnx has them by default."""
    model = forest()
    (scores,) = [value for value in model.graph.output if value.name == "scores"]
    zipped = helper.make_node(
        "ZipMap", ["scores"], ["by_class"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]
    )
    model.graph.node.append(zipped)
    by_class = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    kind = helper.make_sequence_type_proto(by_class)
    scores.CopyFrom(helper.make_value_info("by_class", kind))
    return model


def quantised_tokens() -> onnx.ModelProto:
    """Tokens of a table of 50 to three scores each, quantised dynamically as text models are.

    Padding and the unknown token, 0 and 1, are small, and the step is that of the whole batch.
    """
    generator = np.random.default_rng(0)
    table = generator.standard_normal((50, 8)).astype(np.float32)
    table[:2] *= 0.1
    weight = generator.integers(-100, 100, (8, 3)).astype(np.int8)
    value = TensorProto.FLOAT
    return onnx_model(
        [
            helper.make_node("Gather", ["table", "ids"], ["e"]),
            helper.make_node("DynamicQuantizeLinear", ["e"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"]),
            helper.make_node("Cast", ["i"], ["f"], to=value),
            helper.make_node("Mul", ["f", "s"], ["scores"]),
        ],
        [("ids", TensorProto.INT64, ["N", "length"])],
        [("scores", value, ["N", "length", 3])],
        [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(weight, "w")],
    )


def bytes_table() -> onnx.ModelProto:
    """Bytes, each to four values of a table of 256."""
    table = np.random.default_rng(0).standard_normal((256, 4)).astype(np.float32)
    return onnx_model(
        [
            helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "i"], ["y"]),
        ],
        [("x", TensorProto.UINT8, ["N", "length"])],
        [("y", TensorProto.FLOAT, ["N", "length", 4])],
        [onnx.numpy_helper.from_array(table, "table")],
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
