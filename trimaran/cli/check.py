"""`trimaran check`: judges a repository offline, before a server sees it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from trimaran.checks.finding import Report, Severity
from trimaran.checks.judge import judge
from trimaran.checks.onnx_files import can_read_graphs
from trimaran.checks.reading import model_directories, read_model
from trimaran.repository.repository import Repository
from trimaran.system.errors import UsageError

__all__ = ["check", "report_on"]


def check(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Only these models.")
    ] = None,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what Triton would refuse, and what it lets through and is regretted later.

    Exit status 1 if there is an error, 0 on warnings alone.
    """
    report = report_on(Repository.open(repository), models or [])
    if as_json:
        print(json.dumps(report.record(), indent=2))
    else:
        for line in report.lines():
            print(line)
    if report.count(Severity.ERROR):
        raise typer.Exit(1)


def report_on(repository: Repository, chosen: list[str]) -> Report:
    """The report on a repository. Raises `UsageError` for a model that it does not have."""
    facts = {name: read_model(repository, name) for name in model_directories(repository)}
    for name in chosen:
        if name not in facts:
            raise UsageError(
                f"{repository.root}: has no model {name!r}; it has {', '.join(facts) or 'none'}"
            )
    return judge(
        str(repository.root),
        facts,
        chosen,
        cores=os.cpu_count() or 0,
        graphs=can_read_graphs(),
    )
