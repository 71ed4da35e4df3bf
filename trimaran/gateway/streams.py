"""Looks at every message of a gRPC stream, since each names its own model.

Envoy hands the pieces of `ModelStreamInfer` to this process (`ext_proc`), and passes one on when it
is allowed. A piece that completes a message for another model is never passed on, and the stream
ends. Where this process does not answer, nothing passes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    BodyResponse,
    GrpcStatus,
    HeadersResponse,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
)
from google.protobuf.message import DecodeError
from tritonclient.grpc.service_pb2 import ModelInferRequest

from trimaran.gateway.messages import JWT, PAYLOAD
from trimaran.gateway.rates import Rates
from trimaran.gateway.settings import Issuer, Settings
from trimaran.system.errors import TrimaranError

__all__ = ["MOST_STREAMS", "Messages", "allowed_models", "serving_streams"]

MOST_STREAMS = 256
"""Streams at once; each takes a thread."""
_PREFIX_BYTES = 5
_LONGEST_NAME = 128
_MOST_OF_ONE = MOST_STREAMS // 4
"""Streams of one client at once, so that it cannot take those of all."""
_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_BEGUN = bytes(ProcessingResponse(request_headers=HeadersResponse()))
_PASSED = bytes(ProcessingResponse(request_body=BodyResponse()))
_LONGEST_WAIT_S = 20.0
"""How long the messages of a piece wait that are beyond their client's rate, before they are
refused; Envoy waits longer."""
_INVALID, _DENIED, _EXHAUSTED = 3, 7, 8
"""gRPC's INVALID_ARGUMENT, PERMISSION_DENIED and RESOURCE_EXHAUSTED."""


class RefusedError(Exception):
    """Why a stream ends, with gRPC's status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Messages:
    """The messages in the bytes of a stream, which come in pieces of any size."""

    def __init__(
        self,
        most_bytes: Callable[[str], int],
        allowed: Collection[str],
        wait_s: Callable[[str], float],
    ) -> None:
        """`wait_s` says how long a message for a model must wait, in seconds."""
        self._waiting = bytearray()
        self._wait_s = wait_s
        self._patience_s = _LONGEST_WAIT_S
        self._most_bytes = most_bytes
        self._allowed = allowed

    def add(self, piece: bytes) -> None:
        """Look at the messages that are whole with this piece. Raises `RefusedError`."""
        self._waiting += piece
        self._patience_s = _LONGEST_WAIT_S
        while len(self._waiting) >= _PREFIX_BYTES:
            size = int.from_bytes(self._waiting[1:_PREFIX_BYTES], "big")
            if self._waiting[0]:
                raise RefusedError(_INVALID, "a message is compressed; send it uncompressed")
            if size > self._most_bytes(""):
                raise RefusedError(_EXHAUSTED, "a message is larger than body_mb allows")
            if len(self._waiting) < _PREFIX_BYTES + size:
                return
            self._look_at(bytes(self._waiting[_PREFIX_BYTES : _PREFIX_BYTES + size]))
            del self._waiting[: _PREFIX_BYTES + size]

    def _look_at(self, message: bytes) -> None:
        try:
            request = ModelInferRequest.FromString(message)
        except DecodeError:
            raise RefusedError(_INVALID, "a message is no ModelInferRequest") from None
        model = request.model_name
        if len(model) > _LONGEST_NAME:
            raise RefusedError(_INVALID, "a message names no model")
        if model not in self._allowed:
            raise RefusedError(
                _DENIED,
                f"the token does not allow {model!r}; ask for one with the scope infer:{model}",
            )
        if len(message) > self._most_bytes(model):
            raise RefusedError(_EXHAUSTED, "a message is larger than body_mb of the model allows")
        tensors = (*request.inputs, *request.outputs)
        if any("shared_memory_region" in tensor.parameters for tensor in tensors):
            raise RefusedError(
                _INVALID,
                "a tensor is in shared memory, which the gateway does not pass on; send it in the "
                "message",
            )
        self._wait(model)

    def _wait(self, model: str) -> None:
        wait_s = self._wait_s(model)
        self._patience_s -= wait_s
        if self._patience_s < 0:
            raise RefusedError(
                _EXHAUSTED, "this client asks the model too often; send messages more slowly"
            )
        time.sleep(wait_s)


def allowed_models(
    claims: Mapping[str, Any], settings: Settings, models: Collection[str]
) -> Collection[str]:
    """The models that a token's claims, or its client in `gateway.toml`, allow."""
    elsewhere = settings.scope_claims()
    claim = next(
        (name for name, issuers in elsewhere.items() if claims.get("iss") in issuers),
        Issuer.scope_claim,
    )
    found = claims.get(claim)
    scopes = {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
    for client in settings.clients:
        if client.has(claims):
            scopes |= set(client.scopes)
    if "infer:*" in scopes:
        return models
    return {model for model in models if f"infer:{model}" in scopes}


@contextmanager
def serving_streams(
    socket: Path, current: Callable[[], tuple[Settings, Collection[str]]]
) -> Iterator[None]:
    """Look at streams during the block, for an Envoy that asks at a Unix socket.

    `current` gives the settings and the models that are offered. Raises `TrimaranError`.
    """
    executor = ThreadPoolExecutor(MOST_STREAMS, thread_name_prefix="streams")
    server = grpc.server(executor, options=[("grpc.max_receive_message_length", -1)])
    process = grpc.stream_stream_rpc_method_handler(
        _Processor(current).process, request_deserializer=ProcessingRequest.parse
    )
    server.add_registered_method_handlers(_SERVICE, {"Process": process})
    socket.unlink(missing_ok=True)
    if not server.add_insecure_port(f"unix:{socket}"):
        raise TrimaranError(f"{socket} cannot be listened to")
    server.start()
    try:
        yield
    finally:
        server.stop(grace=None).wait()
        executor.shutdown(wait=False, cancel_futures=True)
        socket.unlink(missing_ok=True)


class _Processor:
    def __init__(self, current: Callable[[], tuple[Settings, Collection[str]]]) -> None:
        self._current = current
        self._lock = threading.Lock()
        self._open: Counter[tuple[str, str]] = Counter()
        """Streams by client."""
        self._rates = Rates(time.monotonic)

    def process(
        self, requests: Iterator[ProcessingRequest], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Answer Envoy's messages about one stream."""
        first = next(requests, None)
        if first is None or first.request_headers is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a stream's beginning")
            return
        claims = _claims(first)
        try:
            with self._counted(claims):
                yield _BEGUN
                messages = self._begun(claims)
                for request in requests:
                    messages.add(request.request_body.body if request.request_body else b"")
                    yield _PASSED
        except RefusedError as error:
            yield _refusal(error)

    @contextmanager
    def _counted(self, claims: Mapping[str, Any]) -> Iterator[None]:
        """Count a stream of a client during the block. Raises `RefusedError` for one too many."""
        client = str(claims.get("iss", "")), str(claims.get("sub", ""))
        with self._lock:
            if self._open[client] >= _MOST_OF_ONE:
                raise RefusedError(
                    _EXHAUSTED,
                    f"this client has {_MOST_OF_ONE} streams, as many as it may have at once; end "
                    "one first",
                )
            self._open[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[client] -= 1
                if not self._open[client]:
                    del self._open[client]

    def _begun(self, claims: Mapping[str, Any]) -> Messages:
        settings, models = self._current()
        largest = max((settings.limits_of(model).body_mb for model in models), default=0)

        def most_bytes(model: str) -> int:
            return (settings.limits_of(model).body_mb if model else largest) << 20

        def wait_s(model: str) -> float:
            listed = next((each for each in settings.clients if each.has(claims)), None)
            own = listed.requests_per_second if listed else None
            rate = own or settings.limits_of(model).requests_per_second
            return self._rates.wait_s((claims.get("iss"), claims.get("sub"), model), rate)

        return Messages(most_bytes, allowed_models(claims, settings, models), wait_s)


def _claims(request: ProcessingRequest) -> Mapping[str, Any]:
    """The claims of the token with which a stream begins."""
    found = request.metadata_context.filter_metadata if request.metadata_context else {}
    claims = found[JWT].to_dict().get(PAYLOAD) if JWT in found else None
    return claims or {}


def _refusal(error: RefusedError) -> bytes:
    answer = ImmediateResponse(
        grpc_status=GrpcStatus(status=error.status),
        body=str(error).encode(),
        details="stream_refused",
    )
    return bytes(ProcessingResponse(immediate_response=answer))
