"""One connection of the generator, plain or by TLS, that never waits once the clock runs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial

from loadtests.generator.traffic import Tls, Traffic

__all__ = ["Connection"]

_READ_BYTES = 1 << 18
_CONNECT_S = 5.0


class Connection:
    """A socket, its codec, and the request that it carries.

    With `wait` the handshake of TLS is done at once. Without it, `handshaking` says that `shake`
    must be called when bytes come, and until then what is written is `pending`.
    Raises `OSError` where the server takes no connection.
    """

    __slots__ = (
        "codec",
        "encrypted",
        "handshaking",
        "index",
        "pending",
        "receive",
        "send",
        "socket",
        "tls",
        "writing",
    )

    receive: Callable[[], bytes]
    """What has come; empty at the end. Raises `BlockingIOError` where nothing has."""
    send: Callable[[bytes], int]
    """How many bytes of the given were taken. May raise `BlockingIOError` for none."""

    def __init__(self, traffic: Traffic, *, wait: bool) -> None:
        self.codec = traffic.codec()
        self.index = -1
        self.pending = b""
        self.writing = False
        self.handshaking = False
        self.encrypted: ssl.SSLSocket | None = None
        self.tls = traffic.tls
        self.socket = socket.create_connection(traffic.address, timeout=_CONNECT_S)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if traffic.tls is None:
                self.receive = partial(self.socket.recv, _READ_BYTES)
                self.send = self.socket.send
            else:
                self._encrypt(traffic.tls, wait)
            if self.handshaking:
                self.pending = self.codec.greeting
            elif self.codec.greeting:
                self.socket.sendall(self.codec.greeting)
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)
        if self.handshaking:
            self.shake()

    def shake(self) -> bool:
        """Go on with the handshake; whether it is done. Raises `OSError` where it fails."""
        if self.encrypted is None:
            return True
        try:
            self.encrypted.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.handshaking = False
        self._require_protocol(self.encrypted)
        return True

    def _encrypt(self, tls: Tls, wait: bool) -> None:
        encrypted = tls.context.wrap_socket(
            self.socket, server_hostname=tls.host, do_handshake_on_connect=False
        )
        self.socket = self.encrypted = encrypted
        self.receive = partial(_receive, encrypted)
        self.send = partial(_send, encrypted)
        self.handshaking = not wait
        if wait:
            encrypted.do_handshake()
            self._require_protocol(encrypted)

    def _require_protocol(self, encrypted: ssl.SSLSocket) -> None:
        wanted = self.tls.protocol if self.tls else ""
        if wanted == "h2" and encrypted.selected_alpn_protocol() != wanted:
            raise ConnectionError("the server speaks no HTTP/2")


def _receive(encrypted: ssl.SSLSocket) -> bytes:
    """The records that are read; epoll tells of those that are not."""
    try:
        data = encrypted.recv(_READ_BYTES)
        while encrypted.pending():
            data += encrypted.recv(_READ_BYTES)
    except ssl.SSLWantReadError:
        raise BlockingIOError from None
    return data


def _send(encrypted: ssl.SSLSocket, data: bytes) -> int:
    """OpenSSL takes a record of 16 KB at a time."""
    wrote, rest = 0, memoryview(data)
    try:
        while wrote < len(data):
            wrote += encrypted.send(rest[wrote:])
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return wrote
    return wrote
