"""Unary gRPC over HTTP/2 on one connection, one call at a time.

A unary call that succeeds has a DATA frame, one that fails has only trailers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from loadtests.generator.http2 import Http2, header_block

__all__ = ["GrpcCalls", "grpc_message"]

_NONE: Mapping[str, str] = MappingProxyType({})


def grpc_message(message: bytes) -> bytes:
    """A serialized protobuf message with gRPC's prefix: not compressed, and its length."""
    return b"\0" + struct.pack(">I", len(message)) + message


class GrpcCalls(Http2):
    """The client's side of one connection to `authority`, for the method at `path`."""

    refusal = "the gRPC call was refused"

    def __init__(
        self, authority: str, path: str, scheme: str = "http", headers: Mapping[str, str] = _NONE
    ) -> None:
        super().__init__()
        own = {"content-type": "application/grpc", "te": "trailers", **headers}
        self._block = header_block("POST", scheme, authority, path, own.items())
        self._answered = False

    def send(self, message: bytes) -> bytes:
        """What to write for a message that was prepared by `grpc_message`."""
        self._answered = False
        return self.begin(self._block, message)

    def on_data(self, data: bytes) -> None:
        """The call has a message, so it succeeded."""
        self._answered = True

    def is_good(self) -> bool:
        """Whether there was a message."""
        return self._answered
