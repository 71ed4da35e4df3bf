"""Takes the copies of requests and of live's answers that the gateway sends, at a Unix socket.

    with receiving(lambda copied: queue.put_nowait(copied)) as socket:
        ...

The gateway (`trimaran/gateway/lua/shadow.lua`) does not wait for what is said here. A copy holds no
header of the client's but the length of the JSON in a body.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal

from trimaran.system.files import temporary_directory
from trimaran.system.http_server import length_of

__all__ = ["MOST_COPIED", "Copied", "Kind", "Message", "receiving"]

MOST_COPIED = 2 << 20
"""Bytes of a request, or of an answer, that is copied."""

Kind = Literal["predict", "infer", "call"]
_KINDS: tuple[Kind, ...] = ("predict", "infer", "call")
_SILENCE_S = 60.0


@dataclass(frozen=True)
class Message:
    """A request or an answer, without its headers."""

    body: bytes = field(repr=False)
    json_bytes: int | None = None
    """How many bytes of it are JSON, where others follow them (KServe's binary extension)."""


@dataclass(frozen=True)
class Copied:
    """A request, and what is live answered to it."""

    kind: Kind
    """Plain REST, KServe or gRPC."""
    path: str
    id: str
    status: int
    """Of HTTP, or of gRPC."""
    live_s: float
    """From when the gateway had the request to when it had the answer."""
    request: Message
    answer: Message


@contextmanager
def receiving(take: Callable[[Copied], None]) -> Iterator[Path]:
    """Give each copy to `take`, on other threads, during the block. It has the socket's path."""

    class Handler(_Handler):
        def take(self, copied: Copied) -> None:
            take(copied)

    with temporary_directory(for_sockets=True) as folder:
        path = folder / "copies"
        server = _Server(str(path), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True, name="copies")
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a copy that cannot be read, or whose sender went away, is not compared."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S

    def take(self, copied: Copied) -> None:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = length_of(self.headers.get_all("Content-Length", []))
        if length is None or length > 2 * MOST_COPIED:
            self.close_connection = True
            return
        body = self.rfile.read(length)
        self.send_response_only(HTTPStatus.NO_CONTENT)
        self.end_headers()
        self.take(self._copied(body))

    def _copied(self, body: bytes) -> Copied:
        headers = self.headers
        size = int(headers["x-request-bytes"])
        (kind,) = (each for each in _KINDS if each == headers["x-kind"])
        return Copied(
            kind=kind,
            path=self.path,
            id=headers["x-id"] or "",
            status=int(headers["x-status"]),
            live_s=int(headers["x-us"]) / 1e6,
            request=Message(body[:size], length_of_json(headers["x-request-json"])),
            answer=Message(body[size:], length_of_json(headers["x-answer-json"])),
        )

    def log_message(self, *_: object) -> None:
        """Nothing: copies are not logged."""


def length_of_json(text: str | None) -> int | None:
    """The number in a header that says how much of a body is JSON; None for one without it."""
    return length_of([text]) if text else None
