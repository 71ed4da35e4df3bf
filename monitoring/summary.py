"""A window of time by model and version, from the catalogue's queries, with broken objectives."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from monitoring.gateway import GatewayFigures, gateway_of
from monitoring.prometheus_api import Prometheus, Sample, Series
from monitoring.queries import CATALOGUE, query
from monitoring.query import MODEL

__all__ = ["Broken", "Line", "Outcome", "Summary", "courses_of", "gather", "summarise"]

_OBJECTIVES = (
    ("error_ratio", "availability_objective"),
    ("mean_latency", "mean_objective"),
    ("p99_latency", "p99_objective"),
)
_NO_REASON = "unknown"
"""Triton before 24.08 has no reasons."""
_SKEW_S = 5.0
_WHOLE = 0.999

_DRAWN = (
    "request_rate",
    "error_ratio",
    "mean_latency",
    "p99_latency",
    "queue_share",
    "batch_size",
    "pending_requests",
    "model_cpu",
)
_DRAWN_OF_THE_GATEWAY = ("gateway_requests", "gateway_refusals", "gateway_p99")
_POINTS = 120
_LEAST_STEP_S = 1.0
_LEAST_RATE_WINDOW_S = 30


Outcome = Literal["kept", "broken", "no data"]


@dataclass(frozen=True)
class Broken:
    """An objective that was not met."""

    figure: str
    """The query's name."""
    found: float
    most: float


@dataclass(frozen=True)
class Line:
    """The figures of one version of a model."""

    model: str
    version: str
    figures: Mapping[str, float]
    """By the query's name; without entries that Prometheus has no number for."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Requests a second that failed, by Triton's reason."""
    broken: Sequence[Broken] = ()

    @property
    def was_asked(self) -> bool:
        """Whether it had requests in the window."""
        return self.figures.get("request_rate", 0.0) > 0

    @property
    def is_idle(self) -> bool:
        """Whether it is served but had no requests; false for a release that was only tried."""
        return self.figures.get("request_rate") == 0


@dataclass(frozen=True)
class Summary:
    """All lines, the server's figures, and notes on how reliable they are."""

    at_s: float
    """The window's end, in Unix time by Prometheus' clock."""
    window: str
    lines: Sequence[Line]
    server: Mapping[str, float]
    notes: Sequence[str]
    alerts: Sequence[str]
    gateway: GatewayFigures | None = None
    """None where no gateway was scraped."""

    @property
    def outcome(self) -> Outcome:
        """Whether every objective was met; without figures of requests, none was checked."""
        if any(line.broken for line in self.lines):
            return "broken"
        return "kept" if any("request_rate" in line.figures for line in self.lines) else "no data"


def gather(prometheus: Prometheus, window: str, end_s: float | None = None) -> Summary:
    """The summary of the window before `end_s`, by default before now by Prometheus' clock.

    Raises `TrimaranError` if Prometheus does not answer or refuses the window.
    """
    now_s, local_s = prometheus.now_s(), time.time()
    at_s = now_s if end_s is None else end_s
    answers = {
        name: prometheus.instant(each.over(window), at_s)
        for name, each in CATALOGUE.items()
        if each.reported
    }
    skew_s = now_s - local_s
    return summarise(answers, window, at_s, at_s - skew_s, prometheus.firing())


def courses_of(
    prometheus: Prometheus, summary: Summary, seconds: float
) -> Mapping[str, Sequence[Series]]:
    """The plotted figures over the window of a summary, by the query's name."""
    step_s = max(seconds / _POINTS, _LEAST_STEP_S)
    rate_window = f"{max(round(4 * step_s), _LEAST_RATE_WINDOW_S)}s"
    drawn = _DRAWN if summary.gateway is None else _DRAWN + _DRAWN_OF_THE_GATEWAY
    return {
        name: prometheus.range(
            query(name, rate_window), summary.at_s - seconds, summary.at_s, step_s
        )
        for name in drawn
    }


def summarise(
    answers: Mapping[str, Sequence[Sample]],
    window: str,
    at_s: float,
    local_s: float,
    alerts: Sequence[str] | None = (),
) -> Summary:
    """A summary of `answers`, the samples by query name; `local_s` is this machine's clock.

    `alerts` is `None` where they are not known.
    """
    objectives = {
        name: {_key(sample)[0]: sample.value for sample in answers.get(name, ())}
        for _, name in _OBJECTIVES
    }
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for name, each in CATALOGUE.items():
        if each.labels == MODEL:
            for sample in answers.get(name, ()):
                figures.setdefault(_key(sample), {})[name] = sample.value
    errors: dict[tuple[str, str], dict[str, float]] = {}
    for sample in answers.get("errors_by_reason", ()):
        errors.setdefault(_key(sample), {})[sample.labels.get("reason", _NO_REASON)] = sample.value
    lines = [
        Line(
            model,
            version,
            found,
            errors.get((model, version), {}),
            _broken(model, found, objectives),
        )
        for (model, version), found in sorted(figures.items(), key=lambda item: _order(item[0]))
    ]
    server = {
        name: samples[0].value
        for name, samples in answers.items()
        if samples and not CATALOGUE[name].labels
    }
    notes = _notes(answers, figures, at_s, local_s)
    if alerts is None:
        notes.append("the server answers queries and has no alerts, so none is shown")
    return Summary(at_s, window, lines, server, notes, alerts or (), gateway_of(answers))


def _broken(
    model: str, found: Mapping[str, float], objectives: Mapping[str, Mapping[str, float]]
) -> list[Broken]:
    broken = []
    for figure, name in _OBJECTIVES:
        objective = objectives[name].get(model)
        if objective is None or figure not in found:
            continue
        most = 1 - objective if figure == "error_ratio" else objective
        if found[figure] > most:
            broken.append(Broken(figure, found[figure], most))
    return broken


def _notes(
    answers: Mapping[str, Sequence[Sample]],
    figures: Mapping[tuple[str, str], Mapping[str, float]],
    at_s: float,
    local_s: float,
) -> list[str]:
    notes = []
    scrapes = {sample.labels.get("job", ""): sample.value for sample in answers.get("scrapes", ())}
    if not scrapes:
        notes.append("Prometheus has scraped nothing in the window")
    for job, share in sorted(scrapes.items()):
        if share < _WHOLE:
            notes.append(
                f"{1 - share:.0%} of the scrapes of {job} in the window failed; the figures lack "
                "the time between them"
            )
    if scrapes and answers.get("request_rate") and not answers.get("mean_objective"):
        notes.append(
            "no objective is recorded, so none was checked; check that the rules are loaded"
        )
    if scrapes and "supervisor" not in scrapes:
        notes.append("no supervisor is scraped: CPU, memory and deaths of stubs are unknown")
    for (model, version), found in sorted(figures.items()):
        if found.get("reloads", 0) > 0:
            notes.append(
                f"{model} version {version} was reloaded {found['reloads']:.0f} times in the "
                "window; requests between a server's last scrape and its restart are not counted"
            )
    if abs(at_s - local_s) > _SKEW_S:
        notes.append(
            f"Prometheus' clock is {at_s - local_s:+.0f} s from this machine's; the window is by "
            "Prometheus' clock"
        )
    return notes


def _key(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("model", ""), sample.labels.get("version", "")


def _order(key: tuple[str, str]) -> tuple[str, int]:
    model, version = key
    return model, int(version) if version.isdecimal() else -1
