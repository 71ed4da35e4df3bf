"""`trimaran publish`: a Python model, or those of an ensemble and its wiring."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ensembles.pipeline import Pipeline
from ensembles.publish import left_out, made_by
from ensembles.publish import publish as publish_made
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.repository.repository import Repository

__all__ = ["publish"]


def publish(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:name or path/to/file.py:name: a step, or a function that returns "
            "a Pipeline or a PythonModel; or a trained run, such as runs/customers/latest.",
        ),
    ],
    logged: Annotated[
        bool,
        typer.Option(
            "--logged",
            help="Of a table's run: a last step that can log what the ensemble answers, at a "
            "quarter more CPU.",
        ),
    ] = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Publish a Python model, or an ensemble with its Python models.

    The ensemble's config.pbtxt is written if it is missing.
    """
    all_made, source = made_by(factory, logged=logged)
    for made in all_made:
        for publication in publish_made(made, repository, source=source):
            print(publication)
    for made in all_made:
        if isinstance(made, Pipeline):
            name, opened = made.ensemble.name, Repository.open(repository)
            if left := left_out(opened, made.ensemble):
                print(
                    f"note: {opened.config_path(name)} stands as it was, without the step "
                    f"{', '.join(left)}; remove it and publish again to have it written anew",
                    file=sys.stderr,
                )
            print(f"{made.ensemble.name}: make a release with 'trimaran release'")
