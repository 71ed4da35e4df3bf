"""`trimaran release`, `deploy` and `rollback`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath, Tritonserver
from trimaran.publishing.api import release as make_release
from trimaran.rollout.api import deploy as deploy_release
from trimaran.rollout.api import rollback as roll_back
from trimaran.system.errors import UsageError

__all__ = ["deploy", "release", "rollback"]

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


def deploy(
    model: _Model,
    release: Annotated[
        int | None,
        typer.Option(help="Release of the ensemble, or version of the model. Default: the newest."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Make a release of an ensemble, or a version of a model, live.

    A running server switches at once; otherwise the next 'trimaran serve' serves it.
    """
    deployment = deploy_release(
        model, release, repository, tritonserver=tritonserver, progress=_show
    )
    _show(f"{model}: {deployment}")


def rollback(
    model: _Model,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Go back to the release or version that was live before."""
    _show(f"{model}: {roll_back(model, repository, tritonserver=tritonserver, progress=_show)}")


def _show(step: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {step}", flush=True)


def _pins(steps: list[str]) -> dict[str, int]:
    pins = {}
    for item in steps:
        model, _, version = item.partition("=")
        if not model or not version.isdecimal():
            raise UsageError(f"--step {item!r} is not MODEL=VERSION, such as image_labels=3")
        pins[model] = int(version)
    return pins
