"""`trimaran publish`: a Python model, or those of an ensemble and its wiring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ensembles.pipeline import Pipeline, PythonModel
from ensembles.publish import publish_pipeline, publish_python_model
from trimaran.repository.repository import Repository
from trimaran.system.errors import UsageError
from trimaran.system.factory import call_factory

__all__ = ["publish"]


def publish(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:function or path/to/file.py:function; it returns a Pipeline or a "
            "PythonModel.",
        ),
    ],
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
) -> None:
    """Publish a Python model, or an ensemble's and, if it is missing, its wiring."""
    made = call_factory(factory)
    if isinstance(made, PythonModel):
        print(publish_python_model(Repository.create(repository), made, factory))
        return
    if not isinstance(made, Pipeline):
        raise UsageError(
            f"{factory} returned {type(made).__name__}, neither an ensembles.Pipeline nor an "
            "ensembles.PythonModel"
        )
    for publication in publish_pipeline(Repository.create(repository), made, factory):
        print(publication)
    print(f"{made.ensemble.name}: make a release with 'trimaran release'")
