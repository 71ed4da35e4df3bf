"""The gateway's section of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from monitoring.gateway import GatewayFigures
from monitoring.gateway_shown import NO_MODEL, rows_of
from monitoring.plots import plot
from monitoring.prometheus_api import Series
from monitoring.queries import CATALOGUE
from monitoring.summary import Summary
from trimaran.pages.figures import SERIES, Look
from trimaran.pages.page import badge, legend, table, text

__all__ = ["gateway_section"]

_DRAWN = ("gateway_requests", "gateway_refusals", "gateway_p99")
_MEANING = (
    "Requests without a model are for health, metadata and unknown paths, or streams. What is "
    "refused, the gateway answered by itself. Its times are from a request's first byte to the "
    "last of its answer, where a server answered; Triton's are those in the server."
)


def gateway_section(
    summary: Summary, gateway: GatewayFigures, courses: Mapping[str, Sequence[Series]]
) -> Iterator[Markup]:
    """The blocks of a page; `courses` has the series of each plotted query, by its name."""
    servers = gateway.servers
    if not any(servers.values()):
        yield text("No server is ready.", "error")
    headers, rows = rows_of(summary, gateway)
    if rows:
        yield table(headers, rows)
    refusals = [
        (each.model or NO_MODEL, reason, rate)
        for each in gateway.models
        for reason, rate in sorted(each.refusals.items())
    ]
    if refusals:
        yield table(("model", "refused for", "requests/s"), refusals)
    if servers:
        states = (
            (name, badge("ready", "good") if ready else badge("not ready", "error"))
            for name, ready in servers.items()
        )
        yield table(("server", "state"), states)
    for name, series in courses.items():
        if series and name in _DRAWN:
            looks = _looks(name, series)
            yield legend([(_words(key), look) for key, look in looks.items()])
            yield plot(name, series, looks)
    yield text(_MEANING)


def _words(labels: Sequence[str]) -> str:
    return " ".join((labels[0] or NO_MODEL, *labels[1:]))


def _looks(name: str, series: Sequence[Series]) -> Mapping[tuple[str, ...], Look]:
    """As many series as can be told apart: the largest, by the values of their labels."""
    labels = CATALOGUE[name].labels
    largest = sorted(series, key=lambda each: -sum(each.values))[: len(SERIES)]
    keys = sorted(tuple(each.labels.get(label, "") for label in labels) for each in largest)
    return dict(zip(keys, SERIES, strict=False))
