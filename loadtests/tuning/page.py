"""The trials of a search, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.tuning.study import Tried
from trimaran.pages.figures import INK, NEGATIVE, PANEL, POSITIVE, plain_axes
from trimaran.pages.page import Cell, Page, figure, legend, table, text

__all__ = ["tuning_page"]


def tuning_page(title: str, verdict: str, bound_ms: float, trials: Sequence[Tried]) -> str:
    """The document: the verdict, a plot of all trials, and their table."""
    page = Page(title, f"highest rate with p99 within {bound_ms:g} ms")
    page.section("Verdict", text(verdict))
    page.section(
        "Trials",
        legend([("tried", "negative"), ("present settings", "positive")]),
        figure(
            _plot(bound_ms, trials),
            "Each point is a trial; the dashed line is the bound on p99.",
            "rate and p99 of each trial",
        ),
        _table(trials),
    )
    return page.html()


def _table(trials: Sequence[Tried]) -> Markup:
    names = list(dict.fromkeys(name for tried in trials for name in tried.parameters))
    rows: list[Sequence[Cell]] = [
        [
            tried.number,
            tried.score.rate if tried.score else None,
            tried.score.p99_ms if tried.score else None,
            tried.score.cpu_ms if tried.score else None,
            tried.score.connections if tried.score else None,
            *(tried.parameters.get(name) for name in names),
            tried.problem,
        ]
        for tried in sorted(trials, key=_rate, reverse=True)
    ]
    headers = ["trial", "rows/s", "p99 ms", "CPU ms", "connections", *names, ""]
    return table(headers, rows)


def _plot(bound_ms: float, trials: Sequence[Tried]) -> Figure:
    drawn = Figure(figsize=(PANEL, 3.2), layout="constrained")
    axes = drawn.subplots()
    plain_axes(axes)
    points: Mapping[bool, list[tuple[float, float]]] = {True: [], False: []}
    for tried in trials:
        if tried.score and tried.score.rate:
            points[tried.number == 0].append((tried.score.rate, tried.score.p99_ms))
    for first, colour, marker in ((False, NEGATIVE, "o"), (True, POSITIVE, "D")):
        if points[first]:
            rates, latencies = zip(*points[first], strict=True)
            axes.scatter(rates, latencies, color=colour, marker=marker, s=24)
    axes.axhline(bound_ms, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xlabel("rows/s")
    axes.set_ylabel("p99, ms")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return drawn


def _rate(tried: Tried) -> float:
    return tried.score.rate if tried.score else -1.0
