"""`trimaran monitor accuracy`: how good predictions were, once their outcomes are known."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from monitoring.accuracy import (
    ACCURACY_WINDOW,
    COLUMNS,
    MEANING,
    ReleaseAccuracy,
    lines_of,
    releases,
)
from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.prometheus_api import Prometheus
from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError

__all__ = ["accuracy"]

_COLOURS = {"fell": "red", "unsure": "yellow", "holds": "green"}


def accuracy(
    window: Annotated[
        str, typer.Option(help="How far back to take recorded outcomes: 1h, 1d, 30d.")
    ] = ACCURACY_WINDOW,
    model: Annotated[
        list[str] | None, typer.Option(help="Model to compare; repeatable. Default: all.")
    ] = None,
    as_json: AsJson = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
) -> None:
    """Compare predictions with the true outcomes recorded in a window, by release.

    Exit status: 0 if no release lost accuracy, 1 if one did or Prometheus does not answer.
    """
    seconds_of(window, "--window")
    source = Prometheus(find_prometheus(repository, prometheus))
    recorded = releases(source, window)
    if not recorded and source.instant('up{job="triton"} == 1'):
        source.wait_for_scrape(source.now_s())  # the first outcomes may be seconds old
        recorded = releases(source, window)
    found = [each for each in recorded if not model or each.model in model]
    if not found:
        named = f" of {', '.join(model)}" if model else ""
        raise TrimaranError(
            f"no outcome{named} was recorded in the last {window}; serve with --log-predictions, "
            "and record outcomes with 'trimaran feedback'"
        )
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2, allow_nan=False))
    else:
        screen = console()
        for each in found:
            screen.print(_table(each, window))
        screen.print(MEANING, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if any(each.verdict == "fell" for each in found) else 0)


def _table(judged: ReleaseAccuracy, window: str) -> Table:
    colour = _COLOURS.get(judged.verdict, "bold")
    table = Table(
        title=f"{escape(judged.model)} version {escape(judged.version)}: {judged.outcomes:,.0f} "
        f"outcomes recorded in the last {window}, [{colour}]{judged.verdict}[/{colour}]",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for place, heading in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for line in lines_of(judged):
        table.add_row(*line)
    return table
