"""`trimaran experiment outcomes`: what clients did, counted for the arm of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, Person, RepositoryPath
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.people import person
from trimaran.rollout.traffic.client_outcomes import STATUSES, Columns, count_client_outcomes
from trimaran.system.errors import UsageError

__all__ = ["outcomes"]


def outcomes(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As churn/1, or churn for its newest experiment.")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file with a row for each client.")
    ],
    goal: Annotated[str, typer.Option(metavar="GOAL", help="A goal of the experiment's plan.")],
    key: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of what the header of --key holds.")
    ],
    value: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the outcomes.")],
    time: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of when each was, in ISO 8601; needed where the share was changed.",
        ),
    ] = "",
    as_json: AsJson = False,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Count outcomes of clients for the release that each of them was given.

    Exit status: 0 if every row is counted, now or earlier; 1 if one is not.
    """
    if not source.is_file():
        raise UsageError(f"there is no file {source}")
    columns = Columns(key, value, time)
    counts, found = count_client_outcomes(
        Repository.open(repository), name, goal, source, columns, by=person(by)
    )
    if as_json:
        print(json.dumps({**counts, "verdict": found.word, "why": found.why}, indent=2))
    else:
        for status, count in counts.items():
            if count:
                print(f"{count:,} {STATUSES[status]}")
        print(f"{found.word}: {found.why}")
    if counts["unseen"] or counts["before"]:
        raise typer.Exit(1)
