"""`trimaran deploy`: a release, a version, or a reviewed run with all that serves it."""

from __future__ import annotations

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
from trimaran.rollout.runs.states import State
from trimaran.system.errors import UsageError

__all__ = ["deploy"]


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

    from ensembles.deploy_run import deploy_run

    done = deploy_run(
        model,
        persist=persist,
        by=by,
        repository=repository,
        settings=settings,
        tritonserver=tritonserver,
        progress=show,
    )
    kept = ", and persisted" if done.run.state is State.PERSISTED else ""
    show(f"{done.run.run} is deployed{kept}")
