"""`trimaran deploy`: a release, a version, or a reviewed run with all that serves it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    SettingsPath,
    Tritonserver,
)
from trimaran.cli.releases import deploy_model, show
from trimaran.cli.results import show_results
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import find_settings
from trimaran.system.errors import UsageError

__all__ = ["deploy", "made_of_run"]


def deploy(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN",
            help="An ensemble, or a model that is not a step of one; or a run: NAME/N.",
        ),
    ],
    release: Annotated[
        int | None,
        typer.Option(help="Release of the ensemble, or version of the model. Default: the newest."),
    ] = None,
    persist: Annotated[
        bool,
        typer.Option(
            "--persist", help="Of a run: freeze it, so that the next runs predict with it."
        ),
    ] = False,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
    tritonserver: Tritonserver = None,
) -> None:
    """Make a release of an ensemble, a version of a model, or a reviewed run live.

    A running server switches at once; otherwise the next 'trimaran serve' serves it. A run is
    exported, published and released first, and its results are written to the database; the same
    command goes on after an interruption.
    """
    if "/" not in model:
        if persist:
            raise UsageError(f"--persist is for a run, such as {model}/1; leave it out")
        deploy_model(model, release, by, repository, tritonserver, settings)
        return
    if release is not None:
        raise UsageError(f"{model} is a run, which has a release of its own; leave --release out")

    from trimaran.rollout.runs.deploying import deploy_run

    opened, found = Repository.open(repository), find_settings(Path.cwd(), settings)
    if show_results(opened, found, model, person(by), show):
        return  # a run that was live already, and whose results were not all there
    done = deploy_run(
        opened,
        found,
        model,
        person(by),
        made_of_run,
        persist=persist,
        tritonserver=tritonserver,
        say=show,
    )
    kept = ", and persisted" if persist or done.run.predicts_with else ""
    show(f"{done.run.id} is deployed{kept}")
    show_results(opened, found, done.run.id, person(by), show)


def made_of_run(
    directory: Path, formats: Sequence[str], repository: Repository
) -> Mapping[str, int]:
    """Export, publish and release a trained run: the release or version of what serves it."""
    from ensembles.pipeline import PythonModel
    from ensembles.publish import made_by
    from ensembles.publish import publish as publish_made
    from exporters.export_command import export_formats
    from trimaran.publishing.api import release as make_release

    place = os.path.relpath(directory)
    place = place if os.sep in place else f".{os.sep}{place}"
    export_formats(place, formats, repository)
    parts: dict[str, int] = {}
    all_made, source = made_by(place)
    for made in all_made:
        for publication in publish_made(made, repository, source=source):
            print(publication)
            if isinstance(made, PythonModel):
                parts[made.name] = publication.version
        if not isinstance(made, PythonModel):
            released = make_release(made.ensemble.name, None, repository)
            parts[released.ensemble] = released.number
    return parts
