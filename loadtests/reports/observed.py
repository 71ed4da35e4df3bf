"""What Prometheus measured of a server during a run, in addition to the generator's figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loadtests.reports.run import Report
from monitoring.presence import find_watch
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

if TYPE_CHECKING:  # load tests need no Prometheus
    from monitoring.prometheus_api import Prometheus

__all__ = ["OBSERVED", "between", "with_observed"]

OBSERVED = "by Prometheus"

_ANSWERED_WITH_ERROR = "answered_with_error"
_METRICS = {_ANSWERED_WITH_ERROR: "sum by (model, version) (trimaran_failed_requests_total)"} | {
    name: f"sum by (model, version) (nv_inference_{name})"
    for name in (
        "request_success",
        "request_failure",
        "request_duration_us",
        "queue_duration_us",
        "count",
        "exec_count",
    )
}

_Totals = Mapping[str, Mapping[tuple[str, str], float]]


def with_observed(
    report: Report, repository: Repository | None, began_s: float, ended_s: float
) -> Report:
    """The report with what Prometheus counted from one Unix time to another.

    It counts from the last scrape before to the first scrape after. The report is unchanged where
    no Prometheus watches the repository; where Prometheus does not answer, `about` says so.
    """
    watching = find_watch(repository) if repository is not None else None
    if watching is None:
        return report
    from monitoring.prometheus_api import Prometheus

    try:
        seen = _observed(Prometheus(watching.prometheus), began_s, ended_s)
    except TrimaranError as error:
        return replace(report, about={**report.about, "Prometheus": str(error)})
    about = {**report.about, "Prometheus": f"{watching.prometheus}, {began_s:.0f} to {ended_s:.0f}"}
    return replace(report, about=about, figures={**report.figures, OBSERVED: seen})


def _observed(prometheus: Prometheus, began_s: float, ended_s: float) -> dict[str, Any]:
    prometheus.wait_for_scrape(ended_s)
    return between(_totals(prometheus, began_s), _totals(prometheus, None))


def between(before: _Totals, after: _Totals) -> dict[str, dict[str, float]]:
    """Figures of each model and version that had requests between two readings of its counters.

    Where a counter is lower than before, all of them were reset, and are counted from 0.
    """
    figures = {}
    for key in sorted(after.get("request_success", {})):
        now = {name: after.get(name, {}).get(key, 0.0) for name in _METRICS}
        then = {name: before.get(name, {}).get(key, 0.0) for name in _METRICS}
        reset = any(now[name] < then[name] for name in _METRICS)
        grown = now if reset else {name: now[name] - then[name] for name in _METRICS}
        answered, failed = grown["request_success"], grown["request_failure"]
        if not answered + failed:
            continue
        found: dict[str, float] = {
            "requests": round(answered + failed),
            "failed": round(failed + grown[_ANSWERED_WITH_ERROR]),
        }
        if answered:
            found["mean ms"] = grown["request_duration_us"] / answered / 1e3
            found["queue ms"] = grown["queue_duration_us"] / answered / 1e3
        if grown["exec_count"]:
            found["batch"] = grown["count"] / grown["exec_count"]
        figures[" ".join(key)] = found
    return figures


def _totals(prometheus: Prometheus, at_s: float | None) -> _Totals:
    return {
        name: {
            (sample.labels.get("model", ""), sample.labels.get("version", "")): sample.value
            for sample in prometheus.instant(promql, at_s)
        }
        for name, promql in _METRICS.items()
    }
