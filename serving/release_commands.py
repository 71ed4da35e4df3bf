"""`trimaran release`, `deploy` and `rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from serving.client import Client
from serving.control import Control
from serving.deployment import deploy as deploy_release
from serving.deployment import roll_back
from serving.discovery import find_runtime
from serving.presence import find_server
from serving.report import say
from serving.server import private_server
from trimaran.config import is_ensemble
from trimaran.errors import TrimaranError, UsageError
from trimaran.releases import make_release, read_release
from trimaran.repository import Repository

__all__ = ["deploy", "release", "rollback", "running_or_private"]

_Repository = Annotated[Path, typer.Option(help="The model repository.")]
_Ensemble = Annotated[str, typer.Argument(metavar="ENSEMBLE", help="The ensemble's name.")]
_Tritonserver = Annotated[
    Path | None, typer.Option(help="The tritonserver to try a stopped repository with.")
]
_DEFAULT = Path("model_repository")


def release(
    ensemble: _Ensemble,
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
    ensemble: _Ensemble,
    release: Annotated[int | None, typer.Option(help="The release; default: the newest.")] = None,
    repository: _Repository = _DEFAULT,
    tritonserver: _Tritonserver = None,
) -> None:
    """Make a release live, on the running server or for the next start."""
    opened = Repository.open(repository)
    _require_ensemble(opened, ensemble)
    newest = opened.newest(ensemble)
    if newest is None:
        raise TrimaranError(
            f"{ensemble} has no release; make one with 'trimaran release {ensemble}'"
        )
    with running_or_private(opened, tritonserver) as (control, client):
        number = newest.number if release is None else release
        deployment = deploy_release(opened, control, client, ensemble, number, say)
        say(f"{ensemble}: {deployment}")


def rollback(
    ensemble: _Ensemble,
    repository: _Repository = _DEFAULT,
    tritonserver: _Tritonserver = None,
) -> None:
    """Make the release that was live before this one live again."""
    opened = Repository.open(repository)
    _require_ensemble(opened, ensemble)
    with running_or_private(opened, tritonserver) as (control, client):
        say(f"{ensemble}: {roll_back(opened, control, client, ensemble, say)}")


@contextmanager
def running_or_private(
    repository: Repository, tritonserver: Path | None = None
) -> Iterator[tuple[Control, Client]]:
    """The repository's running server, or a private one for the time of the block.

    So a release is tried in a real server before it goes live even while nothing is served.
    """
    found = find_server(repository)
    if found is not None:
        with Client(found.ports) as client:
            yield Control(found.ports.host, found.ports.http), client
        return
    say("no server runs on this repository; trying the release in a private one")
    with (
        private_server(find_runtime(tritonserver), repository) as server,
        Client(server.ports) as client,
    ):
        yield server.control, client


def _require_ensemble(repository: Repository, name: str) -> None:
    if not is_ensemble(repository.config(name)):
        raise UsageError(f"{name} is not an ensemble; only an ensemble has releases")


def _pins(steps: list[str]) -> dict[str, int]:
    pins = {}
    for item in steps:
        model, _, version = item.partition("=")
        if not model or not version.isdecimal():
            raise UsageError(f"--step {item!r} is not MODEL=VERSION, such as image_labels=3")
        pins[model] = int(version)
    return pins
