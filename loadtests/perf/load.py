"""A load on a model as perf_analyzer takes it: its arguments, and its file of rows."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from loadtests.payloads import Row
from trimaran.serving.access import grpc_headers, http_headers
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError

__all__ = ["WINDOWS", "Load", "arguments", "input_data"]

WINDOWS = 3
"""perf_analyzer reports three windows together."""

_HTTPS = (
    *("--ssl-https-verify-peer", "1"),
    *("--ssl-https-verify-host", "2"),
    "--ssl-https-ca-certificates-file",
)
_GRPC_TLS = ("--ssl-grpc-use-ssl", "true", "--ssl-grpc-root-certifications-file")
_STRETCH = 1.2
"""It makes each window longer than requested, by this factor."""
_ANY_SPREAD_PERCENT = 100_000
"""How much the windows may differ. By default it measures until three windows are within 10 %, and
stops silently after ten: so it reports only the calm times of a noisy machine."""


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
        """A description of the load."""
        if self.rate is not None:
            return f"{self.rate:,.4g} requests/s"
        return f"{self.connections} connection{'s' if self.connections > 1 else ''}"


def arguments(
    load: Load,
    endpoint: Endpoint,
    data: Path,
    csv: Path,
    secret: str = "",
    roots: Path | None = None,
) -> Sequence[str]:
    """perf_analyzer's arguments: exactly three windows, however much they differ.

    Without the end of the range it opens at most 16 connections. A rate is sent asynchronously,
    since otherwise at most 4 requests are in flight. The `secret` opens shared memory; `roots` is a
    file of the certificates that are trusted, for an endpoint with TLS.
    """
    window_ms = max(round(load.seconds * 1e3 / WINDOWS / _STRETCH), 1)
    of_http = load.protocol == "http"
    plain = endpoint.http if of_http else endpoint.grpc
    address = endpoint.url() if of_http and endpoint.secure else plain
    found = ["-m", load.model, "-i", load.protocol, "-u", address]
    if endpoint.secure:
        found += [*(_HTTPS if of_http else _GRPC_TLS), str(roots)]
    headers = dict(endpoint.headers)
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
        headers.update(http_headers(secret) if of_http else grpc_headers(secret))
    found += [part for name, value in headers.items() for part in ("-H", f"{name}:{value}")]
    found += ["--measurement-mode", "time_windows", "--measurement-interval", str(window_ms)]
    found += ["--max-trials", str(WINDOWS), "--stability-percentage", str(_ANY_SPREAD_PERCENT)]
    return [*found, "-f", str(csv), "--verbose-csv", "-v"]


def input_data(rows: Iterable[Row], *, batches: bool, batch: int = 1) -> str:
    """The text of the input file. perf_analyzer adds the batch axis, so each row is an entry.

    `batches` says whether the arrays have a batch axis, `batch` how many rows go into a request.
    Raises `UsageError` where rows do not fit into one batch.
    """
    entries = [_entry(row) for given in rows for row in (_split(given) if batches else [given])]
    if batch > 1 and len({tuple(sorted(_shapes(entry).items())) for entry in entries}) > 1:
        raise UsageError(
            "rows do not fit into one batch: their inputs or shapes differ; leave --batch out"
        )
    return json.dumps({"data": entries})


def _split(row: Row) -> list[dict[str, np.ndarray]]:
    return [
        {name: array[at] for name, array in row.items()}
        for at in range(min(len(array) for array in row.values()))
    ]


def _entry(row: Row) -> dict[str, Any]:
    return {
        name: {"b64": base64.b64encode(_raw(array)).decode(), "shape": list(np.shape(array))}
        for name, array in row.items()
    }


def _raw(array: np.ndarray) -> bytes:
    """A tensor as Triton takes it: little-endian; each text after its length in four bytes."""
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in array.reshape(-1).tolist())


def _shapes(entry: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item["shape"]) for name, item in entry.items()}
