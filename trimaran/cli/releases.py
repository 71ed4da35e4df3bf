"""`trimaran release` and `rollback`, and the deployment of a release or a version."""

from __future__ import annotations

import time
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
from trimaran.cli.results import follow_live
from trimaran.publishing.api import release as make_release
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.api import deploy as deploy_release
from trimaran.rollout.api import rollback as roll_back
from trimaran.rollout.runs.decisions import note_live, require_no_waiting_run
from trimaran.rollout.runs.run import Run
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["deploy_model", "release", "rollback", "show"]

_Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="An ensemble, or a model that is not a step of one.")
]


def release(
    ensemble: Annotated[str, typer.Argument(metavar="ENSEMBLE", help="Name of the ensemble.")],
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=VERSION",
            help="Pin a step to a version other than its newest; repeatable.",
        ),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Make the next release of an ensemble, from the newest version of each step."""
    made = make_release(ensemble, _pins(step or []), repository)
    steps = ", ".join(f"{model} {version}" for model, version in made.pins.items())
    print(f"{ensemble} release {made.number} {'unchanged' if made.unchanged else 'made'}: {steps}")


def deploy_model(
    model: str,
    release: int | None,
    by: str | None,
    repository: Path,
    tritonserver: Path | None,
    settings: Path | None = None,
) -> None:
    """Make a release or a version live, and tell the ledger of runs and the results."""
    opened = Repository.open(repository)
    require_no_waiting_run(opened, model, release)
    deployment = deploy_release(model, release, opened, tritonserver=tritonserver, progress=show)
    show(f"{model}: {deployment}")
    _note(opened, model, by, "trimaran deploy", settings)


def rollback(
    model: _Model,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
    tritonserver: Tritonserver = None,
) -> None:
    """Go back to the release or version that was live before."""
    opened = Repository.open(repository)
    show(f"{model}: {roll_back(model, opened, tritonserver=tritonserver, progress=show)}")
    _note(opened, model, by, "trimaran rollback", settings)


def _note(
    repository: Repository, model: str, by: str | None, how: str, settings: Path | None
) -> None:
    try:
        live = note_live(repository, model, by, how)
    except TrimaranError as error:  # what was asked for is done
        show(f"note: the ledger of runs was not told: {error}")
        return
    if live is not None:
        _say_others(repository, live, model)
    follow_live(repository, model, settings, show)


def _say_others(repository: Repository, live: Run, model: str) -> None:
    """Which other models of the run that is live again still serve another version."""
    show(f"{live.id} is {live.state}")
    others = {name: number for name, number in live.parts.items() if name != model}
    for name, number in others.items():
        found = live_release(repository.live(name))
        if found is not None and found.number != number:
            show(
                f"note: {name} still serves version {found.number}; {live.id} has {number}: run "
                f"trimaran deploy {name} --release {number}"
            )


def show(step: str) -> None:
    """Print a step of a deployment, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {step}", flush=True)


def _pins(steps: list[str]) -> dict[str, int]:
    pins = {}
    for item in steps:
        model, _, version = item.partition("=")
        if not model or not version.isdecimal():
            raise UsageError(f"--step {item!r} is not MODEL=VERSION, such as image_labels=3")
        pins[model] = int(version)
    return pins
