"""`trimaran score`: new rows scored by the live run, into a table of the database of results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from trimaran.cli.options import DEFAULT_REPOSITORY, Query, RepositoryPath, SettingsPath, Sheet
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.settings import find_settings
from trimaran.system.console import console
from trimaran.system.errors import UsageError

__all__ = ["score"]

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def score(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name whose run is live.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="A file (.csv, .parquet, .xlsx, .sqlite, .duckdb), postgresql://HOST/DATABASE, "
            "or a table of the database of results.",
        ),
    ],
    table: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TABLE",
            help="A table of the database of results; it is made where there is none.",
        ),
    ],
    query: Query = None,
    sheet: Sheet = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Score the rows that the live run has not scored yet, and add them to a table.

    The same command adds what is new, also after an interruption.
    """
    from trimaran.rollout.results.database import database_of
    from trimaran.rollout.results.scoring import score as score_rows
    from trimaran.rollout.results.scoring import table_named
    from trimaran.training.progress import shown
    from trimaran.training.tabular.data.reading import Source

    found = find_settings(Path.cwd(), settings)
    opened = Repository.open(repository)
    database = database_of(opened, found)
    table_named(table)
    given = Source(source, query, sheet)
    if _TABLE.fullmatch(source) and not Path(source).is_file():
        if query or sheet:
            raise UsageError(
                f"--from {source} is a table of the database of results; to read a part of it, "
                "name that database's address or file, and --query"
            )
        given = Source(*database.table(source))
    with shown() as watch:
        scored = score_rows(opened, found.results, database, name, given, table, watch)
    console().print(
        f"{scored.run.id} scored {scored.added} new rows of {scored.rows}, {scored.explained} of "
        f"them with reasons: {table} in {database.shown}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
