"""Reads the tensors of an answer, in any of the forms in which a model answers.

| kind | form |
|---|---|
| `predict` | one flat JSON object, a field for each output |
| `infer` | the same at `/generate`; else KServe's JSON, and bytes after it |
| `call` | `ModelInferResponse` after the five bytes of gRPC's frame |

Texts and labels become `str`, whole numbers `int64` or `uint64`, others `float64`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse

from trimaran.repository.dtypes import by_triton
from trimaran.rollout.shadow.copies import Kind, Message

__all__ = ["FRAME_BYTES", "UnreadableError", "inputs_of", "tensors_of"]

FRAME_BYTES = 5
"""What stands before a message in the body of a gRPC call."""
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class UnreadableError(Exception):
    """An answer in no form that a model answers in."""


def tensors_of(kind: Kind, message: Message) -> Mapping[str, np.ndarray]:
    """The outputs by name. Raises `UnreadableError`.

    A flat answer has other fields beside them, such as the model's name.
    """
    try:
        if kind == "call":
            return {name: _plain(array) for name, array in _of_call(message.body[FRAME_BYTES:])}
        size = len(message.body) if message.json_bytes is None else message.json_bytes
        found = json.loads(message.body[:size])
        if isinstance(found.get("outputs"), list):
            return {name: _plain(array) for name, array in _of_kserve(message)}
        return {name: _of_json(value) for name, value in found.items()}
    except Exception as error:  # what another program sent may be wrong in any way
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def inputs_of(kind: Kind, message: Message) -> Mapping[str, np.ndarray]:
    """The inputs of a request by name, read as outputs are. Raises `UnreadableError`."""
    try:
        return tensors_of(kind, _as_answer(kind, message))
    except (ValueError, TypeError, DecodeError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _as_answer(kind: Kind, message: Message) -> Message:
    """A request as the answer that would have its inputs as outputs."""
    if kind == "call":
        request = ModelInferRequest.FromString(message.body[FRAME_BYTES:])
        answer = ModelInferResponse(raw_output_contents=request.raw_input_contents)
        for each in request.inputs:
            answer.outputs.add(
                name=each.name, datatype=each.datatype, shape=each.shape, contents=each.contents
            )
        return Message(bytes(FRAME_BYTES) + answer.SerializeToString())
    size = len(message.body) if message.json_bytes is None else message.json_bytes
    found = json.loads(message.body[:size])
    if not isinstance(found.get("inputs"), list):
        return message
    header = json.dumps({"outputs": found["inputs"]}).encode()
    return Message(header + message.body[size:], len(header))


def _of_call(message: bytes) -> Iterator[tuple[str, np.ndarray]]:
    from tritonclient.grpc import InferResult

    response = ModelInferResponse.FromString(message)
    result = InferResult(response)
    for output in response.outputs:
        if response.raw_output_contents:
            yield output.name, result.as_numpy(output.name)
        else:
            values = getattr(output.contents, _CONTENTS[output.datatype])
            array = np.array(list(values), by_triton(output.datatype).numpy)
            yield output.name, array.reshape(output.shape)


def _of_kserve(message: Message) -> Iterator[tuple[str, np.ndarray]]:
    from tritonclient.http import InferenceServerClient

    result = InferenceServerClient.parse_response_body(
        message.body, header_length=message.json_bytes
    )
    for output in result.get_response()["outputs"]:
        yield output["name"], result.as_numpy(output["name"])


def _of_json(value: Any) -> np.ndarray:
    """A field of a flat answer: a value, or a list of values."""
    array = np.array(value)
    known = array.dtype.kind in "biufU" and _kinds(value) <= 1
    return _plain(array if known else np.array(value, object))


def _kinds(value: Any) -> int:
    """How many kinds of values there are: NumPy would make texts of numbers beside texts."""
    flat = np.array(value, object).ravel()
    return len({"text" if isinstance(e, str) else isinstance(e, bool) for e in flat})


def _plain(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ValueError("an output has no content")
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float64)
    if kind in "iu":
        return array.astype(np.int64 if kind == "i" else np.uint64)
    if kind in "bU":
        return array
    made = np.empty(array.shape, object)
    made.ravel()[:] = [_text(each) for each in array.ravel()]
    return made.astype(str)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else json.dumps(value)
