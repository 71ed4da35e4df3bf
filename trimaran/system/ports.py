"""The ports of a server and its supervisor, and whether they are free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from trimaran.system.errors import TrimaranError

__all__ = [
    "Ports",
    "free_ports",
    "is_own_address",
    "require_bindable",
    "require_free",
    "require_free_ports",
]


@dataclass(frozen=True)
class Ports:
    """The ports of a server, and of its supervisor's metrics."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002
    supervisor: int = 8003


def free_ports(host: str = "127.0.0.1") -> Ports:
    """Ports that are free at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for item in sockets:
            item.bind((host, 0))
        return Ports(host, *(item.getsockname()[1] for item in sockets))


def require_free(ports: Ports) -> None:
    """Raise `TrimaranError` that names the first port in use, and the option to change it."""
    require_free_ports(
        ports.host, {name: port for name, port in asdict(ports).items() if name != "host"}
    )


def require_free_ports(host: str, numbers: Mapping[str, int]) -> None:
    """The same for ports by the name of their option, without `--` and `-port`."""
    for name, number in numbers.items():
        if not 0 < number < 65536:
            raise TrimaranError(f"--{name}-port is {number}; a port is between 1 and 65535")
        if list(numbers.values()).count(number) > 1:
            raise TrimaranError(
                f"--{name}-port {number} is given twice; choose a different port for each"
            )
        require_bindable(host, number, f"{name} port", f"--{name}-port")


def is_own_address(host: str) -> bool:
    """Whether this machine can listen at a numeric address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as item:
        try:
            item.bind((host, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def require_bindable(host: str, number: int, what: str, option: str) -> None:
    """Raise `TrimaranError` where a port is in use; `option` is what chooses another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as item:
        item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            item.bind((host, number))
        except OSError as error:
            raise TrimaranError(
                f"{what} {number} on {host} cannot be used: {error.strerror}; free it, or "
                f"choose another with {option}"
            ) from error
