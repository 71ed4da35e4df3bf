"""The gateway's part of a summary as text: the cells of a table, and one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring.gateway import GatewayFigures
from monitoring.present import shown
from monitoring.summary import Line, Summary

__all__ = ["NO_MODEL", "gateway_line", "print_gateway", "rows_of"]

_COLUMNS = ("model", "requests/s", "answers/s", "refused/s", "mean", "p50", "p99")
NO_MODEL = "(none)"
_TRITONS = {"mean_latency": "Triton's mean", "p99_latency": "Triton's p99"}


def print_gateway(screen: Console, summary: Summary) -> None:
    """Print a line for each model that was asked through the gateway, and the servers."""
    gateway = summary.gateway
    if gateway is None:
        return
    headers, rows = rows_of(summary, gateway)
    table = Table(title="Gateway", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, justify="left" if header in _COLUMNS[:1] else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    if rows:
        screen.print(table)
    for each in gateway.models:
        if each.refusals:
            words = f"refused/s of {each.model or NO_MODEL}: {_rates(each.refusals)}"
            screen.print(words, markup=False, highlight=False, soft_wrap=True)
    for name, ready in gateway.servers.items():
        words = "[green]ready[/green]" if ready else "[red]not ready[/red]"
        screen.print(f"server {escape(name)}: {words}", highlight=False, soft_wrap=True)


def gateway_line(gateway: GatewayFigures) -> str:
    """The gateway in one line."""
    ready = sum(gateway.servers.values())
    refused = f"refused/s: {_rates(gateway.refusals)}" if gateway.refusals else "none refused"
    return (
        f"gateway: {shown(gateway.rate, 'requests/s')} requests/s, {refused}; "
        f"{ready} of {len(gateway.servers)} servers ready"
    )


def rows_of(
    summary: Summary, gateway: GatewayFigures
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headers and cells; Triton's times are those of the version that was asked most."""
    busiest = _busiest(summary.lines)
    models = gateway.models
    figures = {each.model: busiest[each.model].figures for each in models if each.model in busiest}
    tritons = [name for name in _TRITONS if any(name in found for found in figures.values())]
    rows = [
        (
            each.model or NO_MODEL,
            shown(each.rate, "requests/s"),
            _rates(each.answers),
            shown(sum(each.refusals.values()), "requests/s"),
            *(shown(each.latency_s.get(f"gateway_{name}"), "s") for name in _COLUMNS[4:]),
            *(shown(figures.get(each.model, {}).get(name), "s") for name in tritons),
        )
        for each in models
    ]
    return (*_COLUMNS, *(_TRITONS[name] for name in tritons)), rows


def _busiest(lines: Sequence[Line]) -> Mapping[str, Line]:
    asked = sorted(lines, key=lambda line: line.figures.get("request_rate", 0.0))
    return {line.model: line for line in asked}


def _rates(by: Mapping[str, float]) -> str:
    """Rates by what they are of, the largest first: `rate 1.2, token 0.1`."""
    ordered = sorted(by.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name}\N{NO-BREAK SPACE}{shown(value, 'requests/s')}" for name, value in ordered
    )
