"""Unary gRPC over HTTP/2 on one connection, one call at a time, without a general HTTP/2 stack.

Headers are the same for every call, so they are encoded once, without the dynamic table. Only the
frames of an answer are read: a unary call that succeeds has a DATA frame, one that fails has only
trailers. Flow control is kept in both directions.
"""

from __future__ import annotations

import struct

__all__ = ["GrpcCalls", "grpc_message"]

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_WINDOW_STEP = 2**29
_FRAME = 16_384
_POST, _SCHEME_HTTP = 0x83, 0x86  # entries of HPACK's static table


def grpc_message(message: bytes) -> bytes:
    """A serialized protobuf message with gRPC's prefix: not compressed, and its length."""
    return b"\0" + struct.pack(">I", len(message)) + message


class GrpcCalls:
    """The client's side of one connection to `authority`, for the method at `path`."""

    refusal = "the gRPC call was refused"

    def __init__(self, authority: str, path: str) -> None:
        self._block = _header_block(authority, path)
        settings = struct.pack(">HIHI", 2, 0, _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)  # 2: no push
        self.greeting = (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW))
        )
        self._stream = -1
        self._buffer = b""
        self._received = 0
        self._connection_window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW
        self._initial_window = _DEFAULT_WINDOW
        self._rest = b""
        self._answered = False

    def send(self, message: bytes) -> bytes:
        """What to write for a message that was prepared by `grpc_message`."""
        self._stream += 2
        self._stream_window = self._initial_window
        self._answered = False
        self._rest = message
        return _frame(_HEADERS, _END_HEADERS, self._stream, self._block) + self._body()

    def feed(self, data: bytes) -> tuple[bool | None, bytes]:
        """Whether the call succeeded, or `None` while it runs; and what to write now."""
        buffer = self._buffer + data if self._buffer else data
        reply, done, at = b"", None, 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at - 9 < length:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big") & 0x7FFFFFFF
            start, at = at + 9, at + 9 + length
            mine = stream == self._stream
            if kind == _DATA:
                self._received += length
                self._answered = self._answered or (mine and length > 0)
            if kind in (_DATA, _HEADERS):
                if flags & _END_STREAM and mine:
                    done = self._answered
            elif kind == _RST:
                done = False if mine else done
            elif kind == _WINDOW:
                self._widen(stream, int.from_bytes(buffer[start : start + 4], "big") & 0x7FFFFFFF)
            elif kind == _SETTINGS and not flags & _ACK:
                self._read_settings(buffer[start:at])
                reply += _frame(_SETTINGS, _ACK, 0)
            elif kind == _PING and not flags & _ACK:
                reply += _frame(_PING, _ACK, 0, buffer[start:at])
            elif kind == _GOAWAY:
                raise ConnectionResetError("the server ends the connection")
        self._buffer = buffer[at:]
        if self._received > _WINDOW_STEP:
            reply += _frame(_WINDOW, 0, 0, struct.pack(">I", self._received))
            self._received = 0
        if self._rest and done is None:
            reply += self._body()
        return done, reply

    def _body(self) -> bytes:
        """As much of the message as the server has room for."""
        out = []
        while self._rest:
            room = min(self._connection_window, self._stream_window, _FRAME)
            if room <= 0:
                break
            part, self._rest = self._rest[:room], self._rest[room:]
            self._connection_window -= len(part)
            self._stream_window -= len(part)
            out.append(_frame(_DATA, 0 if self._rest else _END_STREAM, self._stream, part))
        return b"".join(out)

    def _widen(self, stream: int, more: int) -> None:
        if stream == 0:
            self._connection_window += more
        elif stream == self._stream:
            self._stream_window += more

    def _read_settings(self, payload: bytes) -> None:
        for place in range(0, len(payload), 6):
            name, value = struct.unpack(">HI", payload[place : place + 6])
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._initial_window
                self._initial_window = value


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header_block(authority: str, path: str) -> bytes:
    """HPACK without indexing: literal names and values, and the static table where it has both."""
    block = bytes([_POST, _SCHEME_HTTP])
    for name, value in (
        (":path", path),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ):
        block += b"\0" + _literal(name) + _literal(value)
    return block


def _literal(value: str) -> bytes:
    """A string with its length as HPACK writes it: seven bits, then groups of seven."""
    raw = value.encode()
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest, encoded = len(raw) - 127, bytearray([127])
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    encoded.append(rest)
    return bytes(encoded) + raw
