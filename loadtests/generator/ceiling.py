"""What the generator itself can carry: its requests against an endpoint that does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from loadtests.generator.engine import Endpoint, closed_loop
from trimaran.system.errors import TrimaranError

__all__ = ["Ceiling", "empty_endpoint", "generator_ceiling"]

_CONNECTIONS = 16


@dataclass(frozen=True)
class Ceiling:
    """How fast the generator is where nobody makes it wait."""

    rate: float
    """Requests per second."""
    cpu_s: float
    """The generator's CPU seconds per request."""


def generator_ceiling(
    endpoint: Endpoint, protocol: Literal["http", "grpc"], seconds: float = 0.5
) -> Ceiling:
    """Send the endpoint's own requests to one that does nothing, as fast as they go."""
    with empty_endpoint(protocol) as address:
        outcome = closed_loop(
            replace(endpoint, address=address), connections=_CONNECTIONS, seconds=seconds
        )
    if outcome.interrupted:
        raise KeyboardInterrupt
    if not outcome.good.all() or outcome.broken:
        raise TrimaranError(f"the empty endpoint failed: {outcome.broken or outcome.refusal}")
    answered = int(np.count_nonzero(outcome.good))
    return Ceiling(answered / outcome.wall_s, outcome.cpu_s / answered)


@contextmanager
def empty_endpoint(protocol: Literal["http", "grpc"]) -> Iterator[tuple[str, int]]:
    """The address of an endpoint that only answers, in a process of its own, for the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "loadtests.generator.empty", protocol],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # a terminal's Ctrl-C is for the generator
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdecimal():
            raise TrimaranError("the empty endpoint did not start")
        yield "127.0.0.1", int(line)
    finally:
        process.communicate("")
