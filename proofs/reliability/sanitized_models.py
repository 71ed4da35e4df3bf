"""Small ONNX models that together go through all of the native backend, and a good row of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from proofs.reliability.http_requests import Subject
from proofs.small_onnx import graph, value, write_model
from trimaran.repository.repository import Repository

__all__ = ["subjects", "write_models"]

_NUMBERS = {
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "INT64": (TensorProto.INT64, np.int64),
    "INT8": (TensorProto.INT8, np.int8),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "BOOL": (TensorProto.BOOL, np.bool_),
}
_BATCHING = "dynamic_batching { max_queue_delay_microseconds: 2000 }\n"


def subjects() -> tuple[Subject, ...]:
    """A good row of each model."""
    row = np.arange(8, dtype=np.float32).reshape(2, 4)
    texts = np.array([[b"", b"plain", "Übermut".encode(), b"\xff\xfe"]], dtype=object)
    numbers: dict[str, np.ndarray] = {
        name: np.ones((1, 2), dtype) for name, (_, dtype) in _NUMBERS.items()
    }
    return (
        Subject("doubled", {"x": row}),
        Subject("fixed", {"x": row}),
        Subject("lookup", {"index": np.array([[1]])}),
        Subject("numbers", numbers),
        Subject("texts", {"text": texts}),
        Subject("replaceable", {"x": row[0], "bias": row[1]}),
        Subject("scalar", {"x": np.ones(1, np.float32)}),
    )


def write_models(repository: Repository) -> None:
    """Write version 1 of each model, and its configuration."""
    any_row = value("x", (None, None))
    table = {"table": np.arange(6, dtype=np.float32).reshape(3, 2)}
    index = value("index", (None,), TensorProto.INT64)
    names = list(_NUMBERS)
    texts = [value(name, (None, None), TensorProto.STRING) for name in ("text", "same")]
    models: Mapping[str, tuple[onnx.ModelProto, str]] = {
        "doubled": (
            graph([_node("Add", "x x", "y")], [any_row], [value("y", (None, None))]),
            _config(8, _tensor("input", "x", "[-1]"), _tensor("output", "y", "[-1]"), _BATCHING),
        ),
        "fixed": (
            graph([_node("Add", "x x", "y")], [value("x", (2, 4))], [value("y", (2, 4))]),
            _config(0, _tensor("input", "x", "[2, 4]"), _tensor("output", "y", "[2, 4]")),
        ),
        "lookup": (
            graph(
                [_node("Gather", "table index", "row")], [index], [value("row", (None, 2))], table
            ),
            _config(
                4,
                _tensor("input", "index", "[1] reshape { }", "INT64"),
                _tensor("output", "row", "[2]"),
                _BATCHING,
            ),
        ),
        "numbers": (
            graph(
                [_node("Identity", name, f"out_{name}") for name in names],
                [value(name, (None, 2), _NUMBERS[name][0]) for name in names],
                [value(f"out_{name}", (None, 2), _NUMBERS[name][0]) for name in names],
            ),
            _config(
                4,
                *(_tensor("input", name, "[2]", name) for name in names),
                *(_tensor("output", f"out_{name}", "[2]", name) for name in names),
            ),
        ),
        "texts": (
            graph([_node("Identity", "text", "same")], texts[:1], texts[1:]),
            _config(
                8,
                _tensor("input", "text", "[-1]", "STRING"),
                _tensor("output", "same", "[-1]", "STRING"),
                _BATCHING,
            ),
        ),
        "replaceable": (
            graph(
                [_node("Add", "x bias", "y")],
                [value("x", (4,)), value("bias", (4,))],
                [value("y", (4,))],
                {"bias": np.ones(4, np.float32)},
            ),
            _config(
                0,
                _tensor("input", "x", "[4]"),
                _tensor("input", "bias", "[4] optional: true"),
                _tensor("output", "y", "[4]"),
            ),
        ),
        "scalar": (
            graph([_node("Add", "x x", "y")], [value("x", ())], [value("y", ())]),
            _config(0, _tensor("input", "x", "[1]"), _tensor("output", "y", "[1]")),
        ),
    }
    for name, (model, config) in models.items():
        write_model(repository, name, model, config)


def _node(operator: str, inputs: str, output: str) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output])


def _tensor(kind: str, name: str, dims: str, data_type: str = "FP32") -> str:
    return f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: {dims} }}\n'


def _config(batch: int, *lines: str) -> str:
    head = f'backend: "onnxruntime"\nmax_batch_size: {batch}\n'
    return head + "instance_group { count: 2 kind: KIND_CPU }\n" + "".join(lines)
