"""`trimaran monitor watch`: the current figures, live, with sparklines of the last minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitoring.gateway_shown import gateway_line
from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.present import broken_words, no_data_words, shown, sparkline
from monitoring.prometheus_api import Prometheus, Series
from monitoring.queries import CATALOGUE, query
from monitoring.summary import Line, Summary, gather
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError

__all__ = ["view", "watch"]

_COURSES = {"rates": "request_rate", "means": "mean_latency"}
"""The figure of each sparkline."""
_FIGURES = (
    *("request_rate", "mean_latency", "error_ratio", "p99_latency", "rates", "means"),
    *("queue_share", "batch_size", "model_cpu"),
)
"""The most important first: a narrow terminal has the first ones only."""
_LEAST = 3
_PLACES = (
    *("request_rate", "rates", "mean_latency", "means", "error_ratio", "p99_latency"),
    *("queue_share", "batch_size", "model_cpu"),
)
"""From left to right."""
_UNBOUND = 10_000
_POINTS = 24


def watch(
    window: Annotated[str, typer.Option(help="Window of the figures: 30s, 1m.")] = "1m",
    history: Annotated[str, typer.Option(help="How far back the sparklines go.")] = "10m",
    every: Annotated[str, typer.Option(help="How often to read the figures: 2s.")] = "2s",
    looks: Annotated[
        int, typer.Option(help="Stop after this many readings; 0 to continue until interrupted.")
    ] = 0,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
) -> None:
    """Show rates, latencies and errors by model and version until interrupted."""
    every_s = seconds_of(every, "--every", bare=True)
    seconds_of(window, "--window")
    back_s = seconds_of(history, "--history")
    source = Prometheus(find_prometheus(repository, prometheus))
    gather(source, window)  # an error at the start ends the command
    with Live(console=console(), auto_refresh=False) as live:
        done = 0
        while True:
            live.update(_look(source, window, back_s, live.console.width), refresh=True)
            done += 1
            if done == looks:
                return
            try:
                time.sleep(every_s)
            except KeyboardInterrupt:
                return


def _look(source: Prometheus, window: str, back_s: float, width: int) -> RenderableType:
    try:
        summary = gather(source, window)
        step_s = back_s / _POINTS
        courses = {
            name: source.range(
                query(name, window), summary.at_s - back_s + step_s, summary.at_s, step_s
            )
            for name in _COURSES.values()
        }
    except TrimaranError as error:  # it may come back
        return Text(str(error), style="red")
    return view(summary, courses, back_s, width)


def view(
    summary: Summary, courses: Mapping[str, Sequence[Series]], back_s: float, width: int
) -> RenderableType:
    """The versions that had requests, with the figures that fit into `width` characters."""
    rows = []
    for line in summary.lines:
        cells = {
            name: shown(line.figures.get(name), CATALOGUE[name].unit)
            for name in _FIGURES
            if name not in _COURSES
        }
        for name, figure in _COURSES.items():
            cells[name] = _course(courses[figure], line.model, line.version, summary.at_s, back_s)
        if line.was_asked or any(cells[name].strip(" ▁") for name in _COURSES):
            rows.append((line, cells))
    tables = (_table(rows, _FIGURES[:count]) for count in range(len(_FIGURES), _LEAST - 1, -1))
    measuring = Console(width=_UNBOUND)
    fitting = (each for each in tables if measuring.measure(each).maximum <= width)
    first = [Text(no_data_words(summary), style="red")] if summary.outcome == "no data" else []
    words = [
        Text(f"{line.model} {line.version}: {broken_words(line.broken)}", style="red")
        for line, _ in rows
        if line.broken
    ]
    if summary.gateway:
        words.append(Text(gateway_line(summary.gateway)))
    words += [Text(f"alert {alert}", style="red") for alert in summary.alerts]
    words += [Text(f"note: {note}") for note in summary.notes]
    return Group(*first, next(fitting, _table(rows, _FIGURES[:_LEAST])), *words)


def _table(rows: Sequence[tuple[Line, Mapping[str, str]]], figures: Sequence[str]) -> Table:
    """A row for each version; where it is too wide, only the models' names are broken."""
    shown_here = sorted(figures, key=_PLACES.index)
    table = Table(
        title=time.strftime("%H:%M:%S"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("model", overflow="fold")
    table.add_column("version", justify="right", no_wrap=True)
    for name in shown_here:
        title = "" if name in _COURSES else CATALOGUE[name].title
        table.add_column(title, justify="right", no_wrap=True)
    for line, cells in rows:
        model = Text(line.model, style="red" if line.broken else "")
        table.add_row(model, line.version, *(cells[name] for name in shown_here))
    return table


def _course(series: Sequence[Series], model: str, version: str, end_s: float, back_s: float) -> str:
    """The sparkline of a model's version, with gaps where Prometheus has no value."""
    for each in series:
        if (each.labels.get("model"), each.labels.get("version")) == (model, version):
            step_s = back_s / _POINTS
            values: list[float | None] = [None] * _POINTS
            for at, value in zip(each.times_s, each.values, strict=True):
                place = _POINTS - 1 - round((end_s - at) / step_s)
                if 0 <= place < _POINTS:
                    values[place] = value
            return sparkline(values, _POINTS)
    return ""
