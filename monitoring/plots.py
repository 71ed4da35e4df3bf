"""A figure of the catalogue over time, as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monitoring.prometheus_api import Series
from monitoring.queries import CATALOGUE
from trimaran.pages.figures import PANEL, Look, plain_axes
from trimaran.pages.page import figure

__all__ = ["plot"]


def plot(name: str, series: Sequence[Series], looks: Mapping[tuple[str, ...], Look]) -> Markup:
    """A plot of every series that has a look, by the values of the query's labels."""
    query = CATALOGUE[name]
    drawn = Figure(figsize=(PANEL, 2.3), layout="constrained")
    axes = drawn.subplots()
    plain_axes(axes)
    scale = 1e3 if query.unit == "s" else 100 if query.unit == "ratio" else 1
    for each in series:
        look = looks.get(tuple(each.labels.get(label, "") for label in query.labels))
        if look is None:
            continue
        times = [datetime.fromtimestamp(at, UTC) for at in each.times_s]
        axes.plot(
            times,  # type: ignore[arg-type]
            [value * scale for value in each.values],
            color=look.colour,
            linestyle=look.style,
            marker="." if len(times) < 3 else "",
            linewidth=1.6,
        )
    axes.set_ylim(bottom=0)
    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    short = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(short)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_ylabel({"s": "ms", "ratio": "%"}.get(query.unit, query.unit))
    return figure(drawn, f"{query.title}: {query.meaning}", f"{query.title} over time")
