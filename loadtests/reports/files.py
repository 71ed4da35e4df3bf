"""A report in a directory: `report.json`, `runs.csv`, `requests.csv` and `report.html`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from loadtests.generator.outcome import Outcome
from loadtests.reports.page import report_page
from loadtests.reports.run import Report
from trimaran.system.files import replacing, write_text

__all__ = ["write_report"]


def write_report(directory: Path, report: Report, outcomes: Mapping[str, Outcome] = {}) -> None:
    """Write all files, each completely or not at all.

    `outcomes` has the requests of runs by name; without it there is no `requests.csv`.
    """
    write_text(directory / "report.json", report.json_text())
    _write_runs(directory / "runs.csv", report)
    if outcomes:
        _write_requests(directory / "requests.csv", outcomes)
    latencies = {
        name: (outcome.scheduled_s, outcome.latency_s * 1e3) for name, outcome in outcomes.items()
    }
    write_text(directory / "report.html", report_page(report, latencies))


def _write_runs(path: Path, report: Report) -> None:
    names = list(dict.fromkeys(name for run in report.runs for name in run.latency_ms))
    fields = ("target", "protocol", "loop", "load", "seconds", "requests", "answered", "rate")
    more = ("rows", "late_sends", "server_cpu_ms", "generator_cpu_ms", "invalid")
    with replacing(path) as file:
        lines = csv.writer(file)
        lines.writerow([*fields, *(f"{name}_ms" for name in names), *more])
        for run in report.runs:
            lines.writerow(
                [getattr(run, name) for name in fields]
                + [run.latency_ms.get(name, "") for name in names]
                + [getattr(run, name) for name in more]
            )


def _write_requests(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """A line for each request; times in seconds from the start of the run, or empty."""
    with replacing(path) as file:
        lines = csv.writer(file)
        lines.writerow(["run", "scheduled_s", "sent_s", "done_s", "good"])
        for name, outcome in outcomes.items():
            columns = (outcome.scheduled_s, outcome.sent_s, outcome.done_s)
            times = np.column_stack(columns).tolist()
            for row, good in zip(times, outcome.good.tolist(), strict=True):
                shown = ["" if math.isnan(value) else f"{value:.6f}" for value in row]
                lines.writerow([name, *shown, int(good)])
