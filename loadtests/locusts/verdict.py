"""Whether a run of Locust can be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loadtests.generator.outcome import Outcome
from loadtests.judging.validity import void

__all__ = ["Pace", "pace_of", "why_void"]

_REACHED = 0.95
_LEAST_S = 1.0


@dataclass(frozen=True)
class Pace:
    """How many requests were sent while all users were there, and how many should have been."""

    sent: int
    asked: float
    seconds: float
    users: int

    @property
    def rate(self) -> float:
        """Requests per second that were sent."""
        return self.sent / self.seconds

    @property
    def is_kept(self) -> bool:
        """Whether at most 5 % are missing, and one of each user, whose turn was not come."""
        return self.sent >= _REACHED * self.asked - self.users


def pace_of(
    outcome: Outcome, rate: float, users: int, from_s: float, until_s: float
) -> Pace | None:
    """Between two times, or until the run ended; `None` for under a second."""
    until_s = min(until_s, outcome.wall_s)
    if until_s - from_s < _LEAST_S:
        return None
    sent = int(np.count_nonzero((outcome.sent_s >= from_s) & (outcome.sent_s < until_s)))
    return Pace(sent, rate * (until_s - from_s), until_s - from_s, users)


def why_void(
    outcome: Outcome,
    *,
    gave_up: str = "",
    alive: bool = True,
    failures_are_judged: bool = False,
    pace: Pace | None = None,
    suspended_s: float = 0.0,
) -> str:
    """Why the run is void, or nothing if it counts.

    Failures above 1 % make it void, unless a promise judges them (`failures_are_judged`) and some
    request was answered. So does a pace that was asked for and not kept: the users waited for
    answers instead of sending.
    """
    if gave_up:
        return f"stopped after {outcome.wall_s:.1f} s: {gave_up}"
    if not alive and not outcome.interrupted:
        return f"the server no longer answers at the end{_words(outcome)}"
    judged = outcome
    if failures_are_judged and outcome.good.any():
        judged = replace(outcome, good=np.ones_like(outcome.good))
    found = void(judged, suspended_s)
    if not found and pace is not None and not pace.is_kept:
        found = (
            f"only {pace.rate:,.1f} of the {pace.asked / pace.seconds:,.1f} requests/s asked for "
            "were sent, because users waited for answers; add --users, or lower --rate"
        )
    return found


def _words(outcome: Outcome) -> str:
    return f": {outcome.refusal}" if outcome.refusal else ""
