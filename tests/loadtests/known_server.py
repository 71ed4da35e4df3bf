"""An HTTP server whose latency is known: `known_server.py DELAY_S STALL_AT_S STALL_S COUNT`.

Each answer takes the delay. From `STALL_AT_S` after the first request on, none is given for
`STALL_S`. With a count above 0, the process ends by itself after so many. It prints its port.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time


def main() -> None:
    delay_s, stall_at_s, stall_s = map(float, sys.argv[1:4])
    last = int(sys.argv[4])
    answered = itertools.count(1)
    began: list[float] = []

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(1 << 16):
            now = time.perf_counter()
            if not began:
                began.append(now)
            ready = now + delay_s
            stalled = began[0] + stall_at_s
            if stalled <= ready < stalled + stall_s:
                ready = stalled + stall_s
            time.sleep(max(0.0, ready - time.perf_counter()))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            if next(answered) == last:
                os._exit(0)

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
