"""Requests as bytes on the way to an endpoint: HTTP/1.1, HTTP/2 or gRPC, plain or by TLS."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from google.protobuf.message import Message

from loadtests.encoding import GRPC_METHOD, HttpCall
from loadtests.generator.grpc_frames import GrpcCalls, grpc_message
from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.http2 import HttpCalls, http2_request
from loadtests.generator.traffic import Tls, Traffic
from trimaran.system.endpoint import Endpoint, host_and_port
from trimaran.system.errors import UsageError

__all__ = ["grpc_traffic", "http_traffic"]

_CONNECT_S = 5.0


def http_traffic(
    endpoint: Endpoint, calls: Sequence[HttpCall] | str, *, http2: bool = False
) -> Traffic:
    """POSTs, or a GET of a path, with the endpoint's headers.

    Raises `UsageError` for HTTP/2 without TLS.
    """
    if http2 and not endpoint.secure:
        raise UsageError(
            f"the server at {endpoint} speaks HTTP/1.1 alone; name a gateway with --url https://..."
        )
    encode = partial(http2_request, endpoint.scheme) if http2 else http_request
    if isinstance(calls, str):
        requests = [encode(endpoint.http, calls, None, endpoint.headers)]
    else:
        requests = [
            encode(endpoint.http, call.path, call.body, {**endpoint.headers, **call.headers})
            for call in calls
        ]
    tls = _tls(endpoint, endpoint.http, "h2" if http2 else "http/1.1")
    return Traffic(_address(endpoint.http), HttpCalls if http2 else Http1, requests, tls)


def grpc_traffic(endpoint: Endpoint, messages: Sequence[Message]) -> Traffic:
    """Unary calls of inference with the endpoint's headers."""

    def codec() -> GrpcCalls:
        return GrpcCalls(endpoint.grpc, GRPC_METHOD, endpoint.scheme, endpoint.headers)

    requests = [grpc_message(message.SerializeToString()) for message in messages]
    return Traffic(_address(endpoint.grpc), codec, requests, _tls(endpoint, endpoint.grpc, "h2"))


def _tls(endpoint: Endpoint, authority: str, protocol: str) -> Tls | None:
    if not endpoint.secure:
        return None
    return Tls(endpoint.context([protocol]), host_and_port(authority)[0], protocol)


def _address(authority: str) -> tuple[str, int]:
    """The one of a name's addresses that answers, so that no connection looks it up again."""
    with (
        suppress(OSError),
        socket.create_connection(host_and_port(authority), timeout=_CONNECT_S) as connection,
    ):
        host, port = connection.getpeername()[:2]
        return str(host), int(port)
    return host_and_port(authority)
