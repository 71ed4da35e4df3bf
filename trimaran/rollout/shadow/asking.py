"""Asks a candidate what live was asked, over the same protocol."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import urllib3

from trimaran.rollout.shadow.copies import Copied, Message
from trimaran.rollout.shadow.reading import FRAME_BYTES
from trimaran.system.ports import Ports

__all__ = ["Asked", "Candidate"]

_TIMEOUT_S = 30.0
_CALL = "/inference.GRPCInferenceService/ModelInfer"
_JSON_BYTES = "Inference-Header-Content-Length"
_FRAME = bytes(FRAME_BYTES)
_MOST_BYTES = 64 << 20
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Asked:
    """What the candidate answered."""

    message: Message
    seconds: float
    """From when the request was sent to when the answer was there, as this process saw it."""
    error: str = ""
    """Why it failed; then there is no message."""


class Candidate:
    """A candidate's server, for several threads at once. Use it as a context manager."""

    def __init__(self, model: str, ports: Ports, connections: int) -> None:
        import grpc  # type: ignore[import-untyped]

        self._rest = f"/v2/models/{model}/generate"
        self._pool = urllib3.HTTPConnectionPool(
            ports.host, ports.http, timeout=_TIMEOUT_S, maxsize=connections, retries=False
        )
        options = [("grpc.max_receive_message_length", _MOST_BYTES)]
        self._channel = grpc.insecure_channel(f"{ports.host}:{ports.grpc}", options)
        self._call = self._channel.unary_unary(_CALL)
        self._failed: type[Exception] = grpc.RpcError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._pool.close()

    def ask(self, copied: Copied) -> Asked:
        """Send a request."""
        began = time.perf_counter()
        if copied.kind == "call":
            message, error = self._called(copied)
        else:
            message, error = self._posted(copied)
        took = time.perf_counter() - began
        return Asked(message, took, " ".join(error.split())[:_LONGEST_REASON])

    def _called(self, copied: Copied) -> tuple[Message, str]:
        try:
            body = self._call(copied.request.body[FRAME_BYTES:], timeout=_TIMEOUT_S)
        except self._failed as error:
            said: Any = error
            return Message(b""), f"{said.code().name}: {said.details()}"
        return Message(_FRAME + body), ""

    def _posted(self, copied: Copied) -> tuple[Message, str]:
        # As the gateway's router does.
        path = copied.path if copied.path.startswith("/v2/") else self._rest
        size = copied.request.json_bytes
        headers = {} if size is None else {_JSON_BYTES: str(size)}
        try:
            answer = self._pool.urlopen("POST", path, body=copied.request.body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return Message(b""), f"no answer: {type(error).__name__}"
        if answer.status != HTTPStatus.OK:
            return Message(b""), f"{answer.status}: {_reason(answer.data)}"
        length = answer.headers.get(_JSON_BYTES)
        return Message(answer.data, int(length) if length else None), ""


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")
