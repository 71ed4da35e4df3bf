"""Model files of the good repositories: small ONNX graphs, and one TorchScript archive."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["external_graph", "relu_graph", "torchscript", "weighted_graph"]

_WEIGHTS = "weights.bin"


def relu_graph() -> bytes:
    """A graph from `x` to `y`, both `[batch, 4]`, without weights."""
    return _model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()


def weighted_graph() -> onnx.ModelProto:
    """The same interface over a product, a sum, a function of ONNX Runtime's and a shape."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="product"),
        helper.make_node("Add", ["product", "b"], ["sum"], name="sum"),
        helper.make_node("Gelu", ["sum"], ["bent"], name="bent", domain="com.microsoft"),
        helper.make_node("Reshape", ["bent", "shape"], ["y"], name="reshape"),
    ]
    model = _model(nodes)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    weights: dict[str, np.ndarray] = {
        "w": np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4),
        "b": np.zeros(4, np.float32),
        "shape": np.array([-1, 4], np.int64),
    }
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in weights.items())
    model.graph.value_info.append(
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 4])
    )
    return model


def external_graph() -> dict[str, bytes]:
    """The files of the weighted graph with its product's weights beside it."""
    model = weighted_graph()
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _WEIGHTS), ("offset", "0"), ("length", str(len(content)))):
        tensor.external_data.add(key=key, value=value)
    return {"model.onnx": model.SerializeToString(), _WEIGHTS: content}


@cache
def torchscript() -> bytes:
    """An archive of `torch.jit.save` whose module takes and gives `[batch, 4]`."""
    import torch

    torch.manual_seed(0)
    module = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval())
    file = io.BytesIO()
    torch.jit.save(module, file)
    return file.getvalue()


def _model(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in "xy")
    graph = helper.make_graph(nodes, "graph", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
