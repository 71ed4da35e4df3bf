"""Inputs of an ONNX file that the server feeds, and no request: the controls and states of
sequences, and what it reports of a batch.

They are inputs of the file and not of the configuration. Source:
triton-inference-server/onnxruntime_backend, `onnxruntime.cc`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trimaran.checks.facts import Graph
from trimaran.checks.finding import Problems, error
from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.protocol import protocol

__all__ = ["check_feeds", "feed_names"]

_CORRELATION = protocol.ModelSequenceBatching.Control.CONTROL_SEQUENCE_CORRID


@dataclass(frozen=True)
class _Feed:
    """A tensor that the server makes; `dtype` is a Triton type, or empty where none is given."""

    name: str
    dtype: str
    what: str
    field: str
    is_control: bool = False


def feed_names(config: ModelConfig) -> frozenset[str]:
    """The names of the inputs that are not in a request."""
    return frozenset(feed.name for feed in _feeds(config))


def check_feeds(config: ModelConfig, graph: Graph, where: str) -> Problems:
    """Names, types and shapes of such inputs that the file contradicts; `where` names it."""
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    declared = {item.name for item in config.input}
    for feed in _feeds(config):
        tensor = inputs.get(feed.name)
        if tensor is None:
            yield error(
                feed.field,
                f"{feed.what} {feed.name!r} is not in {where}, which has "
                f"{', '.join(inputs) or 'no input'}",
                "name it as the file does, or remove it",
            )
            continue
        if feed.name in declared:
            yield error(
                f"input.{feed.name}",
                f"input {feed.name!r} is declared, and the server feeds it as {feed.what}",
                "remove it from the inputs",
            )
        if tensor.dtype and feed.dtype not in ("", tensor.dtype):
            yield error(
                feed.field,
                f"{feed.what} {feed.name!r} is {feed.dtype} but {tensor.dtype} in {where}",
                "make them equal",
            )
        row = None if tensor.shape is None else tensor.shape[config.max_batch_size > 0 :]
        if feed.is_control and row is not None and row != (1,):
            yield error(
                feed.field,
                f"{feed.what} {feed.name!r} is {describe_shape(row)} in {where}, and the server "
                "feeds one number a row",
                "export the model with an input of one number a row",
            )
    outputs = [tensor.name for tensor in graph.outputs]
    for state in config.sequence_batching.state:
        if state.output_name not in outputs:
            yield error(
                f"sequence_batching.state.{state.output_name}",
                f"output {state.output_name!r} of a state is not in {where}, which has "
                f"{', '.join(outputs)}",
                "name it as the file does",
            )


def _feeds(config: ModelConfig) -> Iterator[_Feed]:
    for item in config.sequence_batching.control_input:
        for control in item.control:
            field = f"sequence_batching.control_input.{item.name}"
            yield _Feed(item.name, _control_dtype(control), "control input", field, is_control=True)
    for state in config.sequence_batching.state:
        field = f"sequence_batching.state.{state.input_name}"
        yield _Feed(state.input_name, _dtype(state.data_type), "the input of a state", field)
    for made in config.batch_input:
        for name in made.target_name:
            yield _Feed(name, _dtype(made.data_type), "batch_input", f"batch_input.{name}")


def _control_dtype(control: protocol.ModelSequenceBatching.Control) -> str:
    if control.kind == _CORRELATION:
        return _dtype(control.data_type)
    pairs = {
        "INT32": control.int32_false_true,
        "FP32": control.fp32_false_true,
        "BOOL": control.bool_false_true,
    }
    return next((dtype for dtype, values in pairs.items() if values), "")


def _dtype(number: int) -> str:
    names = {dtype.config: dtype.triton for dtype in dtypes.DTYPES}
    return names.get(protocol.DataType.Name(number), "")
