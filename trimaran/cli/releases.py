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

_Model = Annotated[str, typer.Argument(metavar="MODEL", help="An ensemble, or another model.")]


def release(
    ensemble: Annotated[str, typer.Argument(metavar="ENSEMBLE", help="The ensemble's name.")],
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=VERSION", help="Pin a step to another version than its newest."
        ),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Make an ensemble's next release from its steps' newest versions."""
    made = make_release(ensemble, _pins(step or []), repository)
    steps = ", ".join(f"{model} {version}" for model, version in made.pins.items())
    print(f"{ensemble} release {made.number} {'unchanged' if made.unchanged else 'made'}: {steps}")


def deploy(
    model: _Model,
    release: Annotated[
        int | None,
        typer.Option(
            help="An ensemble's release, or another model's version; default: the newest."
        ),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Make a release of an ensemble, or a version of a model, live: now, or for the next start."""
    deployment = deploy_release(
        model, release, repository, tritonserver=tritonserver, progress=_show
    )
    _show(f"{model}: {deployment}")


def rollback(
    model: _Model,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Make the release or version that was live before live again."""
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
