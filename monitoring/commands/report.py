"""`trimaran monitor report`: requests, latencies, errors and SLOs of a window of time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.accuracy import ACCURACY_WINDOW, releases
from monitoring.asking import Prometheus
from monitoring.drift import DRIFT_WINDOW, features
from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.present import print_summary, summary_json
from monitoring.summary import courses_of, gather
from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.files import write_text

__all__ = ["report"]


def report(
    window: Annotated[str, typer.Option(help="How far back: 30s, 5m, 2h, 1d.")] = "5m",
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML page with plots.")
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
) -> None:
    """Report requests, latencies and SLOs by model and version.

    Exit status: 0 if every SLO was met, 1 if one was not or Prometheus does not answer.
    """
    seconds = seconds_of(window, "--window")
    source = Prometheus(find_prometheus(repository, prometheus))
    summary = gather(source, window)
    if as_json:
        print(summary_json(summary), end="")
    else:
        print_summary(console(), summary)
    if output:
        from monitoring.page import summary_page

        courses = courses_of(source, summary, seconds)
        moved, recorded = features(source, DRIFT_WINDOW), releases(source, ACCURACY_WINDOW)
        write_text(output, summary_page(summary, courses, source.url, moved, recorded))
        console(stderr=True).print(f"written to {output}", markup=False, highlight=False)
    raise typer.Exit(0 if summary.kept else 1)
