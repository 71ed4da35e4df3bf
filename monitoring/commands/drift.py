"""`trimaran monitor drift`: how far the rows that are served are from the expected ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from monitoring.drift import COLUMNS, DRIFT_WINDOW, MEANING, Finding, cells_of, features, tables_of
from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.prometheus_api import Prometheus
from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["drift"]

_COLOURS = {"drift": "red", "absent": "red", "unsure": "yellow", "stable": "green"}
_DRIFTED = ("drift", "absent")
_LEFT = ("feature", "moved most", "verdict")


def drift(
    window: Annotated[str, typer.Option(help="How far back: 30m, 1h, 1d.")] = DRIFT_WINDOW,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model to compare; repeatable. Default: all that count their inputs."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare with a window of the same length that ended this long ago: 1h, 1d,"
            " 1w. Default: compare with the version's reference, or without one with "
            "the day before the window."
        ),
    ] = None,
    as_json: AsJson = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
) -> None:
    """Compare the served rows of a window with the expected ones, feature by feature.

    Exit status: 0 if nothing drifted, 1 if something did or Prometheus does not answer.
    """
    window_s = seconds_of(window, "--window")
    if against is not None and seconds_of(against, "--against") < window_s:
        raise UsageError(
            f"--against is {against}, within the window of {window}; the two would share rows, "
            f"so give a time at least as long as --window"
        )
    source = Prometheus(find_prometheus(repository, prometheus))
    findings = [
        found for found in features(source, window, against) if not model or found.model in model
    ]
    if not findings:
        named = f" of {', '.join(model)}" if model else ""
        raise TrimaranError(
            f"no row{named} was counted in the last {window}; only models that were published "
            f"with bins (a 'reference.json') and received requests count rows"
        )
    if as_json:
        print(json.dumps([asdict(found) for found in findings], indent=2, allow_nan=False))
    else:
        screen = console()
        for title, mine in tables_of(findings, window):
            screen.print(_table(title, mine))
        screen.print(MEANING, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if any(found.verdict in _DRIFTED for found in findings) else 0)


def _table(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in COLUMNS:
        left = heading in _LEFT
        table.add_column(heading, justify="left" if left else "right", no_wrap=left)
    for found in findings:
        feature, verdict, *cells = map(escape, cells_of(found))
        colour = _COLOURS.get(verdict)
        table.add_row(feature, f"[{colour}]{verdict}[/{colour}]" if colour else verdict, *cells)
    return table
