"""A target that is asked through a gateway, beside the server behind it."""

from __future__ import annotations

from dataclasses import replace

from loadtests.bench.target import Target
from loadtests.subject import Service
from trimaran.system.endpoint import Endpoint, host_and_port
from trimaran.system.listeners import listening_process

__all__ = ["in_front_of"]


def in_front_of(server: Service, gateway: Endpoint, target: Target) -> Target:
    """A target that is asked through a gateway, named by it.

    Its CPU is that of both processes, if the gateway is one of this machine.
    """
    named = replace(target, name=f"{target.name} at {gateway.url()}")
    process = listening_process(host_and_port(gateway.http)[1]) if gateway.is_local else None
    if process is None or server.pid is None:
        return named
    return replace(named, pid=server.pid, gateway_pid=process)
