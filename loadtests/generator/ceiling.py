"""The generator's ceiling: how fast it sends to an endpoint that only answers."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from loadtests.generator.engine import closed_loop
from loadtests.generator.traffic import Tls, Traffic
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import PIPE, Child

__all__ = ["Ceiling", "Framing", "empty_endpoint", "generator_ceiling"]

_CONNECTIONS = 16

Framing = Literal["http", "http2", "grpc"]
"""HTTP/1.1, HTTP/2, or gRPC, which ends an answer in another way."""


@dataclass(frozen=True)
class Ceiling:
    """How fast the generator is without a server to wait for."""

    rate: float
    """Requests per second."""
    cpu_s: float
    """The generator's CPU seconds per request."""


def generator_ceiling(traffic: Traffic, framing: Framing, seconds: float = 0.5) -> Ceiling:
    """Send the requests of `traffic` to an endpoint that only answers, as fast as possible.

    By TLS if they go by TLS; the certificate is then not checked.
    """
    tls = traffic.tls
    with empty_endpoint(framing, encrypted=tls is not None) as address:
        there = replace(traffic, address=address, tls=_unchecked(tls.protocol) if tls else None)
        outcome = closed_loop(there, connections=_CONNECTIONS, seconds=seconds)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if not outcome.good.all() or outcome.broken:
        raise TrimaranError(f"the empty endpoint failed: {outcome.broken or outcome.refusal}")
    answered = int(np.count_nonzero(outcome.good))
    return Ceiling(answered / outcome.wall_s, outcome.cpu_s / answered)


@contextmanager
def empty_endpoint(framing: Framing, *, encrypted: bool = False) -> Iterator[tuple[str, int]]:
    """The address of an endpoint that only answers, in a child process, for the block."""
    command = [sys.executable, "-P", "-m", "loadtests.generator.empty", framing]
    with Child([*command, *(["tls"] * encrypted)], stdin=PIPE, stdout=PIPE) as process:
        line = process.stdout.readline() if process.stdout else b""
        if not line.strip().isdigit():
            raise TrimaranError("the empty endpoint did not start")
        yield "127.0.0.1", int(line)


def _unchecked(protocol: str) -> Tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return Tls(context, "localhost", protocol)
