"""`trimaran monitor watch`: the current figures, live, with sparklines of the last minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.present import broken_words, shown, sparkline
from monitoring.prometheus_api import Prometheus, Series
from monitoring.queries import CATALOGUE, query
from monitoring.summary import Summary, gather
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError

__all__ = ["watch"]

_DRAWN = ("request_rate", "mean_latency")
_PLAIN = ("error_ratio", "p99_latency", "queue_share", "batch_size", "stub_cpu")
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
            live.update(_look(source, window, back_s), refresh=True)
            done += 1
            if done == looks:
                return
            try:
                time.sleep(every_s)
            except KeyboardInterrupt:
                return


def _look(source: Prometheus, window: str, back_s: float) -> RenderableType:
    try:
        summary = gather(source, window)
        step_s = back_s / _POINTS
        courses = {
            name: source.range(
                query(name, window), summary.at_s - back_s + step_s, summary.at_s, step_s
            )
            for name in _DRAWN
        }
    except TrimaranError as error:  # it may come back
        return Text(str(error), style="red")
    return _view(summary, courses, back_s)


def _view(
    summary: Summary, courses: Mapping[str, Sequence[Series]], back_s: float
) -> RenderableType:
    table = Table(
        title=time.strftime("%H:%M:%S"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("model", no_wrap=True)
    table.add_column("version", justify="right")
    for name in _DRAWN:
        table.add_column(CATALOGUE[name].title, justify="right")
        table.add_column("", no_wrap=True)
    for name in _PLAIN:
        table.add_column(CATALOGUE[name].title, justify="right")
    table.add_column("objectives")
    for line in summary.lines:
        courses_of = [
            _course(courses[name], line.model, line.version, summary.at_s, back_s)
            for name in _DRAWN
        ]
        if not line.was_asked and not any(course.strip(" ▁") for course in courses_of):
            continue
        drawn = [
            part
            for name, course in zip(_DRAWN, courses_of, strict=True)
            for part in (shown(line.figures.get(name), CATALOGUE[name].unit), course)
        ]
        plain = [shown(line.figures.get(name), CATALOGUE[name].unit) for name in _PLAIN]
        verdict = f"[red]{escape(broken_words(line.broken))}[/red]" if line.broken else ""
        table.add_row(escape(line.model), line.version, *drawn, *plain, verdict)
    alerts = [Text(f"alert {alert}", style="red") for alert in summary.alerts]
    notes = [Text(f"note: {note}") for note in summary.notes]
    return Group(table, *alerts, *notes)


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
