"""What `import trimaran` offers to change what is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_ensemble
from trimaran.repository.presence import find_server, server_secret
from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, opened_at
from trimaran.rollout.deployment import Deployment, roll_back
from trimaran.rollout.deployment import deploy as deploy_release
from trimaran.rollout.switch import require_no_step
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.serving.server import LOG, private_server
from trimaran.system.errors import TrimaranError

__all__ = ["deploy", "rollback"]

Progress = Callable[[str], None]


def deploy(
    model: str,
    release: int | None = None,
    repository: Place = DEFAULT_PLACE,
    *,
    tritonserver: Path | None = None,
    progress: Progress = lambda step: None,
) -> Deployment:
    """Make an ensemble's release, or another model's version, live: now or at the next start.

    `release` is the newest by default. Where no server runs on the repository, the release is
    tried in a private one, by `tritonserver` if that is given. `progress` is called with each step,
    in words. Raises `TrimaranError` if the release is damaged, does not load, or fails a golden
    request; what was live stays live then.
    """
    opened = opened_at(repository)
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
    number = newest.number if release is None else opened.version(model, release).number
    with _running_or_private(opened, tritonserver, progress) as (control, client, elsewhere):
        return deploy_release(opened, control, client, model, number, progress, elsewhere)


def rollback(
    model: str,
    repository: Place = DEFAULT_PLACE,
    *,
    tritonserver: Path | None = None,
    progress: Progress = lambda step: None,
) -> Deployment:
    """Make the release or version that was live before live again.

    Arguments and errors are those of `deploy`.
    """
    opened = opened_at(repository)
    if not is_ensemble(checked_config(opened, model)):
        require_no_step(opened, model)
    with _running_or_private(opened, tritonserver, progress) as (control, client, elsewhere):
        return roll_back(opened, control, client, model, progress, elsewhere)


@contextmanager
def _running_or_private(
    repository: Repository, tritonserver: Path | None, progress: Progress
) -> Iterator[tuple[Control, Client, Runtime | None]]:
    """The repository's running server, or a private one for the time of the block.

    So a release is tried in a real server before it goes live even while nothing is served. With
    a running server comes the runtime to start another one with, for what must not be tried in it.
    """
    found = find_server(repository)
    if found is not None:
        with Client(found.endpoint) as client:
            control = Control(found.endpoint, server_secret(repository), log=repository.state / LOG)
            yield control, client, find_runtime(tritonserver)
        return
    progress("no server runs on this repository; trying the release in a private one")
    with (
        private_server(find_runtime(tritonserver), repository) as server,
        Client(server.endpoint) as client,
    ):
        yield server.control, client, None
