"""A row as the bytes of an inference request, by protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.grpc import service_pb2

from loadtests.payloads import Row
from trimaran.repository import dtypes
from trimaran.serving.json_rows import text_or_base64
from trimaran.system.errors import UsageError

__all__ = ["GRPC_METHOD", "HttpCall", "generate_call", "grpc_request", "http_call", "json_call"]

GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class HttpCall:
    """The body of a POST, and its path."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def http_call(model: str, version: str, row: Row) -> HttpCall:
    """KServe v2 with binary tensors."""
    body, header_length = triton_http.InferenceServerClient.generate_request_body(
        _inputs(triton_http, row)
    )
    headers = {"Content-Type": "application/octet-stream"}
    if header_length is not None:
        headers["Inference-Header-Content-Length"] = str(header_length)
    return HttpCall(f"{_path(model, version)}/infer", bytes(body), headers)


def json_call(model: str, version: str, row: Row) -> HttpCall:
    """KServe v2 in JSON. Bytes that are not text go as base64, which an image ensemble reads."""
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": dtypes.by_numpy(array.dtype).triton,
            "data": [text_or_base64(value) for value in array.reshape(-1).tolist()],
        }
        for name, array in row.items()
    ]
    return HttpCall(f"{_path(model, version)}/infer", json.dumps({"inputs": inputs}).encode())


def generate_call(model: str, version: str, row: Row) -> HttpCall:
    """Triton's flat JSON. Raises `UsageError` for a row that is not one value for each input."""
    record = {}
    for name, array in row.items():
        if array.size != 1:
            raise UsageError(
                f"{model}: {name} has {array.size} values, and generate takes one; choose json"
            )
        record[name] = text_or_base64(array.reshape(-1).tolist()[0])
    return HttpCall(f"{_path(model, version)}/generate", json.dumps(record).encode())


def grpc_request(model: str, version: str, row: Row) -> service_pb2.ModelInferRequest:
    """KServe v2 as a protobuf message."""
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for item in _inputs(triton_grpc, row):
        request.inputs.append(item._get_tensor())
        request.raw_input_contents.append(item._get_content())
    return request


def _path(model: str, version: str) -> str:
    return f"/v2/models/{model}" + (f"/versions/{version}" if version else "")


def _inputs(library: Any, row: Row) -> Sequence[Any]:
    items = []
    for name, array in row.items():
        item = library.InferInput(name, list(array.shape), dtypes.by_numpy(array.dtype).triton)
        item.set_data_from_numpy(np.ascontiguousarray(array))
        items.append(item)
    return items
