"""What measured numbers mean: the SLOs of a run, whether it is valid, and its exit status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loadtests.generator.outcome import Outcome
from trimaran.stats.latency import allowed_late, bound_holds, least_requests, quantiles
from trimaran.system.errors import UsageError

__all__ = [
    "FAILED",
    "INVALID",
    "KEPT",
    "Gate",
    "Gates",
    "evaluate",
    "exit_status",
    "invalid",
    "late_sends",
    "lateness",
    "unfit",
]

KEPT, FAILED, INVALID = 0, 1, 2
"""Exit statuses: every gate holds, one fails, or the run is invalid."""

_LATE_S = 1e-3
_LATE_SHARE = 0.1
"""A send is late by a millisecond, or by a tenth of the median latency where that is longer: this
much of a latency may be the generator's."""

_MOST_LATE = 0.01
_LATE_ONCE = 1.5
"""A single late send is an accident, however few the requests are."""
_MOST_FAILED = 0.01


@dataclass(frozen=True)
class Gates:
    """The SLOs of a run; `None` where there is none."""

    p99_ms: float | None = None
    min_rps: float | None = None
    max_error_ratio: float | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` for a bound that is out of range."""
        for name, value in (("--p99-ms", self.p99_ms), ("--min-rps", self.min_rps)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} is {value}; give a number above 0")
        if self.max_error_ratio is not None and not 0 <= self.max_error_ratio <= 1:
            raise UsageError(
                f"--max-error-ratio is {self.max_error_ratio}; give a share from 0 to 1"
            )


@dataclass(frozen=True)
class Gate:
    """One SLO, and whether the run kept it."""

    name: str
    holds: bool
    words: str


def evaluate(gates: Gates, latency_s: np.ndarray, seconds: float) -> list[Gate]:
    """Compare latencies `[requests]`, infinite where no answer was good, with each SLO."""
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
            words += f" (too few requests: at least {least_requests(0)} are needed)"
        found.append(Gate("p99", holds, words))
    if gates.min_rps is not None:
        rate = answered / seconds if seconds else 0.0
        words = f"{rate:,.1f} answers/s; the SLO is at least {gates.min_rps:g}"
        found.append(Gate("rate", rate >= gates.min_rps, words))
    if gates.max_error_ratio is not None:
        ratio = (requests - answered) / requests if requests else 1.0
        words = f"{ratio:.4f} of the requests failed; the SLO is at most {gates.max_error_ratio:g}"
        found.append(Gate("errors", ratio <= gates.max_error_ratio, words))
    return found


def exit_status(invalid: str, gates: Iterable[Gate]) -> int:
    """2 for an invalid run, 1 where a gate fails, else 0."""
    if invalid:
        return INVALID
    return KEPT if all(gate.holds for gate in gates) else FAILED


def late_sends(outcome: Outcome) -> float:
    """The share of requests that the generator sent late, 0 to 1."""
    if not len(outcome.tried_s):
        return 0.0
    answered = outcome.latency_s[outcome.good]
    bound_s = max(_LATE_S, _LATE_SHARE * float(np.median(answered)) if len(answered) else 0.0)
    return float(np.mean(outcome.tried_s - outcome.scheduled_s > bound_s))


def lateness(outcome: Outcome) -> str:
    """Why latencies do not count: the generator was late too often; or nothing."""
    late = late_sends(outcome)
    if late <= _MOST_LATE or late * len(outcome.good) <= _LATE_ONCE:
        return ""
    return (
        f"the generator was late for {late:.1%} of the requests; ask for a lower rate, or give "
        "it a separate core"
    )


def invalid(outcome: Outcome, suspended_s: float = 0.0) -> str:
    """Why a run is invalid, or nothing if it counts; `suspended_s` as in `unfit`."""
    return unfit(outcome, suspended_s) or lateness(outcome)


def unfit(outcome: Outcome, suspended_s: float = 0.0) -> str:
    """Why nothing that a run measured counts, or nothing; lateness spoils only its latencies.

    `suspended_s` is for how long the machine slept meanwhile. An interrupted run is invalid too:
    its measurements are reported, without a conclusion.
    """
    requests = len(outcome.good)
    failed = int(np.count_nonzero(~outcome.good))
    if outcome.broken:
        return f"the server went away after {outcome.wall_s:.1f} s: {outcome.broken}"
    if outcome.interrupted:
        return f"interrupted after {outcome.wall_s:.1f} s"
    if not requests:
        return "no request was sent"
    if failed > _MOST_FAILED * requests:
        reason = f": {outcome.refusal}" if outcome.refusal else ": no answer came in time"
        return f"{failed} of {requests} requests failed{reason}"
    if suspended_s > _LATE_S:
        return f"the machine was suspended for {suspended_s:.1f} s"
    return ""
