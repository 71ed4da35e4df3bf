"""What perf_analyzer's figures allow to conclude."""

from __future__ import annotations

import math

import numpy as np

from loadtests.judging.gates import Gate, Gates, judge
from loadtests.perf.load import Load
from loadtests.perf.results import Results
from trimaran.stats.latency import least_requests

__all__ = ["judge_results", "void_results"]

_MOST_SHORT = 0.01


def judge_results(gates: Gates, results: Results, seconds: float) -> list[Gate]:
    """Each promise beside a run. There are percentiles only, and no latency of a request."""
    found = []
    if gates.p99_ms is not None:
        p99_ms, enough = results.latency_ms.get("p99", math.inf), least_requests(0)
        words = (
            f"p99 {p99_ms:.2f} ms by perf_analyzer's own count of {results.requests} requests, at "
            f"most {gates.p99_ms:g} ms promised; how sure that is cannot be tested, since it tells "
            "no single latencies"
        )
        holds = p99_ms <= gates.p99_ms and results.requests >= enough
        if results.requests < enough:
            words += f" (too few to tell: at least {enough} are needed)"
        found.append(Gate("p99", holds, words))
    others = Gates(min_rps=gates.min_rps, max_error_ratio=gates.max_error_ratio)
    return found + judge(others, np.zeros(results.requests), seconds)


def void_results(load: Load, results: Results, seconds: float) -> str:
    """Why a run does not count, or nothing.

    perf_analyzer tells how much it sent only where it fell behind. Random times come to another
    rate than was asked for, so three standard deviations are allowed beside one percent.
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
