"""HTTP/2 on one connection, one exchange at a time, without a general HTTP/2 stack.

Headers are the same for every request of a kind, so they are encoded once, without the dynamic
table; the server is told to use none either. Flow control is kept in both directions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

__all__ = ["Http2", "HttpCalls", "header_block", "http2_request"]

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_TABLE_SIZE, _PUSH, _INITIAL_WINDOW_SIZE = 1, 2, 4
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_WINDOW_STEP = 2**29
_FRAME = 16_384
_EXCERPT = 500

_GET, _POST, _SCHEME = 0x82, 0x83, {"http": 0x86, "https": 0x87}
_STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
"""Entries of HPACK's static table."""
_NO_TABLE = 0x20
"""A block's first byte, where the sender stops using the dynamic table."""


class Http2:
    """The client's side of one connection: frames, windows, and the end of an answer."""

    refusal = ""

    def __init__(self) -> None:
        settings = ((_TABLE_SIZE, 0), (_PUSH, 0), (_INITIAL_WINDOW_SIZE, _LARGEST_WINDOW))
        self.greeting = (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings))
            + _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW))
        )
        self.closing = False
        self._stream = -1
        self._waits = False
        self._buffer = b""
        self._received = 0
        self._connection_window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW
        self._initial_window = _DEFAULT_WINDOW
        self._body, self._at = b"", 0

    def begin(self, block: bytes, body: bytes, at: int = 0) -> bytes:
        """What to write for a request with encoded headers, and the rest of `body` from `at`."""
        self._stream += 2
        self._stream_window = self._initial_window
        self._body, self._at = body, at
        self._waits = True
        last = 0 if at < len(body) else _END_STREAM
        return _frame(_HEADERS, _END_HEADERS | last, self._stream, block) + self._more()

    def feed(self, data: bytes) -> tuple[bool | None, bytes]:
        """Whether the answer is good, or `None` while it is incomplete; and what to write now."""
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
                if mine and length:
                    self.on_data(buffer[start:at])
            elif kind == _HEADERS and mine:
                self.on_headers(buffer[start:at])
            if kind in (_DATA, _HEADERS):
                if flags & _END_STREAM and mine:
                    done = self.is_good()
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
                self._end(int.from_bytes(buffer[start : start + 4], "big") & 0x7FFFFFFF)
        self._buffer = buffer[at:]
        self._waits = self._waits and done is None
        if self._received > _WINDOW_STEP:
            reply += _frame(_WINDOW, 0, 0, struct.pack(">I", self._received))
            self._received = 0
        if self._at < len(self._body) and done is None:
            reply += self._more()
        return done, reply

    def on_headers(self, block: bytes) -> None:
        """The headers of the answer, or its trailers."""

    def on_data(self, data: bytes) -> None:
        """A part of the answer's body."""

    def is_good(self) -> bool:
        """Whether the answer, which is complete, is a success."""
        raise NotImplementedError

    def _more(self) -> bytes:
        """As much of the body as the server has room for."""
        out = []
        while self._at < len(self._body):
            room = min(self._connection_window, self._stream_window, _FRAME)
            if room <= 0:
                break
            part = self._body[self._at : self._at + room]
            self._at += len(part)
            self._connection_window -= len(part)
            self._stream_window -= len(part)
            last = _END_STREAM if self._at == len(self._body) else 0
            out.append(_frame(_DATA, last, self._stream, part))
        return b"".join(out)

    def _end(self, last: int) -> None:
        """The server still answers streams up to `last`."""
        self.closing = True
        if not self._waits or self._stream > last:
            raise ConnectionResetError("the server ends the connection")

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


class HttpCalls(Http2):
    """Plain HTTP requests; an answer is good if its status is 200."""

    def __init__(self) -> None:
        super().__init__()
        self._status: int | None = None
        self._words = b""

    def send(self, request: bytes) -> bytes:
        """What to write for a request that was prepared by `http2_request`."""
        self._status, self._words = None, b""
        end = 4 + int.from_bytes(request[:4], "big")
        return self.begin(request[4:end], request, end)

    def on_headers(self, block: bytes) -> None:
        """Read the status, which comes first."""
        if self._status is None:
            at = 1 if block[:1] == bytes([_NO_TABLE]) else 0
            self._status = _STATUS.get(block[at] if at < len(block) else 0, 0)

    def on_data(self, data: bytes) -> None:
        """Keep what a refusal says."""
        if self._status != 200 and len(self._words) < _EXCERPT:
            self._words += data

    def is_good(self) -> bool:
        """Whether the status is 200; any that is not in the static table is none."""
        if self._status == 200:
            return True
        status = f"status {self._status}" if self._status else "a status that is no success"
        self.refusal = f"{status}: {self._words.decode(errors='replace')}"[:_EXCERPT]
        return False


def http2_request(
    scheme: str, authority: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> bytes:
    """A complete request, ready for `HttpCalls`: `POST` with a body, `GET` without one.

    The default type of a body is JSON; `headers` may name another.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if body is not None:
        given = {"content-type": "application/json", "content-length": str(len(body)), **given}
    method = "GET" if body is None else "POST"
    block = header_block(method, scheme, authority, path, given.items())
    return struct.pack(">I", len(block)) + block + (body or b"")


def header_block(
    method: str, scheme: str, authority: str, path: str, headers: Iterable[tuple[str, str]]
) -> bytes:
    """HPACK without indexing: literal names and values, and the static table where it has both."""
    block = bytes([_GET if method == "GET" else _POST, _SCHEME[scheme]])
    for name, value in ((":path", path), (":authority", authority), *headers):
        block += b"\0" + _literal(name) + _literal(value)
    return block


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


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
