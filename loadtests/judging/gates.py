"""Promises that a run must keep, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trimaran.stats.latency import allowed_late, bound_holds, least_requests, quantiles
from trimaran.system.errors import UsageError

__all__ = ["FAILED", "KEPT", "VOID", "Gate", "Gates", "exit_status", "judge"]

KEPT, FAILED, VOID = 0, 1, 2
"""Exit statuses: every gate holds, one does not, or the run cannot be believed."""


@dataclass(frozen=True)
class Gates:
    """What is promised; `None` where nothing is."""

    p99_ms: float | None = None
    min_rps: float | None = None
    max_error_ratio: float | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` for what nobody can promise."""
        for name, value in (("--p99-ms", self.p99_ms), ("--min-rps", self.min_rps)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} is {value}; give a number above 0")
        if self.max_error_ratio is not None and not 0 <= self.max_error_ratio <= 1:
            raise UsageError(
                f"--max-error-ratio is {self.max_error_ratio}; give a share from 0 to 1"
            )


@dataclass(frozen=True)
class Gate:
    """One promise, and whether it was kept."""

    name: str
    holds: bool
    words: str


def judge(gates: Gates, latency_s: np.ndarray, seconds: float) -> list[Gate]:
    """Each promise beside latencies `[requests]`, infinite where no answer was good."""
    found = []
    requests = len(latency_s)
    answered = int(np.count_nonzero(np.isfinite(latency_s)))
    if gates.p99_ms is not None:
        holds = bound_holds(latency_s, gates.p99_ms / 1e3)
        late = int(np.count_nonzero(~(latency_s <= gates.p99_ms / 1e3)))
        p99_ms = quantiles(latency_s)["p99"] * 1e3
        words = (
            f"p99 {p99_ms:.2f} ms; {late} of {requests} requests later than "
            f"{gates.p99_ms:g} ms, {max(allowed_late(requests), 0)} allowed"
        )
        if allowed_late(requests) < 0:
            words += f" (too few to tell: at least {least_requests(0)} are needed)"
        found.append(Gate("p99", holds, words))
    if gates.min_rps is not None:
        rate = answered / seconds if seconds else 0.0
        words = f"{rate:,.1f} answers/s, at least {gates.min_rps:g} promised"
        found.append(Gate("rate", rate >= gates.min_rps, words))
    if gates.max_error_ratio is not None:
        ratio = (requests - answered) / requests if requests else 1.0
        words = f"{ratio:.4f} of the requests failed, at most {gates.max_error_ratio:g} promised"
        found.append(Gate("errors", ratio <= gates.max_error_ratio, words))
    return found


def exit_status(void: str, gates: Iterable[Gate]) -> int:
    """2 for a void run, 1 if a promise was broken, else 0."""
    if void:
        return VOID
    return KEPT if all(gate.holds for gate in gates) else FAILED
