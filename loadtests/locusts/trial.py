"""One request before the load, and in which words a server refuses one."""

from __future__ import annotations

import json
from contextlib import suppress

import grpc  # type: ignore[import-untyped]
import urllib3

from loadtests.locusts.calls import Call
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports

__all__ = ["grpc_words", "http_words", "open_channel", "try_call"]

_EXCERPT = 300


def try_call(call: Call, ports: Ports, timeout_s: float) -> None:
    """Send a call once. Raises `TrimaranError` with the server's words if it is not answered."""
    words = (
        _grpc(call, ports, timeout_s) if call.protocol == "grpc" else _http(call, ports, timeout_s)
    )
    if words:
        raise TrimaranError(
            f"{call.model} does not answer what would be sent over {call.protocol}: {words}"
        )


def http_words(status: int, body: bytes) -> str:
    """A refusal over HTTP: the status, and the reason that Triton gives as JSON."""
    text = body.decode(errors="replace").strip()
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"])
    return f"status {status}: {text[:_EXCERPT]}"


def grpc_words(error: grpc.RpcError) -> str:
    """A refusal over gRPC: the code's name, and the server's reason."""
    return f"{error.code().name}: {str(error.details())[:_EXCERPT]}"


def open_channel(ports: Ports) -> grpc.Channel:
    """A connection of its own, without gRPC's limit on the size of an answer."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(f"{ports.host}:{ports.grpc}", options)


def _http(call: Call, ports: Ports, timeout_s: float) -> str:
    try:
        response = urllib3.request(
            "POST",
            f"http://{ports.host}:{ports.http}{call.path}",
            body=call.body,
            headers={**call.headers, "Connection": "close"},
            retries=False,
            timeout=timeout_s,
        )
    except urllib3.exceptions.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return "" if response.status == 200 else http_words(response.status, response.data)


def _grpc(call: Call, ports: Ports, timeout_s: float) -> str:
    with open_channel(ports) as channel:
        try:
            channel.unary_unary(call.path)(call.body, timeout=timeout_s)
        except grpc.RpcError as error:
            return grpc_words(error)
    return ""
