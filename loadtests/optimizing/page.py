"""All candidates as a page: the verdict, a plot, and a table with every reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from loadtests.optimizing.decision import missed
from loadtests.optimizing.results import Results, estimate
from trimaran.pages.figures import ACCENT, INK, LINE, NEGATIVE, POSITIVE, plain_axes
from trimaran.pages.page import Cell, Page, badge, figure, table, text
from trimaran.stats.bootstrap import median_estimate

__all__ = ["optimizing_page"]

_COLOURS = {"fp32": NEGATIVE, "fp16": POSITIVE, "bf16": ACCENT, "int8": INK}
_MARKERS = "osD^vP*X"
"""By format."""


def optimizing_page(results: Results, command: str, about: Mapping[str, str]) -> str:
    """The document; `about` has the circumstances by name."""
    page = Page(f"Formats of {results.model}", command)
    page.section("Verdict", text(results.verdict, "good" if results.winner else "error"))
    if any(point.rates for standing in results.standings for point in standing.points):
        page.section(
            "Speed",
            figure(
                _plot(results),
                "Further right is faster, and lower answers sooner. Rows/s are those of the closed "
                "loop; p99 is that of an open loop at 70 % of what the export reached alone. Lines "
                "are 95 % intervals of the median over the turns.",
                "p99 against rows per second of each export",
            ),
            _speeds(results),
        )
    page.section("Exports", _exports(results))
    page.section("Circumstances", table(("", ""), list(about.items())))
    return page.html()


def _exports(results: Results) -> Markup:
    headers = ["format", "precision", "", "agreement", "size, MB", "memory, MB", "load, s"]
    headers += ["winner's rows/s over its own", "why"]
    choice = results.choice
    rows: list[Sequence[Cell]] = [
        [
            standing.candidate.format,
            standing.candidate.precision,
            badge("refused", "error") if standing.refused else badge("measured", "good"),
            standing.candidate.agreement,
            standing.candidate.size / 1e6 or None,
            estimate([each / 1e6 for each in standing.alone.memory]),
            estimate(standing.alone.load_s),
            str(choice.ratios.get(standing.candidate.name, "")),
            standing.refused,
        ]
        for standing in results.standings
    ]
    return table(headers, rows)


def _speeds(results: Results) -> Markup:
    headers = ["export", "rows a request", "connections", "rows/s", "p50 ms", "p99 ms"]
    headers += ["CPU ms a row", ""]
    rows: list[Sequence[Cell]] = [
        [
            standing.candidate.name,
            point.batch,
            point.connections or None,
            estimate(point.rates),
            estimate(point.p50_ms),
            estimate(point.p99_ms) or point.nearest_ms,
            estimate(point.cpu_ms),
            missed(point, results.plan.bound_ms),
        ]
        for standing in results.standings
        for point in standing.points
    ]
    return table(headers, rows)


def _plot(results: Results) -> Figure:
    drawn = Figure(figsize=(7.2, 3.6))
    axes = drawn.subplots()
    formats = list(dict.fromkeys(each.candidate.format for each in results.standings))
    for standing in results.standings:
        points = [point for point in standing.points if point.rates and point.p99_ms]
        if not points:
            continue
        rates = np.array([_spread(point.rates) for point in points])
        latencies = np.array([_spread(point.p99_ms) for point in points])
        axes.errorbar(
            rates[:, 0],
            latencies[:, 0],
            xerr=rates[:, 1:].T,
            yerr=latencies[:, 1:].T,
            marker=_MARKERS[formats.index(standing.candidate.format) % len(_MARKERS)],
            color=_COLOURS.get(standing.candidate.precision, INK),
            markersize=5,
            linewidth=0.8,
            label=standing.candidate.name,
        )
        for point, (rate, _, _), (latency, _, _) in zip(points, rates, latencies, strict=True):
            axes.annotate(
                str(point.batch), (rate, latency), (4, 4), textcoords="offset points", fontsize=7
            )
    if results.plan.bound_ms is not None:
        axes.axhline(results.plan.bound_ms, color=LINE, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows/s")
    axes.set_ylabel("p99, ms")
    axes.legend(frameon=False, fontsize=7.5)
    plain_axes(axes)
    return drawn


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and how far its interval reaches down and up."""
    found = median_estimate(values)
    return found.value, found.value - found.low, found.high - found.value
