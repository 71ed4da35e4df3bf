"""What load perf_analyzer is asked for, as its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimaran.system.ports import Ports

__all__ = ["WINDOWS", "Load", "arguments"]

WINDOWS = 3
"""perf_analyzer reports three windows together."""

_STRETCH = 1.2
"""It makes each window this much longer than it is asked to."""
_ANY_SPREAD_PERCENT = 100_000
"""How much the windows may differ. By default it measures until three are within 10 %, and without
a word of theirs after ten: so it reports the calm times of a noisy machine."""


@dataclass(frozen=True)
class Load:
    """One run. Either `rate`, requests per second at random times, or `connections`."""

    model: str
    version: str = ""
    protocol: Literal["http", "grpc"] = "http"
    connections: int = 1
    rate: float | None = None
    batch: int = 1
    seconds: float = 10.0
    shared_memory: bool = False

    @property
    def words(self) -> str:
        """The load in words."""
        if self.rate is not None:
            return f"{self.rate:,.4g} requests/s"
        return f"{self.connections} connection{'s' if self.connections > 1 else ''}"


def arguments(load: Load, ports: Ports, data: Path, csv: Path) -> Sequence[str]:
    """perf_analyzer's arguments: exactly three windows, however much they differ.

    The end of the range is given, without which it holds at most 16 connections; and a rate is sent
    asynchronously, without which at most 4 requests are on their way.
    """
    port = ports.http if load.protocol == "http" else ports.grpc
    window_ms = max(round(load.seconds * 1e3 / WINDOWS / _STRETCH), 1)
    found = ["-m", load.model, "-i", load.protocol, "-u", f"{ports.host}:{port}"]
    if load.version:
        found += ["-x", load.version]
    if load.rate is not None:
        found += ["--async", "--request-rate-range", f"{load.rate:g}:{load.rate:g}:1"]
        found += ["--request-distribution", "poisson"]
    else:
        found += ["--sync", "--concurrency-range", f"{load.connections}:{load.connections}:1"]
    found += ["-b", str(load.batch), "--input-data", str(data)]
    if load.shared_memory:
        found += ["--shared-memory", "system"]
    found += ["--measurement-mode", "time_windows", "--measurement-interval", str(window_ms)]
    found += ["--max-trials", str(WINDOWS), "--stability-percentage", str(_ANY_SPREAD_PERCENT)]
    return [*found, "-f", str(csv), "--verbose-csv", "-v"]
