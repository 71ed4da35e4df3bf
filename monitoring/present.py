"""A summary as text: on the terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring.queries import CATALOGUE
from monitoring.summary import Broken, Line, Summary

__all__ = ["broken_words", "no_data_words", "print_summary", "shown", "sparkline", "summary_json"]

_COLUMNS = (
    "request_rate",
    "error_ratio",
    "mean_latency",
    "p50_latency",
    "p95_latency",
    "p99_latency",
    "queue_share",
    "compute_infer",
    "batch_size",
    "pending_requests",
    "cache_hit_ratio",
    "model_cpu",
)
_LEAST_CORES = 0.001

_BLOCKS = " ▁▂▃▄▅▆▇█"


def print_summary(screen: Console, summary: Summary) -> None:
    """Print a line for each version that had requests, then notes and alerts.

    That there are no data comes first.
    """
    if summary.outcome == "no data":
        screen.print(f"[red]{escape(no_data_words(summary))}[/red]", soft_wrap=True)
    lines = [line for line in summary.lines if line.was_asked]
    columns = [name for name in _COLUMNS if any(name in line.figures for line in lines)]
    table = Table(
        title=f"Last {summary.window}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("model", no_wrap=True)
    table.add_column("version", justify="right")
    for name in columns:
        table.add_column(CATALOGUE[name].title, justify="right")
    table.add_column("objectives")
    for line in lines:
        table.add_row(
            escape(line.model),
            line.version,
            *(shown(line.figures.get(name), CATALOGUE[name].unit) for name in columns),
            _verdict(line),
        )
    screen.print(table)
    idle = [f"{line.model} {line.version}" for line in summary.lines if line.is_idle]
    if idle:
        _say(screen, f"no requests in the window: {', '.join(idle)}")
    for line in lines:
        if line.errors:
            reasons = (f"{reason} {rate:.3g}/s" for reason, rate in sorted(line.errors.items()))
            _say(screen, f"errors of {line.model} {line.version}: {', '.join(reasons)}")
    for name, value in summary.server.items():
        query = CATALOGUE[name]
        _say(screen, f"{query.title}: {shown(value, query.unit)}")
    for note in summary.notes:
        _say(screen, f"note: {note}")
    for alert in summary.alerts:
        screen.print(f"[red]alert[/red] {escape(alert)}", highlight=False, soft_wrap=True)


def summary_json(summary: Summary) -> str:
    """The summary as JSON, in the units of the catalogue."""
    return (
        json.dumps({"outcome": summary.outcome, **asdict(summary)}, indent=2, allow_nan=False)
        + "\n"
    )


def no_data_words(summary: Summary) -> str:
    """What it means that Prometheus has no figures of requests, and what to do."""
    return (
        f"no data: Prometheus has no request counts of any model in the last {summary.window}, so "
        "no objective was checked; check that 'trimaran serve' runs, and Prometheus' targets"
    )


def broken_words(broken: Sequence[Broken]) -> str:
    """Each broken objective: the measured value and the limit."""
    return "; ".join(
        f"{CATALOGUE[each.figure].title} {shown(each.found, CATALOGUE[each.figure].unit)} > "
        f"{shown(each.most, CATALOGUE[each.figure].unit)}"
        for each in broken
    )


def shown(value: float | None, unit: str) -> str:
    """A value with its unit, if that is short."""
    if value is None:
        return ""
    if unit == "s":
        return _joined(value * 1e3, "ms") if value < 1 else _joined(value, "s")
    if unit == "ratio":
        return f"{value:.2%}" if 0 < value < 0.1 else f"{value:.0%}"
    if unit == "bytes":
        return _joined(value / 2**20, "MiB")
    if unit == "cores":
        return _joined(value, "cores") if value >= _LEAST_CORES else _joined(0, "cores")
    return _joined(value)


def sparkline(values: Sequence[float | None], width: int = 30) -> str:
    """The last `width` values as blocks, from 0 to the highest value; a gap is a blank.

    `sparkline([0, 2, 4])` is `▁▅█`.
    """
    kept = values[-width:]
    highest = max((value for value in kept if value is not None), default=0.0)
    top = len(_BLOCKS) - 2
    return "".join(
        _BLOCKS[0]
        if value is None
        else _BLOCKS[1 + round(top * value / highest if highest > 0 else 0)]
        for value in kept
    )


def _joined(value: float, unit: str = "") -> str:
    """Three significant digits without an exponent, with the unit on the same line."""
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{number}\N{NO-BREAK SPACE}{unit}" if unit else number


def _verdict(line: Line) -> str:
    if line.broken:
        return f"[red]{escape(broken_words(line.broken))}[/red]"
    return "[green]met[/green]"


def _say(screen: Console, words: str) -> None:
    screen.print(words, markup=False, highlight=False, soft_wrap=True)
