"""The generator's ceiling: how fast it sends to an endpoint that only answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from loadtests.generator.engine import Traffic, closed_loop
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import PIPE, Child

__all__ = ["Ceiling", "empty_endpoint", "generator_ceiling"]

_CONNECTIONS = 16


@dataclass(frozen=True)
class Ceiling:
    """How fast the generator is without a server to wait for."""

    rate: float
    """Requests per second."""
    cpu_s: float
    """The generator's CPU seconds per request."""


def generator_ceiling(
    traffic: Traffic, protocol: Literal["http", "grpc"], seconds: float = 0.5
) -> Ceiling:
    """Send the requests of `traffic` to an endpoint that only answers, as fast as possible."""
    with empty_endpoint(protocol) as address:
        outcome = closed_loop(
            replace(traffic, address=address), connections=_CONNECTIONS, seconds=seconds
        )
    if outcome.interrupted:
        raise KeyboardInterrupt
    if not outcome.good.all() or outcome.broken:
        raise TrimaranError(f"the empty endpoint failed: {outcome.broken or outcome.refusal}")
    answered = int(np.count_nonzero(outcome.good))
    return Ceiling(answered / outcome.wall_s, outcome.cpu_s / answered)


@contextmanager
def empty_endpoint(protocol: Literal["http", "grpc"]) -> Iterator[tuple[str, int]]:
    """The address of an endpoint that only answers, in a child process, for the block."""
    command = [sys.executable, "-P", "-m", "loadtests.generator.empty", protocol]
    with Child(command, stdin=PIPE, stdout=PIPE) as process:
        line = process.stdout.readline() if process.stdout else b""
        if not line.strip().isdigit():
            raise TrimaranError("the empty endpoint did not start")
        yield "127.0.0.1", int(line)
