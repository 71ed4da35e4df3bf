"""The rows of a window and what they are held against, asked of Prometheus."""

from __future__ import annotations

from monitoring.asking import Prometheus
from monitoring.drift.judging import Expectation, Finding, judge_features
from monitoring.queries import query
from trimaran.system.durations import seconds_of

__all__ = ["DRIFT_WINDOW", "features"]

DRIFT_WINDOW = "1h"
"""Of the recorded series and the alerts, and where none is asked for."""

_PAST = "1d"


def features(source: Prometheus, window: str, against: str | None = None) -> list[Finding]:
    """Every feature that was counted in the window before now.

    Held against each version's reference, or where it has none against the day before the window;
    with `against`, against as long a window that ended so long ago. Raises `TrimaranError`.
    """
    at_s = source.now_s()
    rows = source.instant(query("feature_rows", window), at_s)
    if against is None:
        before_s = at_s - seconds_of(window, "--window")
        expected = [
            Expectation("the reference", source.instant(query("feature_reference", window), at_s)),
            Expectation("the day before", source.instant(query("feature_rows", _PAST), before_s)),
        ]
    else:
        ended_s = at_s - seconds_of(against, "--against")
        past = source.instant(query("feature_rows", window), ended_s)
        expected = [Expectation(f"the {window} that ended {against} ago", past)]
    return [found for found in judge_features(rows, expected) if found.rows]
