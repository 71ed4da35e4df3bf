"""ONNX files with one thing wrong in each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Change = Callable[[onnx.ModelProto], object]


def linear(change: Change = lambda model: None) -> bytes:
    """A product, a function of ONNX Runtime's own and a ReLU, `x` to `y`, both `[batch, 4]`."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["t"]),
        helper.make_node("Gelu", ["t"], ["u"], domain="com.microsoft"),
        helper.make_node("Relu", ["u"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in "xy")
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph(nodes, "g", [x], [y], [weights])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    change(model)
    content: bytes = model.SerializeToString()
    return content


def put(message: object, **values: object) -> None:
    """Set fields of a message."""
    for name, value in values.items():
        setattr(message, name, value)


def external(location: str, length: int = 64) -> Change:
    """The weights in another file."""

    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="length", value=str(length))

    return change


def sequence(model: onnx.ModelProto) -> None:
    """The output as a sequence, as ZipMap makes of probabilities."""
    model.graph.node[-1].CopyFrom(helper.make_node("SequenceConstruct", ["u"], ["y"]))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    )
