"""An endpoint that only answers: `python -m loadtests.generator.empty http|grpc`.

The rate that a generator reaches with it is the generator's ceiling. It prints its port, and ends
with its standard input.
"""

from __future__ import annotations

import select
import socket
import struct
import sys

__all__: list[str] = []

_READ_BYTES = 1 << 18
_HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_GRPC_GREETING = (
    b"\0\0\x06\x04\0\0\0\0\0" + struct.pack(">HI", 4, 2**31 - 1)  # SETTINGS: streams' window
    + b"\0\0\x04\x08\0\0\0\0\0" + struct.pack(">I", 2**31 - 1 - 65_535)  # the connection's window
)  # fmt: skip
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_DATA, _END_STREAM = 0, 1


class _Http:
    def __init__(self) -> None:
        self.greeting = b""
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


class _Grpc:
    def __init__(self) -> None:
        self.greeting = _GRPC_GREETING
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
            if buffer[at + 3] == _DATA and buffer[at + 4] & _END_STREAM:
                stream = buffer[at + 5 : at + 9]
                answer = (
                    b"\0\0\x01\x01\x04" + stream + b"\x88"  # HEADERS: status 200
                    + b"\0\0\x05\0\0" + stream + b"\0\0\0\0\0"  # DATA: an empty message
                    + b"\0\0\x0f\x01\x05" + stream + b"\0\x0bgrpc-status\x010"  # the trailers
                )  # fmt: skip
            at += 9 + length
        self._buffer = buffer[at:]
        return answer


def _serve(protocol: type[_Http] | type[_Grpc]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    epoll.register(sys.stdin.fileno(), select.EPOLLIN)
    connections: dict[int, tuple[socket.socket, _Http | _Grpc]] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == sys.stdin.fileno():
                return
            if fd == listener.fileno():
                connection = listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                state = protocol()
                connection.sendall(state.greeting)
                connections[connection.fileno()] = (connection, state)
                epoll.register(connection.fileno(), select.EPOLLIN)
                continue
            connection, state = connections[fd]
            try:
                data = connection.recv(_READ_BYTES)
            except ConnectionResetError:
                data = b""
            if not data:
                epoll.unregister(fd)
                connection.close()
                del connections[fd]
                continue
            answer = state.feed(data)
            if answer:
                connection.sendall(answer)


if __name__ == "__main__":
    _serve(_Http if sys.argv[1] == "http" else _Grpc)
