"""`trimaran run`: train what `rollout.toml` says, or predict with the persisted run, for review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    SettingsPath,
)
from trimaran.cli.run_api import run as make_run
from trimaran.system.console import console

__all__ = ["run"]


def run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A table of rollout.toml, or a public table.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Other data than rollout.toml names, in the same form."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--train", help="Train, although the live run is persisted.")
    ] = False,
    by: Person = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Train a model, or predict with the persisted one, and leave it pending with its reports.

    The same command resumes an interrupted run.
    """
    from trimaran.training.progress import shown

    made = make_run(
        name,
        data=data,
        train=anew,
        by=by,
        out=out,
        repository=repository,
        settings=settings,
        progress=_say,
        watching=shown,
    )
    _say(f"{made.run} is pending; next: trimaran review {made.run}")


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
