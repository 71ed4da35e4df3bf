"""Requests that are made ready before the load begins, so that a user only sends bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.system.files import write_text

if TYPE_CHECKING:
    from loadtests.payloads.choosing import Row

__all__ = ["PROTOCOLS", "Call", "encode", "in_turn", "read_calls", "save_calls"]

PROTOCOLS = ("http", "json", "grpc")
"""KServe v2 over HTTP with binary tensors or in JSON, and over gRPC."""


@dataclass(frozen=True)
class Call:
    """One request's bytes, and where they go: an HTTP path with headers, or a gRPC method."""

    model: str
    protocol: str
    body: bytes
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Under which Locust counts it."""
        return f"{self.model} ({self.protocol})"


def encode(protocol: str, model: str, row: Row) -> Call:
    """A row as a request to the model's newest served version."""
    from loadtests.payloads.encoding import GRPC_METHOD, grpc_request, http_call, json_call

    if protocol == "grpc":
        return Call(model, protocol, grpc_request(model, "", row).SerializeToString(), GRPC_METHOD)
    made = (http_call if protocol == "http" else json_call)(model, "", row)
    # An answer that is compressed for Locust's sake would cost the server time.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **made.headers}
    return Call(model, protocol, made.body, made.path, headers)


def in_turn(by_model: Sequence[Sequence[Call]]) -> list[Call]:
    """One call of each model, then the next of each, as long as the longest lasts."""
    longest = max(map(len, by_model), default=0)
    return [calls[place % len(calls)] for place in range(longest) for calls in by_model]


def save_calls(path: Path, calls: Sequence[Call]) -> None:
    """Write calls down for another process."""
    plain = [
        {**vars(call), "body": base64.b64encode(call.body).decode(), "headers": dict(call.headers)}
        for call in calls
    ]
    write_text(path, json.dumps(plain))


def read_calls(path: Path) -> list[Call]:
    """What `save_calls` wrote."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return [Call(**{**item, "body": base64.b64decode(item["body"])}) for item in plain]
