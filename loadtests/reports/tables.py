"""Runs as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtests.gates import Gate
from loadtests.reports.run import Report, Run, StepTimes

__all__ = ["number", "print_figures", "print_runs", "print_verdict"]

_RIGHT = ("answers/s", "p50 ms", "p99 ms", "max ms", "CPU ms", "failed", "late sends")


def print_runs(screen: Console, runs: Sequence[Run]) -> None:
    """A line for each run, then the steps of the last run that has them."""
    table = Table()
    for heading in ("target", "load", *_RIGHT):
        table.add_column(heading, justify="right" if heading in _RIGHT else "left")
    for run in runs:
        table.add_row(
            escape(run.target),
            escape(run.load),
            number(run.rate),
            *(number(run.latency_ms.get(name)) for name in ("p50", "p99", "max")),
            number(run.server_cpu_ms),
            str(run.requests - run.answered),
            f"{run.late_sends:.2%}",
        )
    screen.print(table)
    steps = [run for run in runs if run.steps]
    if steps:
        screen.print(_steps(f"{steps[-1].target}, {steps[-1].load}", steps[-1].steps))


def print_figures(screen: Console, figures: Mapping[str, Any]) -> None:
    """A line for each figure, or for each part of a figure that has parts."""
    for name, value in figures.items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, found in parts:
            title = f"{name}, {part}" if part else name
            screen.print(f"{title}: {_shown(found)}", highlight=False, markup=False, soft_wrap=True)


def print_verdict(screen: Console, report: Report) -> None:
    """Which gates hold, and why a run or the comparison is invalid."""

    def say(words: str) -> None:
        screen.print(words, highlight=False, soft_wrap=True)

    for run in report.runs:
        where = escape(f"{run.target}, {run.load}")
        if run.invalid:
            say(f"[red]invalid[/red] {where}: {escape(run.invalid)}")
            continue
        for gate in run.gates:
            say(f"{_word(gate)} {gate.name} ({where}): {escape(gate.words)}")
    for gate in report.gates:
        say(f"{_word(gate)} {escape(gate.words)}")
    if report.invalid:
        say(f"[red]invalid[/red] {escape(report.invalid)}")


def number(value: float | None) -> str:
    """Three significant digits, in full."""
    if value is None or value != value:
        return ""
    if value == float("inf"):
        return "∞"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    return number(value) if isinstance(value, float) else str(value)


def _word(gate: Gate) -> str:
    return "[green]holds[/green]" if gate.holds else "[red]FAILS[/red]"


def _steps(title: str, steps: Sequence[StepTimes]) -> Table:
    columns = ("requests", "batch", "queue ms", "input ms", "infer ms", "output ms")
    table = Table(title=f"by Triton's statistics: {escape(title)}", title_justify="left")
    for heading in ("model", "version", *columns):
        table.add_column(heading, justify="right" if heading in columns else "left")
    for step in steps:
        table.add_row(
            step.model,
            step.version,
            str(step.requests),
            number(step.batch) if step.batch else "",
            *(
                number(value)
                for value in (
                    step.queue_ms,
                    step.compute_input_ms,
                    step.compute_infer_ms,
                    step.compute_output_ms,
                )
            ),
        )
    return table
