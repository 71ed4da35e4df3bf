"""`trimaran monitor drift`: how far what is served is from what is expected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from monitoring.asking import Prometheus
from monitoring.drift.judging import DRIFT, LEAST_ROWS, Expectation, Finding, judge_features
from monitoring.durations import seconds_of
from monitoring.queries import query
from monitoring.report.present import shown
from monitoring.source import PrometheusUrl, find_prometheus
from serving.options import RepositoryPath
from trimaran.console import console
from trimaran.errors import TrimaranError, UsageError

__all__ = ["drift"]

_COLOURS = {"drift": "red", "absent": "red", "unsure": "yellow", "stable": "green"}
_DRIFTED = ("drift", "absent")
_PAST = "1d"


def drift(
    window: Annotated[str, typer.Option(help="How far back: 30m, 1h, 1d.")] = "1h",
    model: Annotated[
        list[str] | None, typer.Option(help="Only this one; repeatable. Default: all that count.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare with as long a window that ended so long ago: 1h, 1d, 1w. Default: with "
            "the version's reference, or where it has none with the day before the window."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    repository: RepositoryPath = Path("model_repository"),
    prometheus: PrometheusUrl = None,
) -> None:
    """Hold what was served in the window against what is expected, feature by feature.

    Exit status: 0 if nothing drifted, 1 if something did or Prometheus does not answer.
    """
    window_s = seconds_of(window, "--window")
    ago_s = None if against is None else seconds_of(against, "--against")
    if ago_s is not None and ago_s < window_s:
        raise UsageError(
            f"--against is {against}, within the window of {window}; the two would share rows, so "
            "name a time that is no shorter"
        )
    source = Prometheus(find_prometheus(repository, prometheus))
    at_s = source.now_s()
    rows = source.instant(query("feature_rows", window), at_s)
    if ago_s is None:
        expected = [
            Expectation("the reference", source.instant(query("feature_reference", window), at_s)),
            Expectation(
                "the day before", source.instant(query("feature_rows", _PAST), at_s - window_s)
            ),
        ]
    else:
        past = source.instant(query("feature_rows", window), at_s - ago_s)
        expected = [Expectation(f"the {window} that ended {against} ago", past)]
    findings = [
        found
        for found in judge_features(rows, expected)
        if found.rows and (not model or found.model in model)
    ]
    if not findings:
        named = f" of {', '.join(model)}" if model else ""
        raise TrimaranError(
            f"no row{named} was counted in the last {window}; models count that were published "
            "with bins (a 'reference.json'), and were asked"
        )
    if as_json:
        print(json.dumps([asdict(found) for found in findings], indent=2, allow_nan=False))
    else:
        _print(findings, window)
    raise typer.Exit(1 if any(found.verdict in _DRIFTED for found in findings) else 0)


def _print(findings: Sequence[Finding], window: str) -> None:
    screen = console()
    for group in dict.fromkeys(map(_group, findings)):
        mine = [found for found in findings if _group(found) == group]
        screen.print(_table(_title(mine[0], window), mine))
    screen.print(
        f"drift: the whole 95 % interval of the population stability index is above {DRIFT:g}; "
        f"at least {LEAST_ROWS} rows, and as many expected, are needed to tell",
        highlight=False,
        soft_wrap=True,
    )


def _group(found: Finding) -> tuple[str, str, str]:
    return found.model, found.version, found.against


def _title(found: Finding, window: str) -> str:
    served = f"{escape(found.model)} version {found.version}, last {window}"
    if not found.against:
        return f"{served}, with nothing to compare with: no reference, and no rows before"
    return f"{served}, against {escape(found.against)}"


def _table(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("feature", no_wrap=True)
    for heading in ("rows", "PSI", "95 %", "JS distance", "missing", "expected"):
        table.add_column(heading, justify="right")
    for heading in ("unknown", "expected"):
        table.add_column(heading, justify="right")
    table.add_column("moved most")
    table.add_column("verdict", no_wrap=True)
    for found in findings:
        low, high = found.interval
        table.add_row(
            escape(found.feature),
            f"{found.rows:,.0f}",
            "" if found.index is None else f"{found.index:.3f}",
            "" if found.index is None else f"{low:.3f} to {high:.3f}",
            "" if found.distance is None else f"{found.distance:.3f}",
            *_pair(found.missing),
            *_pair(found.unknown),
            escape(found.moved),
            _coloured(found.verdict),
        )
    return table


def _pair(pair: tuple[float, float] | None) -> tuple[str, str]:
    return ("", "") if pair is None else (shown(pair[0], "ratio"), shown(pair[1], "ratio"))


def _coloured(verdict: str) -> str:
    colour = _COLOURS.get(verdict)
    return f"[{colour}]{verdict}[/{colour}]" if colour else verdict
