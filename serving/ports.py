"""The three ports of a server, and whether they can be had."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from trimaran.errors import TrimaranError

__all__ = ["Ports", "free_ports", "require_free"]


@dataclass(frozen=True)
class Ports:
    """Where a server listens."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002


def free_ports(host: str = "127.0.0.1") -> Ports:
    """Three ports that nobody listens on at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for item in sockets:
            item.bind((host, 0))
        return Ports(host, *(item.getsockname()[1] for item in sockets))


def require_free(ports: Ports) -> None:
    """Raise `TrimaranError` naming the first port that is taken, and the option to change it."""
    numbers = {"http": ports.http, "grpc": ports.grpc, "metrics": ports.metrics}
    for name, number in numbers.items():
        if not 0 < number < 65536:
            raise TrimaranError(f"--{name}-port is {number}; a port lies between 1 and 65535")
        if list(numbers.values()).count(number) > 1:
            raise TrimaranError(f"--{name}-port {number} is given twice; each needs its own")
        with socket.socket() as item:
            item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                item.bind((ports.host, number))
            except OSError as error:
                raise TrimaranError(
                    f"{name} port {number} on {ports.host} cannot be used: {error.strerror}; free "
                    f"it, or choose another with --{name}-port"
                ) from error
