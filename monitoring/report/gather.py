"""The catalogue asked at one moment."""

from __future__ import annotations

import time

from monitoring.asking import Prometheus
from monitoring.queries import CATALOGUE
from monitoring.report.summary import Summary, summarise

__all__ = ["gather"]


def gather(prometheus: Prometheus, window: str, end_s: float | None = None) -> Summary:
    """What the window before `end_s` came to; without it, before now by Prometheus' clock.

    Raises `TrimaranError` where Prometheus does not answer, or refuses the window.
    """
    now_s, local_s = prometheus.now_s(), time.time()
    at_s = now_s if end_s is None else end_s
    answers = {
        name: prometheus.instant(query.over(window), at_s)
        for name, query in CATALOGUE.items()
        if query.reported
    }
    skew_s = now_s - local_s
    firing = [
        alert["annotations"].get("summary", alert["labels"]["alertname"])
        for alert in prometheus.alerts()
        if alert["state"] == "firing"
    ]
    return summarise(answers, window, at_s, at_s - skew_s, firing)
