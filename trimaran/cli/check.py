"""`trimaran check`: finds what is wrong with a repository before a server loads it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trimaran.checks.api import check as check_repository
from trimaran.checks.finding import Severity
from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath

__all__ = ["check"]


def check(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Models to check. Default: all."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    as_json: AsJson = False,
) -> None:
    """Check a repository for what Triton refuses, and for mistakes that it accepts.

    Exit status: 1 if there is an error, 0 otherwise; warnings do not count.
    """
    report = check_repository(repository, models or ())
    if as_json:
        print(json.dumps(report.record(), indent=2))
    else:
        for line in report.lines():
            print(line)
    if report.count(Severity.ERROR):
        raise typer.Exit(1)
