"""Small ONNX models, and the configurations that they are served under."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from proofs.small_onnx import Shape, graph, value
from tests.trimaran.serving.hosting import Model, parameter, tensor
from trimaran.serving.runtime import OnnxBackend

ONNX_BACKENDS = (OnnxBackend.native, OnnxBackend.python)
"""The two stand-ins for NVIDIA's `onnxruntime` backend."""

BATCH_WHEN_FULL = "dynamic_batching { max_queue_delay_microseconds: 20000000 }\n"
"""Waiting requests go off together as soon as they fill `max_batch_size`."""


NUMBERS = {
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "INT64": (TensorProto.INT64, np.int64),
    "INT32": (TensorProto.INT32, np.int32),
    "INT16": (TensorProto.INT16, np.int16),
    "INT8": (TensorProto.INT8, np.int8),
    "UINT64": (TensorProto.UINT64, np.uint64),
    "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "UINT8": (TensorProto.UINT8, np.uint8),
}


def double(shape: Shape = (None, 4)) -> onnx.ModelProto:
    """`y = x + x`."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    return graph([node], [value("x", shape)], [value("y", shape)])


def counted() -> onnx.ModelProto:
    """`y = x + x`, and in every row of `rows` how many rows the call had."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["y"]),
        helper.make_node("Shape", ["x"], ["size"], start=0, end=1),
        helper.make_node("Expand", ["size", "size"], ["rows"]),
    ]
    outputs = [value("y", (None, None)), value("rows", (None,), TensorProto.INT64)]
    return graph(nodes, [value("x", (None, None))], outputs)


def lookup() -> onnx.ModelProto:
    """`[batch]` indices into three rows; any other index fails."""
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    node = helper.make_node("Gather", ["table", "index"], ["row"])
    return graph(
        [node],
        [value("index", (None,), TensorProto.INT64)],
        [value("row", (None, 2))],
        {"table": table},
    )


def every_type() -> onnx.ModelProto:
    kinds = {name: kind for name, (kind, _) in NUMBERS.items()}
    kinds |= {"BOOL": TensorProto.BOOL, "STRING": TensorProto.STRING}
    return graph(
        [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in kinds],
        [value(f"in_{name}", (None, 2), kind) for name, kind in kinds.items()],
        [value(f"out_{name}", (None, 2), kind) for name, kind in kinds.items()],
    )


def replaceable() -> onnx.ModelProto:
    """`y = x + bias`, where an input may stand in for the initializer `bias`."""
    return graph(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [value("x", (2,)), value("bias", (2,))],
        [value("y", (2,))],
        {"bias": np.array([10, 20], np.float32)},
    )


def transposed_product() -> onnx.ModelProto:
    """A product that optimization fuses with the transposition before it, and that can fail."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["turned", "w"], ["y"]),
    ]
    inputs = [value("x", (None, None)), value("w", (None, None))]
    return graph(nodes, inputs, [value("y", (None, None))])


def external_weights() -> dict[str, bytes]:
    """`y = x + bias` as a directory: the graph, and the weights in a file of their own."""
    bias = np.arange(4, dtype=np.float32)
    model = graph(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [value("x", (None, 4))],
        [value("y", (None, 4))],
        {"bias": bias},
    )
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return {
        "model.onnx/model.onnx": model.SerializeToString(),
        "model.onnx/weights.bin": bias.tobytes(),
    }


def config(*tensors: str, batch: int = 0, more: str = "") -> str:
    return (
        f'backend: "onnxruntime"\nmax_batch_size: {batch}\n'
        "instance_group { count: 1 kind: KIND_CPU }\n" + "".join(tensors) + more
    )


def onnx_model(name: str, text: str | None, model: onnx.ModelProto) -> Model:
    return Model(name, text, {"model.onnx": model.SerializeToString()})


X, Y = tensor("input", "x", "FP32", [4]), tensor("output", "y", "FP32", [4])


def variant(
    name: str, x: str = X, y: str = Y, batch: int = 8, more: str = "", shape: Shape = (None, 4)
) -> Model:
    """`y = x + x` under a configuration that differs from the plain one in one way."""
    return onnx_model(name, config(x, y, batch=batch, more=more), double(shape))


def threads(intra: int, inter: int, mode: int) -> str:
    return (
        parameter("intra_op_thread_count", intra)
        + parameter("inter_op_thread_count", inter)
        + parameter("execution_mode", mode)
    )


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)
