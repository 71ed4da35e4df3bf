"""`trimaran publish`: the Python models and the wiring of an ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ensembles.pipeline import Pipeline
from ensembles.publish import publish_pipeline
from trimaran.errors import UsageError
from trimaran.factory import call_factory
from trimaran.repository import Repository

__all__ = ["publish"]


def publish(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:function or path/to/file.py:function; it returns a Pipeline.",
        ),
    ],
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
) -> None:
    """Publish an ensemble's Python models and, if it is missing, its wiring."""
    pipeline = call_factory(factory)
    if not isinstance(pipeline, Pipeline):
        raise UsageError(f"{factory} returned {type(pipeline).__name__}, not an ensembles.Pipeline")
    for publication in publish_pipeline(Repository.create(repository), pipeline, factory):
        print(publication)
    print(f"{pipeline.ensemble.name}: make a release with 'trimaran release'")
