"""An endpoint that only answers: `python -m loadtests.generator.empty http|http2|grpc [tls]`.

The rate that a generator reaches with it is the generator's ceiling. It prints its port, and ends
with its standard input.
"""

from __future__ import annotations

import datetime
import select
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Mapping

from trimaran.system.files import temporary_directory

__all__: list[str] = []

_READ_BYTES = 1 << 18
_HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_HTTP2_GREETING = (
    b"\0\0\x06\x04\0\0\0\0\0" + struct.pack(">HI", 4, 2**31 - 1)  # SETTINGS: streams' window
    + b"\0\0\x04\x08\0\0\0\0\0" + struct.pack(">I", 2**31 - 1 - 65_535)  # the connection's window
)  # fmt: skip
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_DATA, _HEADERS, _END_STREAM = 0, 1, 1


class _Http:
    greeting = b""

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0

    def feed(self, data: bytes) -> bytes:
        if self._missing > 0:
            self._missing -= len(data)
            return _HTTP_ANSWER if self._missing == 0 else b""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head, body = self._head[:end].lower(), len(self._head) - end - 4
        at = head.find(b"content-length:")
        stop = head.find(b"\r", at)
        length = int(head[at + 15 : stop if stop >= 0 else None]) if at >= 0 else 0
        self._head, self._missing = b"", length - body
        return _HTTP_ANSWER if self._missing == 0 else b""


class _Http2:
    greeting = _HTTP2_GREETING

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = _PREFACE

    def feed(self, data: bytes) -> bytes:
        buffer = self._buffer + data
        if self._skip:
            if len(buffer) < self._skip:
                self._buffer = buffer
                return b""
            buffer, self._skip = buffer[self._skip :], 0
        answer, at = b"", 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at - 9 < length:
                break
            if buffer[at + 3] in (_DATA, _HEADERS) and buffer[at + 4] & _END_STREAM:
                answer = self.answer(buffer[at + 5 : at + 9])
            at += 9 + length
        self._buffer = buffer[at:]
        return answer

    def answer(self, stream: bytes) -> bytes:
        return (
            b"\0\0\x01\x01\x04" + stream + b"\x88"  # HEADERS: status 200
            + b"\0\0\x02\0\x01" + stream + b"{}"  # DATA, the last
        )  # fmt: skip


class _Grpc(_Http2):
    def answer(self, stream: bytes) -> bytes:
        return (
            b"\0\0\x01\x01\x04" + stream + b"\x88"  # HEADERS: status 200
            + b"\0\0\x05\0\0" + stream + b"\0\0\0\0\0"  # DATA: an empty message
            + b"\0\0\x0f\x01\x05" + stream + b"\0\x0bgrpc-status\x010"  # the trailers
        )  # fmt: skip


_PROTOCOLS: Mapping[str, Callable[[], _Http | _Http2]] = {
    "http": _Http,
    "http2": _Http2,
    "grpc": _Grpc,
}


def _serve(protocol: Callable[[], _Http | _Http2], tls: ssl.SSLContext | None) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    epoll.register(sys.stdin.fileno(), select.EPOLLIN)
    connections: dict[int, tuple[socket.socket, _Http | _Http2]] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == sys.stdin.fileno():
                return
            if fd == listener.fileno():
                connection = listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                    connection.setblocking(False)
                state = protocol()
                connection.sendall(state.greeting)
                connections[connection.fileno()] = (connection, state)
                epoll.register(connection.fileno(), select.EPOLLIN)
                continue
            connection, state = connections[fd]
            try:
                data = _received(connection)
            except ConnectionResetError:
                data = b""
            except ssl.SSLWantReadError:
                continue
            if not data:
                epoll.unregister(fd)
                connection.close()
                del connections[fd]
                continue
            answer = state.feed(data)
            if answer:
                connection.sendall(answer)


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(_READ_BYTES)
    while isinstance(connection, ssl.SSLSocket) and connection.pending():
        data += connection.recv(_READ_BYTES)
    return data


def _tls(alpn: str) -> ssl.SSLContext:
    """TLS with a certificate of its own, which nobody checks."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "empty endpoint")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with temporary_directory() as directory:
        file = directory / "both.pem"
        file.write_bytes(text)
        context.load_cert_chain(file)
    context.set_alpn_protocols([alpn])
    return context


if __name__ == "__main__":
    _serve(
        _PROTOCOLS[sys.argv[1]],
        _tls("http/1.1" if sys.argv[1] == "http" else "h2") if "tls" in sys.argv[2:] else None,
    )
