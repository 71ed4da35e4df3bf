"""HTTP/1.1 on one kept-open connection: a request's bytes, and when its answer is complete."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Http1", "http_request"]

_END = b"\r\n\r\n"
_EXCERPT = 500


def http_request(
    host: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None
) -> bytes:
    """A complete request, ready to send: `POST` with a body, `GET` without one.

    The default type of a body is JSON; `headers` may name another.
    """
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {host}"]
    given = dict(headers or {})
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
        given = {"Content-Type": "application/json", **given}
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join(lines).encode() + _END + (body or b"")


class Http1:
    """One exchange after another; an answer is good if its status is 200."""

    greeting = b""

    def __init__(self) -> None:
        self._buffer = b""
        self._missing: int | None = None
        """Missing bytes of the body; `None` until the headers are complete."""
        self._chunks: _Chunks | None = None
        self._good = False
        self.refusal = ""
        self.closing = False

    def send(self, request: bytes) -> bytes:
        """What to write for a request that was prepared by `http_request`."""
        return request

    def feed(self, data: bytes) -> tuple[bool | None, bytes]:
        """Whether the answer is good, or `None` while it is incomplete; and what to write now."""
        if self._missing is None and self._chunks is None:
            buffer = self._buffer + data if self._buffer else data
            end = buffer.find(_END)
            if end < 0:
                self._buffer = buffer
                return None, b""
            self._buffer = b""
            self._good = buffer[9:12] == b"200"
            data = buffer[end + 4 :]
            self._read_head(buffer[:end].lower())
            if not self._good:
                status = buffer[9 : buffer.find(b"\r")].decode(errors="replace")
                self.refusal = f"status {status}: "
        if not self._good:
            self.refusal = (self.refusal + data.decode(errors="replace"))[:_EXCERPT]
        if self._chunks is not None:
            complete = self._chunks.feed(data)
        else:
            self._missing = (self._missing or 0) - len(data)
            complete = self._missing <= 0
        if not complete:
            return None, b""
        self._missing = self._chunks = None
        return self._good, b""

    def _read_head(self, head: bytes) -> None:
        self.closing = b"\nconnection: close" in head
        at = head.find(b"\ncontent-length:")
        if at >= 0:
            stop = head.find(b"\r", at)
            self._missing = int(head[at + 16 : stop if stop >= 0 else None])
        elif b"\ntransfer-encoding: chunked" in head:
            self._chunks = _Chunks()
        else:
            self._missing = 0


class _Chunks:
    """Where a chunked body ends."""

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0
        """Bytes of the present chunk, with its line end, that are still missing."""

    def feed(self, data: bytes) -> bool:
        """Whether the last chunk and the empty line after it have come."""
        buffer = self._buffer + data
        while True:
            if len(buffer) < self._skip:
                self._skip -= len(buffer)
                self._buffer = b""
                return False
            buffer, self._skip = buffer[self._skip :], 0
            end = buffer.find(b"\r\n")
            if end < 0:
                break
            length = int(buffer[:end].partition(b";")[0], 16)
            if length == 0:
                if len(buffer) < end + 4:
                    break
                return True
            buffer, self._skip = buffer[end + 2 :], length + 2
        self._buffer = buffer
        return False
