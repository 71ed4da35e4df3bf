"""The outcomes of a window, asked of Prometheus."""

from __future__ import annotations

from monitoring.accuracy.judging import Judged, judge_releases
from monitoring.asking import Prometheus
from monitoring.queries import query

__all__ = ["ACCURACY_WINDOW", "releases"]

ACCURACY_WINDOW = "1d"
"""Of the recorded series and the alerts, and where none is asked for."""

_QUERIES = ("outcomes", "reference_outcomes", "calibration_error", "brier")


def releases(source: Prometheus, window: str) -> list[Judged]:
    """What the outcomes of the window before now came to. Raises `TrimaranError`."""
    at_s = source.now_s()
    return judge_releases({name: source.instant(query(name, window), at_s) for name in _QUERIES})
