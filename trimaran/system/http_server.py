"""A small HTTP server for programs of this machine and for its user's browser.

It answers no page of another site: a browser names the site that it asks in `Host`, and the page
that has it ask in `Origin`. A name that another site points to this machine (DNS rebinding) is not
one of this machine's. No answer allows another site to read it (CORS).
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

__all__ = ["MOST_BYTES", "Reply", "Request", "is_foreign", "is_loopback", "length_of", "serving"]

MOST_BYTES = 1 << 20
"""The longest body of a request."""

_SILENCE_S = 10.0
"""After which a connection is closed that sends nothing."""


@dataclass(frozen=True)
class Request:
    """A request: `method` is `GET` or `POST`, `path` is without its query."""

    method: str
    path: str
    accept: str = ""
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """An answer; one without a body says what its status means."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def serving(host: str, port: int, answer: Callable[[Request], Reply]) -> Iterator[None]:
    """Answer requests during the block, each in a thread of its own.

    Raises `OSError` if the port cannot be listened to.
    """

    class Handler(_Handler):
        listens_on = host

        def answer(self, request: Request) -> Reply:
            return answer(request)

    server = _Server((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def is_foreign(listens_on: str, hosts: list[str], origins: list[str]) -> bool:
    """Whether a request is for, or from, another site; the arguments are its headers' values.

    On loopback a host is loopback too. On another address it is any address, which no site can
    take as its name, or the name of this machine.
    """
    if len(hosts) != 1 or not _is_own(listens_on, hosts[0]):
        return True
    return any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins)


def length_of(lengths: list[str]) -> int | None:
    """The length of a body in bytes by its headers' values, or None for one that is no length."""
    if not lengths:
        return 0
    one = lengths[0] if len(set(lengths)) == 1 else ""
    # `int` also takes signs, underscores and other alphabets, and very many digits slowly.
    return int(one) if one.isascii() and one.isdigit() and len(one) < 20 else None


def _is_own(listens_on: str, host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    loopback = is_loopback(listens_on)
    try:
        return ipaddress.ip_address(name).is_loopback or not loopback
    except ValueError:
        own = {"localhost"} if loopback else {"localhost", listens_on, *_names()}
        return name in own


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's alone; other names are not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names() -> set[str]:
    return {socket.gethostname().lower(), socket.getfqdn().lower()}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for a client that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Refuses what is foreign or too long before it is answered."""

    timeout = _SILENCE_S
    listens_on = ""

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, *_: object) -> None:
        """Nothing: requests are not logged."""

    def _respond(self) -> None:
        length = length_of(self.headers.get_all("Content-Length", []))
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        if length is None or "Transfer-Encoding" in self.headers:
            self._send(Reply(HTTPStatus.BAD_REQUEST))
            return
        if length > MOST_BYTES:
            self._send(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        # Also where it is refused: a client may lose the answer to a body that is not read.
        body = self.rfile.read(length)
        if is_foreign(self.listens_on, hosts, origins):
            self._send(Reply(HTTPStatus.FORBIDDEN))
            return
        path, accept = self.path.partition("?")[0], self.headers.get("Accept", "")
        self._send(self.answer(Request(self.command, path, accept, body)))

    def _send(self, reply: Reply) -> None:
        body = reply.body or f"{HTTPStatus(reply.status).phrase}\n".encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
