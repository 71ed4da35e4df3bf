"""Requests that are prepared before the load begins, so that a user only sends bytes.

One of them is sent to the server first, so that a refusal is reported before the load.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc  # type: ignore[import-untyped]
import urllib3

from trimaran.serving.connections import grpc_channel
from trimaran.serving.denial import denial
from trimaran.system.endpoint import Endpoint
from trimaran.system.files import write_text

if TYPE_CHECKING:
    from loadtests.payloads import Row

__all__ = [
    "PROTOCOLS",
    "Call",
    "encode",
    "grpc_words",
    "http_words",
    "in_turn",
    "open_channel",
    "read_calls",
    "refusal_of",
    "save_calls",
]

PROTOCOLS = ("http", "json", "grpc")
"""KServe v2 over HTTP with binary tensors or in JSON, and over gRPC."""

_EXCERPT = 300


@dataclass(frozen=True)
class Call:
    """One request's bytes, and their HTTP path with headers, or gRPC method."""

    model: str
    protocol: str
    body: bytes
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name under which Locust counts it."""
        return f"{self.model} ({self.protocol})"


def encode(protocol: str, model: str, row: Row) -> Call:
    """A row as a request to the model's newest served version."""
    from loadtests.encoding import GRPC_METHOD, grpc_request, http_call, json_call

    if protocol == "grpc":
        return Call(model, protocol, grpc_request(model, "", row).SerializeToString(), GRPC_METHOD)
    made = (http_call if protocol == "http" else json_call)(model, "", row)
    # To compress an answer for Locust would cost the server time.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **made.headers}
    return Call(model, protocol, made.body, made.path, headers)


def in_turn(by_model: Sequence[Sequence[Call]]) -> list[Call]:
    """One call of each model, then the next of each, until the longest list ends."""
    longest = max(map(len, by_model), default=0)
    return [calls[place % len(calls)] for place in range(longest) for calls in by_model]


def save_calls(path: Path, calls: Sequence[Call]) -> None:
    """Write calls for another process."""
    plain = [
        {**vars(call), "body": base64.b64encode(call.body).decode(), "headers": dict(call.headers)}
        for call in calls
    ]
    write_text(path, json.dumps(plain))


def read_calls(path: Path) -> list[Call]:
    """What `save_calls` wrote."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return [Call(**{**item, "body": base64.b64decode(item["body"])}) for item in plain]


def refusal_of(call: Call, endpoint: Endpoint, timeout_s: float) -> str:
    """Send a call once: the server's message if it is refused, and nothing if it is answered."""
    send = _grpc if call.protocol == "grpc" else _http
    return send(call, endpoint, timeout_s)


def http_words(status: int, body: bytes) -> str:
    """A refusal over HTTP: the status, and the reason that Triton gives as JSON."""
    text = body.decode(errors="replace").strip()
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"])
    return f"status {status}: {text[:_EXCERPT]}"


def grpc_words(error: grpc.RpcError) -> str:
    """A refusal over gRPC: the code's name, and the server's reason."""
    return f"{error.code().name}: {str(error.details())[:_EXCERPT]}"


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """A separate connection, without gRPC's limit on the size of an answer."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc_channel(endpoint, options)


def _http(call: Call, endpoint: Endpoint, timeout_s: float) -> str:
    pool = urllib3.PoolManager(ssl_context=endpoint.context() if endpoint.secure else None)
    try:
        response = pool.request(
            "POST",
            endpoint.url(call.path),
            body=call.body,
            headers={**endpoint.headers, **call.headers, "Connection": "close"},
            retries=False,
            timeout=timeout_s,
        )
    except urllib3.exceptions.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    if response.status == 200:
        return ""
    said = response.data.decode(errors="replace")
    denied = denial(endpoint, str(response.status), said)
    return str(denied or http_words(response.status, response.data))


def _grpc(call: Call, endpoint: Endpoint, timeout_s: float) -> str:
    with open_channel(endpoint) as channel:
        try:
            metadata = tuple(endpoint.headers.items())
            channel.unary_unary(call.path)(call.body, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            denied = denial(endpoint, f"StatusCode.{error.code().name}", str(error.details()))
            return str(denied or grpc_words(error))
    return ""
