"""Starting the server of known latency."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.traffic import Traffic

__all__ = ["connections", "known_server", "one_request"]

_PROGRAM = Path(__file__).with_name("known_server.py")


@contextmanager
def known_server(
    delay_s: float, *, stall_at_s: float = 0.0, stall_s: float = 0.0, count: int = 0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port."""
    arguments = map(str, (delay_s, stall_at_s, stall_s, count))
    process = subprocess.Popen(
        [sys.executable, str(_PROGRAM), *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def one_request(port: int) -> Traffic:
    """A single request, again and again."""
    return Traffic(("127.0.0.1", port), Http1, [http_request("localhost", "/", b"{}")])


def connections(port: int, pid: int | str = "self") -> int:
    """How many sockets that a process sees are connected to a port of this machine."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()
    return sum(f":{port:04X} 01" in line for line in lines)
