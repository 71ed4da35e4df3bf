"""A gateway and the server behind it, as the two sides of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loadtests.bench.target import Target
from loadtests.subject import Service, read_statistics
from trimaran.system.endpoint import Endpoint, host_and_port
from trimaran.system.errors import TrimaranError
from trimaran.system.listeners import listening_process

__all__ = ["in_front_of", "unseen"]


def in_front_of(server: Service, gateway: Endpoint, target: Target) -> Target:
    """A target that is asked through a gateway, named by it.

    Its CPU is that of both processes, if the gateway is one of this machine.
    """
    named = replace(target, name=f"{target.name} at {gateway.url()}")
    process = listening_process(host_and_port(gateway.http)[1]) if gateway.is_local else None
    if process is None or server.pid is None:
        return named
    return replace(named, pid=server.pid, gateway_pid=process)


def unseen(target: Target) -> Iterator[str]:
    """A line for each figure that cannot be read from here."""
    if target.control is None:
        return
    if target.pid is None:
        yield f"{target.name}: the server's CPU is not known here, and is left out"
    try:
        read_statistics(target.control, target.models)
    except TrimaranError as error:
        yield f"{target.name}: Triton's own times are left out: {error}"
