"""Whether a run can be believed: if not, it is void, and nothing is concluded from it."""

from __future__ import annotations

import numpy as np

from loadtests.generator.outcome import Outcome

__all__ = ["late_sends", "lateness", "unfit", "void"]

_LATE_S = 1e-3
_LATE_SHARE = 0.1
"""A send is late that begins a millisecond after its time, and where latencies are longer than ten
milliseconds, a tenth of their median: so much of a latency may be the generator's own."""

_MOST_LATE = 0.01
_LATE_ONCE = 1.5
"""A single late send is an accident, however few the requests are."""
_MOST_FAILED = 0.01


def late_sends(outcome: Outcome) -> float:
    """The share of requests to which the generator came late, 0 to 1."""
    if not len(outcome.tried_s):
        return 0.0
    answered = outcome.latency_s[outcome.good]
    bound_s = max(_LATE_S, _LATE_SHARE * float(np.median(answered)) if len(answered) else 0.0)
    return float(np.mean(outcome.tried_s - outcome.scheduled_s > bound_s))


def lateness(outcome: Outcome) -> str:
    """That the generator came late too often for latencies to be believed, or nothing."""
    late = late_sends(outcome)
    if late <= _MOST_LATE or late * len(outcome.good) <= _LATE_ONCE:
        return ""
    return (
        f"the generator was late for {late:.1%} of the requests; ask for a lower rate, or give "
        "it a core of its own"
    )


def void(outcome: Outcome, suspended_s: float = 0.0) -> str:
    """Why a run is void, or nothing if it counts; `suspended_s` as in `unfit`."""
    return unfit(outcome, suspended_s) or lateness(outcome)


def unfit(outcome: Outcome, suspended_s: float = 0.0) -> str:
    """Why nothing that a run measured counts, or nothing; lateness spoils only its latencies.

    `suspended_s` is for how long the machine slept meanwhile. An interrupted run is void too; what
    it measured is told, and not concluded from.
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
