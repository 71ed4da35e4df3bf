"""The catalogue asked at one moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from monitoring.asking import Prometheus, Series
from monitoring.queries import CATALOGUE, query
from monitoring.report.summary import Summary, summarise

__all__ = ["courses_of", "gather"]

_DRAWN = (
    "request_rate",
    "error_ratio",
    "mean_latency",
    "p99_latency",
    "queue_share",
    "batch_size",
    "pending_requests",
    "stub_cpu",
)
_POINTS = 120
_LEAST_STEP_S = 1.0
_LEAST_RATE_WINDOW_S = 30


def gather(prometheus: Prometheus, window: str, end_s: float | None = None) -> Summary:
    """What the window before `end_s` came to; without it, before now by Prometheus' clock.

    Raises `TrimaranError` where Prometheus does not answer, or refuses the window.
    """
    now_s, local_s = prometheus.now_s(), time.time()
    at_s = now_s if end_s is None else end_s
    answers = {
        name: prometheus.instant(each.over(window), at_s)
        for name, each in CATALOGUE.items()
        if each.reported
    }
    skew_s = now_s - local_s
    firing = [
        alert["annotations"].get("summary", alert["labels"]["alertname"])
        for alert in prometheus.alerts()
        if alert["state"] == "firing"
    ]
    return summarise(answers, window, at_s, at_s - skew_s, firing)


def courses_of(
    prometheus: Prometheus, summary: Summary, seconds: float
) -> Mapping[str, Sequence[Series]]:
    """How the figures that are drawn went in the window of a summary, by the query's name."""
    step_s = max(seconds / _POINTS, _LEAST_STEP_S)
    rate_window = f"{max(round(4 * step_s), _LEAST_RATE_WINDOW_S)}s"
    return {
        name: prometheus.range(
            query(name, rate_window), summary.at_s - seconds, summary.at_s, step_s
        )
        for name in _DRAWN
    }
