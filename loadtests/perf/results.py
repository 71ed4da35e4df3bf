"""What perf_analyzer measured, by its CSV and its own words."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimaran.system.errors import TrimaranError

__all__ = ["Results", "parse_results", "reason"]

_RATE = "Inferences/Second"
_PERCENTILE = re.compile(r"p(\d+) latency")
_REQUESTS = re.compile(r"^\s*Request count: (\d+)", re.MULTILINE)
_SENT_RATE = re.compile(r"Avg send request rate: ([\d.]+)")
_DELAYED = re.compile(r"([\d.]+)% of the requests were delayed")
_PASS = re.compile(r"^\s*Pass \[\d+\] throughput: ([\d.e+]+)", re.MULTILINE)
_THREAD = re.compile(r"^Thread \[\d+\] had error: ")


@dataclass(frozen=True)
class Results:
    """One run."""

    requests: int
    """All were answered: perf_analyzer ends at the first that is not."""
    rows_per_s: float
    latency_ms: Mapping[str, float]
    """`p50`, `p90`, `p95` and `p99`, from sending to the answer."""
    mean_ms: float | None
    sent_rate: float | None
    """Requests that it sent per second, where it fell behind; else `None`."""
    delayed: float
    """The share of requests that it sent at all late, 0 to 1; it tells none below 1 %."""
    windows: Sequence[float]
    """Rows per second in each window."""


def parse_results(table: str, output: str) -> Results:
    """Read the CSV `table` of a single run and what was printed.

    Raises `TrimaranError` naming what is missing.
    """
    lines = list(csv.DictReader(table.splitlines()))
    requests = _REQUESTS.search(output)
    if len(lines) != 1 or _RATE not in lines[0] or requests is None:
        raise TrimaranError(
            f"perf_analyzer's report cannot be read: {table[:200].strip() or 'it is empty'}"
        )
    line = lines[0]
    try:
        latency_ms = {
            f"p{found[1]}": float(value) / 1e3
            for name, value in line.items()
            if name and (found := _PERCENTILE.fullmatch(name.strip()))
        }
        mean = line.get("Avg latency")
        sent, delayed = _SENT_RATE.search(output), _DELAYED.search(output)
        return Results(
            requests=int(requests[1]),
            rows_per_s=float(line[_RATE]),
            latency_ms=latency_ms,
            mean_ms=float(mean) / 1e3 if mean else None,
            sent_rate=float(sent[1]) if sent else None,
            delayed=float(delayed[1]) / 100 if delayed else 0.0,
            windows=[float(value) for value in _PASS.findall(output)],
        )
    except (ValueError, TypeError) as error:
        raise TrimaranError(f"perf_analyzer's report cannot be read: {error}") from error


def reason(errors: str, output: str) -> str:
    """Why perf_analyzer failed, in its own words: one sentence of them."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    threads = [line for line in lines if _THREAD.match(line)]
    named = [line for line in lines if line.startswith("error: ")]
    found = threads or named or lines or output.strip().splitlines()[-1:] or ["it said nothing"]
    return _THREAD.sub("", found[0]).removeprefix("error: ")
