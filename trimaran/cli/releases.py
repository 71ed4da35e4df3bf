"""`trimaran release`, `deploy` and `rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trimaran.checks.raising import checked_config
from trimaran.publishing.releases import make_release, read_release
from trimaran.repository.config import is_ensemble
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy as deploy_release
from trimaran.rollout.deployment import roll_back
from trimaran.rollout.switch import require_no_step
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.report import say
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.serving.server import LOG, private_server
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["deploy", "release", "rollback", "running_or_private"]

_Repository = Annotated[Path, typer.Option(help="The model repository.")]
_Model = Annotated[str, typer.Argument(metavar="MODEL", help="An ensemble, or another model.")]
_Tritonserver = Annotated[
    Path | None, typer.Option(help="The tritonserver to try a stopped repository with.")
]
_DEFAULT = Path("model_repository")


def release(
    ensemble: Annotated[str, typer.Argument(metavar="ENSEMBLE", help="The ensemble's name.")],
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=VERSION", help="Pin a step to another version than its newest."
        ),
    ] = None,
    repository: _Repository = _DEFAULT,
) -> None:
    """Make an ensemble's next release from its steps' newest versions."""
    opened = Repository.open(repository)
    publication = make_release(opened, ensemble, _pins(step or []))
    pins = read_release(opened, ensemble, publication.version).pins
    steps = ", ".join(f"{model} {version}" for model, version in pins.items())
    outcome = "unchanged" if publication.unchanged else "made"
    print(f"{ensemble} release {publication.version} {outcome}: {steps}")


def deploy(
    model: _Model,
    release: Annotated[
        int | None,
        typer.Option(
            help="An ensemble's release, or another model's version; default: the newest."
        ),
    ] = None,
    repository: _Repository = _DEFAULT,
    tritonserver: _Tritonserver = None,
) -> None:
    """Make a release of an ensemble, or a version of a model, live: now, or for the next start."""
    opened = Repository.open(repository)
    ensemble = is_ensemble(checked_config(opened, model))
    if not ensemble:
        require_no_step(opened, model)
    newest = opened.newest(model)
    if newest is None:
        raise TrimaranError(
            f"{model} has no release; make one with 'trimaran release {model}'"
            if ensemble
            else f"{model} has no version; publish one with 'trimaran export' or 'trimaran publish'"
        )
    number = newest.number if release is None else release
    with running_or_private(opened, tritonserver) as (control, client, elsewhere):
        say(f"{model}: {deploy_release(opened, control, client, model, number, say, elsewhere)}")


def rollback(
    model: _Model, repository: _Repository = _DEFAULT, tritonserver: _Tritonserver = None
) -> None:
    """Make what was live before live again."""
    opened = Repository.open(repository)
    if not is_ensemble(checked_config(opened, model)):
        require_no_step(opened, model)
    with running_or_private(opened, tritonserver) as (control, client, elsewhere):
        say(f"{model}: {roll_back(opened, control, client, model, say, elsewhere)}")


@contextmanager
def running_or_private(
    repository: Repository, tritonserver: Path | None = None
) -> Iterator[tuple[Control, Client, Runtime | None]]:
    """The repository's running server, or a private one for the time of the block.

    So a release is tried in a real server before it goes live even while nothing is served. With
    a running server also what to start another one with, for what must not be tried in it.
    """
    found = find_server(repository)
    if found is not None:
        with Client(found.ports) as client:
            control = Control(found.ports.host, found.ports.http, log=repository.state / LOG)
            yield control, client, find_runtime(tritonserver)
        return
    say("no server runs on this repository; trying the release in a private one")
    with (
        private_server(find_runtime(tritonserver), repository) as server,
        Client(server.ports) as client,
    ):
        yield server.control, client, None


def _pins(steps: list[str]) -> dict[str, int]:
    pins = {}
    for item in steps:
        model, _, version = item.partition("=")
        if not model or not version.isdecimal():
            raise UsageError(f"--step {item!r} is not MODEL=VERSION, such as image_labels=3")
        pins[model] = int(version)
    return pins
