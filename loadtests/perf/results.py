"""What perf_analyzer measured, from its CSV and its output, and the conclusions from it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.gates import Gate, Gates, evaluate
from loadtests.perf.load import Load
from trimaran.stats.latency import least_requests
from trimaran.system.errors import TrimaranError

__all__ = ["Results", "evaluate_results", "invalid_results", "parse_results", "reason"]

_RATE = "Inferences/Second"
_PERCENTILE = re.compile(r"p(\d+) latency")
_REQUESTS = re.compile(r"^\s*Request count: (\d+)", re.MULTILINE)
_SENT_RATE = re.compile(r"Avg send request rate: ([\d.]+)")
_DELAYED = re.compile(r"([\d.]+)% of the requests were delayed")
_PASS = re.compile(r"^\s*Pass \[\d+\] throughput: ([\d.e+]+)", re.MULTILINE)
_MOST_SHORT = 0.01
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
    """Requests per second that it sent, where it fell behind; else `None`."""
    delayed: float
    """The share of requests that it sent late by any time, 0 to 1; it reports none below 1 %."""
    windows: Sequence[float]
    """Rows per second in each window."""


def parse_results(table: str, output: str) -> Results:
    """Read the CSV `table` and the printed `output` of a single run.

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
    """Why perf_analyzer failed: one sentence of its output."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    threads = [line for line in lines if _THREAD.match(line)]
    named = [line for line in lines if line.startswith("error: ")]
    found = threads or named or lines or output.strip().splitlines()[-1:] or ["it printed nothing"]
    return _THREAD.sub("", found[0]).removeprefix("error: ")


def evaluate_results(gates: Gates, results: Results, seconds: float) -> list[Gate]:
    """Compare a run with each SLO. It has percentiles, and no latency of a single request."""
    found = []
    if gates.p99_ms is not None:
        p99_ms, enough = results.latency_ms.get("p99", math.inf), least_requests(0)
        words = (
            f"p99 {p99_ms:.2f} ms by perf_analyzer's count of {results.requests} requests; the "
            f"SLO is at most {gates.p99_ms:g} ms; its confidence cannot be tested, since "
            "perf_analyzer reports no single latencies"
        )
        holds = p99_ms <= gates.p99_ms and results.requests >= enough
        if results.requests < enough:
            words += f" (too few requests: at least {enough} are needed)"
        found.append(Gate("p99", holds, words))
    others = Gates(min_rps=gates.min_rps, max_error_ratio=gates.max_error_ratio)
    return found + evaluate(others, np.zeros(results.requests), seconds)


def invalid_results(load: Load, results: Results, seconds: float) -> str:
    """Why a run is invalid, or nothing.

    perf_analyzer reports how much it sent only where it fell behind. Random times give another rate
    than the requested one, so three standard deviations are allowed in addition to one percent.
    """
    if load.rate is None or results.sent_rate is None:
        return ""
    least = load.rate * (1 - _MOST_SHORT) - 3 * math.sqrt(load.rate / seconds)
    if results.sent_rate >= least:
        return ""
    return (
        f"perf_analyzer sent {results.sent_rate:,.1f} of {load.rate:,.4g} requests/s, "
        f"{results.delayed:.0%} of them late; ask for a lower rate"
    )
