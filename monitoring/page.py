"""A summary as one HTML page, with a plot of each figure over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from monitoring import accuracy, drift
from monitoring.accuracy import ACCURACY_WINDOW, ReleaseAccuracy
from monitoring.drift import DRIFT_WINDOW, Finding
from monitoring.gateway_page import gateway_section
from monitoring.plots import plot
from monitoring.present import broken_words, no_data_words, shown
from monitoring.prometheus_api import Prometheus, Series
from monitoring.queries import CATALOGUE
from monitoring.query import MODEL
from monitoring.summary import Line, Summary, courses_of
from trimaran.pages.figures import SERIES, Look
from trimaran.pages.page import (
    Cell,
    Kind,
    Page,
    badge,
    beside,
    facts,
    legend,
    table,
    text,
)

__all__ = ["page_from", "summary_page"]

_REQUESTS = (
    *("request_rate", "error_ratio", "mean_latency"),
    *("p50_latency", "p95_latency", "p99_latency"),
)
_EXECUTION = (
    *("queue_share", "compute_input", "compute_infer", "compute_output", "batch_size"),
    *("pending_requests", "model_cpu", "model_memory", "load_time"),
)
_KINDS: Mapping[str, Kind] = {
    "fell": "error",
    "drift": "error",
    "absent": "error",
    "holds": "good",
    "stable": "good",
}


def page_from(
    source: Prometheus, summary: Summary, seconds: float, refresh_s: int | None = None
) -> str:
    """The document of a summary of the last `seconds`, with what Prometheus has for its plots.

    Raises `TrimaranError` where Prometheus does not answer.
    """
    return summary_page(
        summary,
        courses_of(source, summary, seconds),
        source.url,
        drift.features(source, DRIFT_WINDOW),
        accuracy.releases(source, ACCURACY_WINDOW),
        refresh_s,
    )


def summary_page(
    summary: Summary,
    courses: Mapping[str, Sequence[Series]],
    source: str,
    features: Sequence[Finding] = (),
    releases: Sequence[ReleaseAccuracy] = (),
    refresh_s: int | None = None,
) -> str:
    """The document; `courses` has the series of each plotted query, by its name.

    Whatever the window is, `features` are of the last hour, and `releases` have the outcomes of the
    last day.
    """
    end = datetime.fromtimestamp(summary.at_s, UTC)
    page = Page(
        f"The last {summary.window}",
        f"to {end:%Y-%m-%d %H:%M:%S} UTC, by Prometheus at {source}",
        refresh_s,
    )
    page.section("Verdict", *_verdict(summary))
    asked = [line for line in summary.lines if line.was_asked]
    page.section("Models", *_models(asked), *_idle(summary))
    of_models = {name: each for name, each in courses.items() if CATALOGUE[name].labels == MODEL}
    if asked and any(of_models.values()):
        page.section("Over time", *_over_time(asked, of_models))
    if any(line.errors for line in asked):
        page.section("Errors", _errors(asked))
    if summary.gateway:
        page.section("Gateway", *gateway_section(summary, summary.gateway, courses))
    if features:
        page.section("Drift", *_drift(features))
    if releases:
        page.section("Live accuracy", *_accuracy(releases))
    page.section(
        "What the columns mean",
        table(
            ("", "unit", "meaning"),
            [
                (CATALOGUE[name].title, CATALOGUE[name].unit, CATALOGUE[name].meaning)
                for name in (*_REQUESTS, *_EXECUTION)
            ],
        ),
    )
    return page.html()


def _verdict(summary: Summary) -> list[Markup]:
    blocks = [text(f"Alert: {alert}", "error") for alert in summary.alerts]
    broken = [line for line in summary.lines if line.broken]
    blocks += [
        text(f"{line.model} version {line.version}: {broken_words(line.broken)}", "error")
        for line in broken
    ]
    if summary.outcome == "no data":
        blocks.insert(0, text(f"{no_data_words(summary).capitalize()}.", "error"))
    if summary.outcome == "kept":
        blocks.append(text("Every objective was met.", "good"))
    blocks += [text(note, "warning") for note in summary.notes]
    if summary.server:
        blocks.append(
            facts(
                (CATALOGUE[name].title, shown(value, CATALOGUE[name].unit))
                for name, value in summary.server.items()
            )
        )
    return blocks


def _models(lines: Sequence[Line]) -> list[Markup]:
    """What clients see of each version, and below it how it is executed."""
    if not lines:
        return []
    found = []
    for names in (_REQUESTS, _EXECUTION):
        columns = [name for name in names if any(name in line.figures for line in lines)]
        headers = ["model", "version", *(CATALOGUE[name].title for name in columns)]
        rows: list[list[Cell]] = [
            [
                line.model,
                line.version,
                *(shown(line.figures.get(name), CATALOGUE[name].unit) for name in columns),
            ]
            for line in lines
        ]
        if names is _REQUESTS:
            headers.append("objectives")
            for row, line in zip(rows, lines, strict=True):
                row.append(badge("broken", "error") if line.broken else badge("met", "good"))
        if columns:
            found.append(table(headers, rows))
    return found


def _idle(summary: Summary) -> list[Markup]:
    idle = [f"{line.model} {line.version}" for line in summary.lines if line.is_idle]
    return [text(f"No requests in the window: {', '.join(idle)}.")] if idle else []


def _errors(lines: Sequence[Line]) -> Markup:
    return table(
        ("model", "version", "reason", "errors/s"),
        [
            (line.model, line.version, reason, rate)
            for line in lines
            for reason, rate in sorted(line.errors.items())
        ],
    )


def _drift(features: Sequence[Finding]) -> list[Markup]:
    found = []
    for title, mine in drift.tables_of(features, DRIFT_WINDOW):
        rows = [
            [feature, badge(verdict, _KINDS.get(verdict, "warning")), *cells]
            for feature, verdict, *cells in map(drift.cells_of, mine)
        ]
        found += [text(title), table(drift.COLUMNS, rows)]
    return [*found, text(drift.MEANING)]


def _accuracy(releases: Sequence[ReleaseAccuracy]) -> list[Markup]:
    found = []
    for each in releases:
        kind = _KINDS.get(each.verdict, "warning")
        found += [
            text(
                f"{each.model} version {each.version}, {each.outcomes:,.0f} outcomes in the last "
                f"{ACCURACY_WINDOW}: {each.verdict}",
                kind,
            ),
            table(accuracy.COLUMNS, accuracy.lines_of(each)),
        ]
    return [*found, text(accuracy.MEANING)]


def _over_time(lines: Sequence[Line], courses: Mapping[str, Sequence[Series]]) -> list[Markup]:
    """A plot of each figure, with as many versions as can be told apart: the busiest."""
    busiest = sorted(lines, key=lambda line: -line.figures["request_rate"])[: len(SERIES)]
    drawn = [line for line in lines if line in busiest]
    looks: dict[tuple[str, ...], Look] = {
        (line.model, line.version): look for line, look in zip(drawn, SERIES, strict=False)
    }
    said = []
    if len(drawn) < len(lines):
        said.append(text(f"The {len(drawn)} busiest of {len(lines)} versions."))
    return [
        *said,
        legend([(" ".join(version), look) for version, look in looks.items()]),
        beside(*(plot(name, series, looks) for name, series in courses.items() if series)),
    ]
